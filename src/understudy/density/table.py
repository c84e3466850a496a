"""A table of models as dated densities: the input of a trend.

It knows nothing of trends; a model without a date, a score or a readable density is kept, with the reason.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from understudy.density.family import number_in, read_rows
from understudy.density.measure import REFERENCE_TOKENS, effective_draws, measure
from understudy.density.release_dates import release_of
from understudy.density.ruler import Ruler
from understudy.density.trend import DatedDensity
from understudy.errors import ConfigError, DataError

__all__ = ["read_densities"]


def read_densities(
    path: str | Path,
    *,
    ruler: Ruler | None = None,
    score_column: str | None = None,
    rho_column: str | None = None,
    n_column: str = "N",
    n_scale: float = 1.0,
    name_column: str = "model",
    date_column: str | None = None,
    family_column: str | None = None,
    reference_tokens: float = REFERENCE_TOKENS,
    keeps_near_ends: bool = False,
) -> list[DatedDensity]:
    """Models with dates; rows without a date or a size are left out.

    Parameters
    ----------
    ruler, score_column
        Measure scores; or
    rho_column
        take densities as they stand.
    date_column
        Release as YYYY-MM-DD; ``None`` for the dates that ship with the package, by name.
    keeps_near_ends
        Keep densities from scores within 5 % of the sigmoid's ends, which are mostly noise.

    Raises
    ------
    ConfigError
        If the file or a column is missing.
    DataError
        If a cell is wrong, or no row has a date and a size.
    """
    assert (ruler is None) != (rho_column is None), "a ruler or densities"
    found = []
    for at, row in enumerate(read_rows(path), start=2):
        for column in (name_column, date_column, family_column):
            if column is not None and column not in row:
                raise ConfigError(f"the table has no column {column!r}", given=f"columns: {', '.join(row)}")
        day = _day(row, name_column, date_column, at)
        n = number_in(row, n_column, at, scale=n_scale)
        if day is None or n is None:
            continue
        name = row[name_column]
        family = row[family_column] if family_column is not None else ""
        if rho_column is not None:
            rho = number_in(row, rho_column, at)
            found.append(DatedDensity(name, day, rho, n, family))
            continue
        assert ruler is not None, "checked above"
        assert score_column is not None, "a ruler measures scores"
        score = number_in(row, score_column, at)
        found.append(_measured(ruler, name, day, n, family, score, reference_tokens, keeps_near_ends))
    if not found:
        raise DataError(
            "no model of the table has a release date and a size",
            given=str(path),
            todo="name the column of dates (--date), or use names that the built-in list knows",
        )
    return found


def _day(row: dict[str, str], name_column: str, date_column: str | None, at: int) -> date | None:
    if date_column is None:
        release = release_of(row[name_column])
        return None if release is None else release.day
    if not row[date_column]:
        return None
    try:
        return date.fromisoformat(row[date_column])
    except ValueError:
        raise DataError(
            f"line {at} of the table: {date_column} is no date",
            given=row[date_column][:40],
            todo="YYYY-MM-DD",
        ) from None


def _measured(
    ruler: Ruler,
    name: str,
    day: date,
    n: float,
    family: str,
    score: float | None,
    reference_tokens: float,
    keeps_near_ends: bool,
) -> DatedDensity:
    blank = (float("nan"),) * len(ruler.draws)
    if score is None:
        return DatedDensity(name, day, None, n, family, blank, "it has no score")
    size = measure(ruler, n_parameters=n, score=score, reference_tokens=reference_tokens).reference
    near = [flag for flag in size.flags if flag in ("near_chance", "saturated")]
    if near and not keeps_near_ends:
        return DatedDensity(name, day, None, n, family, blank, f"its score is too near an end ({near[0]})")
    if size.rho is None:
        short = size.flags[0] if size.flags else "unknown"
        return DatedDensity(
            name, day, None, n, family, blank, f"no density can be read from its score ({short})"
        )
    draws = effective_draws(ruler, score=score, n_tokens=reference_tokens) / n
    return DatedDensity(name, day, size.rho, n, family, tuple(float(one) for one in draws))
