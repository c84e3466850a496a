"""Machines and what they cost: accelerators, processors, phones, rented hours, electricity, currencies."""
