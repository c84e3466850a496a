"""Certificates: exact bounds, thresholds chosen with a guarantee, noise ceilings and the useful no."""
