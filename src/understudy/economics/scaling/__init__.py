"""Scaling laws: fits from runs, published constants with provenance, and the optima that follow from them."""
