"""What a student learns for one field: the problem, a value per row, and soft targets where the log has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import UNKNOWN, InputParts
from understudy.errors import DataError
from understudy.task.field import PLAIN_FIELD, Field
from understudy.task.problem import Problem

__all__ = ["Targets", "as_inputs", "as_targets"]


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of one problem for `n` rows.

    Attributes
    ----------
    problem
        The problem.
    values
        `n` values of the field, or :data:`UNKNOWN`.
    soft
        `classify` only: the teacher's probabilities, shape (n, k) in the order of ``problem.values``; rows of
        NaN where unknown. ``None`` where the log has none.
    """

    problem: Problem
    values: Sequence[Any]
    soft: npt.NDArray[np.float64] | None = None

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Shape (n,): which rows teach."""
        return np.array([value is not UNKNOWN for value in self.values], dtype=np.bool_)

    @property
    def codes(self) -> npt.NDArray[np.int64]:
        """`classify`: the class index per row, shape (n,); -1 where unknown."""
        # A pair of type and value: True == 1 and 1.0 == 1 in Python, but they are different JSON answers.
        index = {(type(value), value): at for at, value in enumerate(self.problem.values)}
        return np.array([index.get((type(value), value), -1) for value in self.values], dtype=np.int64)

    def take(self, rows: npt.NDArray[np.int64]) -> Targets:
        """The targets of some rows."""
        values = [self.values[int(row)] for row in rows]
        return Targets(self.problem, values, None if self.soft is None else self.soft[rows])


def as_inputs(inputs: Sequence[str | InputParts]) -> list[InputParts]:
    """Texts or tuples of texts as tuples of texts."""
    return [(given,) if isinstance(given, str) else tuple(given) for given in inputs]


def as_targets(targets: Sequence[Targets] | Sequence[Any]) -> list[Targets]:
    """Targets as they are, or a plain list of labels as one `classify` problem (scikit-learn's use).

    Raises
    ------
    DataError
        If a plain list of labels holds fewer than two different ones.
    """
    if len(targets) and isinstance(targets[0], Targets):
        return list(targets)
    labels = sorted({label.item() if isinstance(label, np.generic) else label for label in targets}, key=str)
    if len(labels) < 2:
        raise DataError(
            "there is nothing to learn: fewer than two different labels", given=f"{len(labels)} label(s)"
        )
    field = Field(PLAIN_FIELD, "choice", tuple(labels))
    values = [label.item() if isinstance(label, np.generic) else label for label in targets]
    return [Targets(Problem(field, "classify", tuple(labels)), values)]
