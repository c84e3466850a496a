"""What the dearest training runs cost, from a table in the form of Epoch AI's notable models.

Columns used: ``Publication date``, ``Training compute cost (2023 USD)`` or ``Training compute (FLOP)``, ``Domain``
and ``Frontier model``. The choice of rows moves the doubling time, so it is carried in the result, and
:func:`subset_trends` fits all choices of :data:`SUBSETS`, :data:`STARTS` and :data:`KEEPS`. It fits what is in the
table and knows no budget.
"""

from __future__ import annotations

import csv
import itertools
import math
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Literal

from understudy.economics.trends import Keep, TrendFit, fit_exponential
from understudy.errors import ConfigError, DataError

__all__ = ["COST_COLUMN", "FLOP_COLUMN", "KEEPS", "STARTS", "SUBSETS", "leading_run_trend", "subset_trends"]

COST_COLUMN = "Training compute cost (2023 USD)"
FLOP_COLUMN = "Training compute (FLOP)"
Subset = Literal["all", "frontier", "language"]
SUBSETS: tuple[Subset, ...] = ("all", "frontier", "language")
STARTS = (date(2010, 1, 1), date(2012, 1, 1), date(2015, 10, 1), date(2018, 1, 1), date(2020, 1, 1))
"""First days that are compared. The source names 2010 alone; the others bracket what its authors call the eras of
deep learning and of large models."""
KEEPS: tuple[Keep, ...] = ("all", "highest")


def leading_run_trend(
    path: str | Path,
    *,
    column: str = COST_COLUMN,
    since: date = date(2010, 1, 1),
    subset: Subset = "frontier",
    keep: Keep = "all",
    confidence: float = 0.9,
    n_draws: int = 500,
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
        ``frontier``: rows marked as frontier models; ``language``: of that domain; ``all``.
    keep
        ``all``: every row of the subset is on the line, which is then the typical run; ``highest``: records only
        (dearer than all before), which is the leading run.
    n_draws, seed
        Of the interval; 0 draws for none.

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
    which = f"{subset}, since {since.isoformat()}, {column}"
    found = fit_exponential(
        days, values, keep=keep, confidence=confidence, n_draws=n_draws, seed=seed, chosen=which
    )
    rows_words = f"{len(days)} rows" if keep == "all" else f"the {found.n_used} records of {len(days)} rows"
    return replace(found, chosen=f"{rows_words}: {which}")


def subset_trends(
    path: str | Path, *, column: str = FLOP_COLUMN
) -> dict[tuple[Subset, date, Keep], TrendFit]:
    """The trend by every choice of rows, without intervals: how far the choice moves it.

    Raises
    ------
    ConfigError, DataError
        As :func:`leading_run_trend`.
    """
    return {
        (subset, since, keep): leading_run_trend(
            path, column=column, since=since, subset=subset, keep=keep, n_draws=0
        )
        for subset, since, keep in itertools.product(SUBSETS, STARTS, KEEPS)
    }


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
