"""Heads filled up with zeros to a width that the fused attention takes.

Nothing is lost: the added places of queries and keys are 0, those of values meet columns of 0 in the output
matrix. Rotary positions turn place ``i`` with place ``i + d / 2``, so each half is filled up on its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["padded_columns", "padded_rows", "padded_width"]

FloatArray = npt.NDArray[np.float32]
_STEP = 16


def padded_width(width: int) -> int:
    """The next multiple of 16, which onnxruntime's rotary kernel asks for."""
    return -(-width // _STEP) * _STEP


def padded_rows(values: FloatArray, width: int) -> FloatArray:
    """Heads of `width` rows, shape (heads * width, ...), with rows of 0 in them up to the padded width."""
    wanted = padded_width(width)
    if wanted == width:
        return values
    halves = values.reshape(-1, 2, width // 2, *values.shape[1:])
    filled = np.zeros((len(halves), 2, wanted // 2, *values.shape[1:]), dtype=np.float32)
    filled[:, :, : width // 2] = halves
    return filled.reshape(-1, *values.shape[1:])


def padded_columns(values: FloatArray, width: int) -> FloatArray:
    """The same for columns: shape (n, heads * width)."""
    return np.ascontiguousarray(padded_rows(np.ascontiguousarray(values.T), width).T)
