"""Parts of ``benchmarks/distillation.py``: tasks, arms and statistics. Knows the library's public modules only."""
