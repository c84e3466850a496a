"""Targets of a field as arrays that losses can use.

Shapes: n rows (all known), k classes or labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from understudy.errors import DataError
from understudy.runtime.heads import NumberScale
from understudy.task.problem import Problem

__all__ = ["FieldTargets", "class_targets", "label_targets", "number_scale"]

Float64 = npt.NDArray[np.float64]


class FieldTargets(Protocol):
    """What this layer asks of a field's targets (``students.targets.Targets`` is one)."""

    @property
    def problem(self) -> Problem:
        """The problem."""
        ...

    @property
    def values(self) -> Sequence[Any]:
        """A value per row, or UNKNOWN."""
        ...

    @property
    def soft(self) -> Float64 | None:
        """The teacher's probabilities (n, k), rows of NaN where unknown, or ``None``."""
        ...

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which rows teach, shape (n,)."""
        ...

    @property
    def codes(self) -> npt.NDArray[np.int64]:
        """The class index per row, shape (n,); -1 where unknown."""
        ...

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """The targets of some rows."""
        ...


def class_targets(target: FieldTargets) -> Float64:
    """Probabilities (n, k): the log's soft targets where it has them, else 1 for the known class.

    Raises
    ------
    DataError
        If a value is none of the problem's classes.
    """
    codes = target.codes
    if (codes < 0).any():
        strange = target.values[int(np.flatnonzero(codes < 0)[0])]
        raise DataError(
            f"field {target.problem.field.name!r} has a value that is not one of its classes",
            given=repr(strange),
            todo="add it to the task's labels or drop the call",
        )
    out = np.zeros((len(codes), len(target.problem.values)))
    out[np.arange(len(codes)), codes] = 1.0
    if target.soft is not None:
        has_soft = ~np.isnan(target.soft).any(axis=1) & (target.soft.sum(axis=1) > 0)
        soft = target.soft[has_soft]
        out[has_soft] = soft / soft.sum(axis=1, keepdims=True)
    return out


def label_targets(target: FieldTargets) -> Float64:
    """1 where a row's set holds the label, else 0: shape (n, k)."""
    values = target.problem.values
    return np.array([[float(value in (row or ())) for value in values] for row in target.values])


def number_scale(target: FieldTargets) -> tuple[Float64, NumberScale]:
    """Standardised numbers (n,) and the scale that brings them back.

    Raises
    ------
    DataError
        If a value is no finite number.
    """
    try:
        numbers = np.array([float(value) for value in target.values])
    except (TypeError, ValueError) as error:
        raise DataError(f"field {target.problem.field.name!r} has a value that is no number") from error
    if not np.isfinite(numbers).all():
        raise DataError(f"field {target.problem.field.name!r} has an infinite number or NaN")
    spread = float(numbers.std()) or 1.0
    scale = NumberScale(float(numbers.mean()), spread, bool((numbers == np.rint(numbers)).all()))
    return (numbers - scale.mean) / spread, scale
