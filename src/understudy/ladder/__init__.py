"""Climbs from the cheapest rung to the cheapest certified system. See ``climb`` for the order of things."""
