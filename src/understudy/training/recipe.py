"""How long to train: epochs and batch size by the number of rows, so that few rows still get enough steps.

Knows no model and no data but their count. Measured in docs/decisions/0003-encoder-students.md.
"""

from __future__ import annotations

import math

__all__ = ["batch_size_for", "epochs_for"]

_LEAST_STEPS = 500
_EPOCHS = (5, 20)


def batch_size_for(n_rows: int) -> int:
    """32, or 16 below 4,000 rows."""
    return 32 if n_rows >= 4000 else 16


def epochs_for(n_rows: int, batch_size: int) -> int:
    """Five, or as many as make about 500 steps, at most twenty."""
    wanted = math.ceil(_LEAST_STEPS * batch_size / max(n_rows, 1))
    return min(max(wanted, _EPOCHS[0]), _EPOCHS[1])
