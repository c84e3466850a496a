"""Refuses options and shapes that would give a wrong loss in silence. Knows no loss."""

from __future__ import annotations

import math

import torch

from understudy.errors import ConfigError, DataError

__all__ = ["check_positive", "check_same_shape", "check_weight"]


def check_positive(name: str, value: float) -> float:
    """`value` if it is finite and above 0.

    Raises
    ------
    ConfigError
        Otherwise.
    """
    if math.isfinite(value) and value > 0:
        return value
    raise ConfigError(f"{name} must be finite and above 0", given=f"{name}={value!r}")


def check_weight(name: str, value: float, *, may_be_zero: bool = False, todo: str | None = None) -> float:
    """`value` if it lies in (0, 1), or in [0, 1) where it `may_be_zero`.

    Raises
    ------
    ConfigError
        Otherwise.
    """
    if 0 < value < 1 or (may_be_zero and value == 0):
        return value
    low = "at least 0" if may_be_zero else "above 0"
    raise ConfigError(f"{name} must be {low} and below 1", given=f"{name}={value!r}", todo=todo)


def check_same_shape(**tensors: torch.Tensor) -> None:
    """Refuse tensors that would be broadcast.

    Raises
    ------
    DataError
        If the shapes are not all the same.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"{' and '.join(shapes)} must have the same shape", given=given)
