"""Reference families and tables of models: rows of a CSV file as checked columns.

Only final checkpoints belong in a family: at a checkpoint in the middle of a run the learning rate has not come
down yet, so its loss is above what the same number of tokens would have given. It knows nothing of fits.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import ConfigError, DataError

__all__ = ["FamilyPoint", "number_in", "read_family", "read_rows"]


@dataclass(frozen=True, slots=True)
class FamilyPoint:
    """One model of a reference family, at the end of its training.

    Attributes
    ----------
    n_parameters, n_tokens
        Size, and tokens trained on; above 0.
    loss
        Loss on held-out text, or bits per byte of a benchmark's right answers; above 0. ``None`` where unknown.
    score
        Share of a benchmark that is right, from 0 to 1; ``None`` where unknown.
    name
        For messages and charts.
    """

    n_parameters: float
    n_tokens: float
    loss: float | None = None
    score: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        for field in ("n_parameters", "n_tokens", "loss"):
            value = getattr(self, field)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise DataError(
                    f"{field} of a family's model must be above 0", given=f"{self.name} {value}".strip()
                )
        if self.score is not None and not 0 <= self.score <= 1:
            raise DataError(
                "a score must be a share from 0 to 1",
                given=f"{self.name} {self.score}".strip(),
                todo="divide percentages by 100",
            )


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV file with a heading.

    Raises
    ------
    ConfigError
        If it cannot be read, or holds no rows.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            found = [
                {key: (value or "").strip() for key, value in row.items() if key is not None}
                for row in csv.DictReader(stream)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            "a table cannot be read", given=f"{path}: {error}", todo="give a CSV file"
        ) from error
    if not found:
        raise DataError("a table holds no rows", given=str(path))
    return found


def number_in(row: dict[str, str], column: str, at: int, *, scale: float = 1.0) -> float | None:
    """A number of a row; ``None`` where the cell is empty.

    Raises
    ------
    ConfigError
        If there is no such column.
    DataError
        If the cell holds no finite number, naming line and column.
    """
    if column not in row:
        raise ConfigError(
            f"the table has no column {column!r}", given=f"columns: {', '.join(row)}", todo="name one of them"
        )
    if not row[column]:
        return None
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"line {at} of the table: {column} is no number", given=row[column][:40])
    return value * scale


def read_family(
    path: str | Path,
    *,
    n_column: str = "N",
    d_column: str = "D",
    loss_column: str | None = None,
    score_column: str | None = None,
    name_column: str | None = None,
    keep: Sequence[tuple[str, str]] = (),
    n_scale: float = 1.0,
    d_scale: float = 1.0,
) -> list[FamilyPoint]:
    """Models of a family from a CSV file; rows without size or tokens are left out.

    Parameters
    ----------
    keep
        Pairs of column and text: only rows whose cell is one of the texts given for that column.
    n_scale, d_scale
        Units of the columns: 1e9 where sizes are in billions.

    Raises
    ------
    ConfigError, DataError
        If the file, a column or a cell is wrong, or nothing is left.
    """
    wanted: dict[str, set[str]] = {}
    for column, text in keep:
        wanted.setdefault(column, set()).add(text)
    points = []
    for at, row in enumerate(read_rows(path), start=2):
        for column in wanted:
            if column not in row:
                raise ConfigError(f"the table has no column {column!r}", given=f"columns: {', '.join(row)}")
        if any(row[column] not in texts for column, texts in wanted.items()):
            continue
        n, d = number_in(row, n_column, at, scale=n_scale), number_in(row, d_column, at, scale=d_scale)
        if n is None or d is None:
            continue
        points.append(
            FamilyPoint(
                n,
                d,
                number_in(row, loss_column, at) if loss_column else None,
                number_in(row, score_column, at) if score_column else None,
                row.get(name_column, "") if name_column else "",
            )
        )
    if not points:
        raise DataError("no model of the table has a size and a number of tokens", given=str(path))
    return points
