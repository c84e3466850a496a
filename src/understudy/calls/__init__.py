"""Recorded calls: readers of every format, down to one stream of calls."""
