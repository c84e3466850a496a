"""Figure 4: the cost of the leading training run, and how fast it and its compute double."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

from understudy.economics.trends import DAYS_PER_MONTH, DAYS_PER_YEAR, Keep, fit_exponential
from understudy.planning.figures.figure import Claim, Figure, about, at_most, between

__all__ = ["figures", "leading_run_months"]

_POINTS = "epoch_notable_models_trimmed.csv"
_COMPUTE, _COST = "Training compute (FLOP)", "Training compute cost (2023 USD)"
_STARTS = (date(2010, 1, 1), date(2012, 1, 1), date(2015, 10, 1), date(2018, 1, 1), date(2020, 1, 1))
_KEEPS: tuple[Keep, ...] = ("all", "highest")
Row = Mapping[str, str]
_GROUPS: dict[str, Callable[[Row], bool]] = {
    "all": lambda row: True,  # noqa: ARG005
    "frontier": lambda row: row["Frontier model"] == "True",
    "language": lambda row: "Language" in row["Domain"],
}


def leading_run_months(from_usd: float, to_usd: float, doubling_months: float) -> float:
    """Months until a cost that doubles every `doubling_months` has grown from one sum to another."""
    return doubling_months * math.log2(to_usd / from_usd)


def figures(data: Path | None = None) -> list[Figure]:
    """Entry 4; with `data`, the folder of published points, the measured doubling times too."""
    announced = date(2023, 3, 14)
    start = announced.year + announced.timetuple().tm_yday / DAYS_PER_YEAR
    years = {months: start + leading_run_months(1e8, 1e9, months) / 12 for months in (6, 10)}
    claims = [
        Claim(
            name=f"passes $1B, doubling in {months} months",
            unit="year",
            published=at_most(2027.0, "by the end of 2026"),
            computed=years[months],
        )
        for months in (10, 6)
    ]
    return [
        Figure(
            "4",
            "the cost of a leading run",
            "GPT-4 cost over $100M to develop; if the cost of the leading run doubles every 10 months (6 to 10 in the "
            "source), a leading run passes $1B by 2026. Epoch's own data give 5.5 months for compute since 2010; the "
            "subset chosen matters (3.6 to 6.2).",
            [
                "GPT-4's announcement, 2023-03-14, as the start",
                "subsets: all, frontier and language models; since 2010, 2012, 2015-10, 2018, 2020; all points or records",
            ],
            [*claims, *_measured(data)],
        )
    ]


def _measured(data: Path | None) -> list[Claim]:
    path = None if data is None else data / _POINTS
    if path is None or not path.is_file():
        return [Claim(name="measured doubling times", missing=f"needs --data with {_POINTS}")]
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    by_subset = {
        key: _doubling_months(rows, _COMPUTE, *key) for key in itertools.product(_GROUPS, _STARTS, _KEEPS)
    }
    return [
        Claim(
            name="compute, frontier models since 2010",
            unit="months",
            published=about(5.5, 0.05),
            computed=by_subset["frontier", _STARTS[0], "all"],
        ),
        Claim(
            name="compute, fastest subset",
            unit="months",
            published=about(3.6, 0.05),
            computed=min(by_subset.values()),
        ),
        Claim(
            name="compute, slowest subset",
            unit="months",
            published=about(6.2, 0.05),
            computed=max(by_subset.values()),
        ),
        Claim(
            name="cost, frontier models since 2010",
            unit="months",
            published=between(6, 10),
            computed=_doubling_months(rows, _COST, "frontier", _STARTS[0], "all"),
        ),
    ]


def _doubling_months(rows: Sequence[Row], column: str, group: str, since: date, keep: Keep) -> float:
    days, values = [], []
    for row in rows:
        if not row[column] or not row["Publication date"] or not _GROUPS[group](row):
            continue
        day = date.fromisoformat(row["Publication date"])
        if day >= since:
            days.append(day)
            values.append(float(row[column]))
    found = fit_exponential(days, values, keep=keep, n_draws=0).doubling_days
    assert found is not None, "compute grows"
    return found / DAYS_PER_MONTH
