"""Capability density: how much ability a parameter carries, against a reference family."""
