"""The rungs, one per file, behind the contract in ``base``."""
