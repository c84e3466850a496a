"""Figure 4: the cost of the leading training run, and how fast it and its compute double."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

from understudy.economics.epoch_table import (
    COST_COLUMN,
    FLOP_COLUMN,
    KEEPS,
    STARTS,
    SUBSETS,
    leading_run_trend,
    subset_trends,
)
from understudy.economics.trends import DAYS_PER_MONTH, DAYS_PER_YEAR, TrendFit
from understudy.planning.figures.figure import Claim, Figure, about, at_most, between

__all__ = ["figures", "leading_run_months"]

_POINTS = "epoch_notable_models_trimmed.csv"


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
            assumption=(
                "GPT-4 cost $100M and no more, on the day of its announcement; it was 'over $100M', which is earlier"
            ),
            assumed=years[months],
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
                (
                    f"{len(SUBSETS) * len(STARTS) * len(KEEPS)} subsets: {', '.join(SUBSETS)} models; since "
                    f"{', '.join(day.isoformat()[:7] for day in STARTS)}; all rows or records only"
                ),
                "accepted: months of compute within 5 %",
            ],
            [*claims, *_measured(data)],
        )
    ]


def _measured(data: Path | None) -> list[Claim]:
    path = None if data is None else data / _POINTS
    if path is None or not path.is_file():
        return [Claim(name="measured doubling times", missing=f"needs --data with {_POINTS}")]
    months = {key: _months(trend) for key, trend in subset_trends(path, column=FLOP_COLUMN).items()}
    return [
        Claim(
            name="compute, frontier models since 2010",
            unit="months",
            published=about(5.5, 0.05),
            computed=months["frontier", STARTS[0], "all"],
        ),
        Claim(
            name="compute, fastest subset",
            unit="months",
            published=about(3.6, 0.05),
            computed=min(months.values()),
        ),
        Claim(
            name="compute, slowest subset",
            unit="months",
            published=about(6.2, 0.05),
            computed=max(months.values()),
        ),
        Claim(
            name="cost, frontier models since 2010",
            unit="months",
            published=between(6, 10),
            computed=_months(leading_run_trend(path, column=COST_COLUMN, n_draws=0)),
        ),
    ]


def _months(trend: TrendFit) -> float:
    assert trend.doubling_days is not None, "compute and cost grow"
    return trend.doubling_days / DAYS_PER_MONTH
