"""What the dearest training runs cost, from a table in the form of Epoch AI's notable models.

Columns used: ``Publication date``, ``Training compute cost (2023 USD)`` or ``Training compute (FLOP)``, ``Domain``
and ``Frontier model``. The choice of rows moves the doubling time (cost: 5 to 10 months; compute: 3.6 to 6.2), so
it is carried in the result. It fits what is in the table and knows no budget.
"""

from __future__ import annotations

import csv
import math
from datetime import date
from pathlib import Path
from typing import Literal

from understudy.economics.trends import TrendFit, fit_exponential
from understudy.errors import ConfigError, DataError

__all__ = ["COST_COLUMN", "FLOP_COLUMN", "leading_run_trend"]

COST_COLUMN = "Training compute cost (2023 USD)"
FLOP_COLUMN = "Training compute (FLOP)"
Subset = Literal["all", "frontier", "language"]


def leading_run_trend(
    path: str | Path,
    *,
    column: str = COST_COLUMN,
    since: date = date(2010, 1, 1),
    subset: Subset = "frontier",
    confidence: float = 0.9,
    seed: int = 0,
) -> TrendFit:
    """Doubling time of the leading runs.

    Parameters
    ----------
    column
        Cost or FLOP.
    since
        First day.
    subset
        ``frontier``: rows marked as frontier models; ``language``: of that domain; ``all``. All rows of the subset are
        on the line, records or not.

    Raises
    ------
    ConfigError
        If the file cannot be read or lacks a column.
    DataError
        If too few rows are left.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError("the table of models cannot be read", given=f"{path}: {error}") from error
    needed = ("Publication date", column, "Domain", "Frontier model")
    missing = [name for name in needed if rows and name not in rows[0]]
    if missing or not rows:
        raise ConfigError(
            "the table of models lacks a column" if rows else "the table of models holds no rows",
            given=", ".join(missing) or str(path),
            todo="give a table with the columns of Epoch AI's notable models",
        )
    days, values = [], []
    for row in rows:
        day, value = _day(row["Publication date"]), _number(row[column])
        if day is None or value is None or day < since or not _is_in(row, subset):
            continue
        days.append(day)
        values.append(value)
    if len(days) < 5:
        raise DataError("too few rows for a trend", given=f"{len(days)} rows with {column} in {subset}")
    chosen = f"{len(days)} rows: {subset}, since {since.isoformat()}, {column}"
    return fit_exponential(days, values, confidence=confidence, seed=seed, chosen=chosen)


def _is_in(row: dict[str, str], subset: Subset) -> bool:
    if subset == "frontier":
        return (row["Frontier model"] or "").strip().lower() in ("true", "yes", "1", "checked")
    return subset == "all" or "language" in (row["Domain"] or "").lower()


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat((text or "").strip())
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float((text or "").strip())
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
