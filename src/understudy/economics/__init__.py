"""Prices, learning curves, break-even."""
