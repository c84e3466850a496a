"""Training runs as columns: size, tokens, loss; checked once, here.

Reads CSV files and arrays. It does not know how a run counted its parameters (with or without embeddings) or
on which text its loss was measured: runs of one set must have done both alike.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from understudy.economics.scaling.flop import TRAINING_FLOP
from understudy.errors import ConfigError, DataError

__all__ = ["TrainingRuns", "read_runs"]

FloatArray = npt.NDArray[np.float64]
Column = Sequence[float] | FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRuns:
    """Finished training runs.

    Attributes
    ----------
    parameters, tokens, loss
        Parameters of the model, tokens it was trained on, final loss in nats per token; shape (n,), all
        finite and above 0.
    """

    parameters: FloatArray
    tokens: FloatArray
    loss: FloatArray

    def __post_init__(self) -> None:
        for name in ("parameters", "tokens", "loss"):
            object.__setattr__(self, name, _checked(name, getattr(self, name)))
        lengths = {name: len(getattr(self, name)) for name in ("parameters", "tokens", "loss")}
        if len(set(lengths.values())) > 1:
            raise DataError("the columns of the runs differ in length", given=str(lengths))

    def __len__(self) -> int:
        return len(self.loss)

    @classmethod
    def from_flops(cls, parameters: Column, flops: Column, loss: Column) -> TrainingRuns:
        """Runs whose training compute is known in place of their tokens: ``tokens = flops / (6 parameters)``.

        Raises
        ------
        DataError
            If a value is not finite and above 0, or the lengths differ.
        """
        sizes, compute = _checked("parameters", parameters), _checked("flops", flops)
        if len(sizes) != len(compute):
            raise DataError(
                "the columns of the runs differ in length",
                given=f"{{'parameters': {len(sizes)}, 'flops': {len(compute)}}}",
            )
        return cls(sizes, compute / (TRAINING_FLOP * sizes), np.asarray(loss, dtype=np.float64))

    @property
    def flops(self) -> FloatArray:
        """Training compute ``6 N D``, shape (n,)."""
        return np.asarray(TRAINING_FLOP * self.parameters * self.tokens, dtype=np.float64)

    @property
    def tokens_per_parameter(self) -> FloatArray:
        """``D / N``, shape (n,)."""
        return np.asarray(self.tokens / self.parameters, dtype=np.float64)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> TrainingRuns:
        """A part of the runs, by index or mask."""
        return TrainingRuns(self.parameters[rows], self.tokens[rows], self.loss[rows])


def _checked(name: str, values: Column) -> FloatArray:
    """`values` as one column of positive numbers."""
    try:
        column = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} of the runs are not numbers", todo="give one number per run") from None
    if column.ndim != 1:
        raise DataError(f"{name} of the runs must be one column", given=f"shape {column.shape}")
    bad = np.flatnonzero(~(np.isfinite(column) & (column > 0)))
    if bad.size:
        raise DataError(
            f"{name} of the runs must be finite and above 0",
            given=f"{column[bad[0]]} in row {bad[0]} (counted from 0)"
            + (f", and {bad.size - 1} more" if bad.size > 1 else ""),
            todo="leave out the runs that did not finish",
        )
    column.flags.writeable = False
    return column


def read_runs(
    path: str | Path,
    *,
    parameters: str = "parameters",
    loss: str = "loss",
    tokens: str | None = "tokens",
    flops: str | None = None,
) -> TrainingRuns:
    """Read runs from a CSV file with a header.

    Parameters
    ----------
    path
        The file.
    parameters, loss, tokens, flops
        Names of columns. With `flops`, `tokens` is not read and follows as ``flops / (6 parameters)``.

    Raises
    ------
    ConfigError
        If a column is missing, or neither `tokens` nor `flops` is named.
    DataError
        If the file cannot be read, is empty, or holds values that are not finite and above 0.
    """
    third = flops or tokens
    if third is None:
        raise ConfigError("a run needs its tokens or its training FLOP", todo="name one of the two columns")
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            names = list(reader.fieldnames or [])
            rows = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("the file of runs cannot be read", given=f"{path}: {error}") from None
    for name in (parameters, third, loss):
        if name not in names:
            raise ConfigError(
                f"the file of runs has no column {name!r}",
                given=f"{path} with {', '.join(names) or 'no header'}",
                todo="name the columns that hold parameters, tokens (or FLOP) and loss",
            )
    if not rows:
        raise DataError("the file of runs has no rows", given=str(path))
    columns = [_numbers(rows, name) for name in (parameters, third, loss)]
    return TrainingRuns.from_flops(*columns) if flops else TrainingRuns(*columns)


def _numbers(rows: list[dict[str, str]], name: str) -> FloatArray:
    try:
        return np.array([float(row[name]) for row in rows], dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"column {name!r} of the file of runs holds something that is not a number") from None
