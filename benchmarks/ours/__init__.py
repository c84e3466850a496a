"""Rows of the benchmark that measure this project. Each module is run in a process of its own by
``../ladder.py``.
"""
