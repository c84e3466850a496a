"""Exponential trends: published doubling times with their source, and fits of one's own with intervals.

``ln(value) = A * t + B``, by least squares, over all points or over the records only (each better than all before).
Intervals are from drawing points with replacement, the records found anew in each draw. It holds as long as the
trend does: it knows no ceiling and no turn, and a choice of subset moves it more than its interval says, which is
why every fit carries how its points were chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from understudy.errors import DataError

__all__ = [
    "DAYS_PER_MONTH",
    "DAYS_PER_YEAR",
    "NAMED_TRENDS",
    "NamedTrend",
    "TrendFit",
    "combined_doubling_days",
    "doubling_days_between",
    "fit_exponential",
    "records_of",
]

FloatArray = npt.NDArray[np.float64]
Keep = Literal["all", "highest", "lowest"]

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / 12


@dataclass(frozen=True, slots=True)
class NamedTrend:
    """A published doubling (or halving) time.

    Attributes
    ----------
    doubling_days
        Days per factor of 2.
    low_days, high_days
        Range that the sources span; equal to `doubling_days` where there is one figure only.
    what
        What doubles.
    source
        Where it is from.
    """

    doubling_days: float
    low_days: float
    high_days: float
    what: str
    source: str


def _months(value: float, low: float, high: float, what: str, source: str) -> NamedTrend:
    return NamedTrend(value * DAYS_PER_MONTH, low * DAYS_PER_MONTH, high * DAYS_PER_MONTH, what, source)


NAMED_TRENDS: dict[str, NamedTrend] = {
    "density": NamedTrend(
        100.0,
        95.0,
        3.5 * DAYS_PER_MONTH,
        "best capability density of released open models",
        "Xiao et al., Densing law of LLMs, arXiv 2412.04315: about 3.3 months (100 days); its own fit also 95 days; "
        "the later journal version 3.5 months over 51 models",
    ),
    "density-before-chatgpt": _months(
        4.8, 4.8, 4.8, "the same, before 2022-11-30", "Xiao et al., arXiv 2412.04315"
    ),
    "density-after-chatgpt": _months(
        3.2, 3.2, 3.2, "the same, from 2022-11-30 on", "Xiao et al., arXiv 2412.04315"
    ),
    "chips": NamedTrend(
        2.1 * DAYS_PER_YEAR,
        2.1 * DAYS_PER_YEAR,
        2.5 * DAYS_PER_YEAR,
        "FLOP/s per dollar of accelerators",
        "Hobbhahn, Heim, Aydos, Trends in machine learning hardware (Epoch AI 2023): 2.1 years for accelerators of "
        "machine learning, 2.5 for graphics cards at large",
    ),
    "circuits": _months(
        18,
        18,
        24,
        "transistors per area",
        "Moore's law as commonly quoted (18 months); Moore 1975: 24 months",
    ),
    "batteries": NamedTrend(
        10 * DAYS_PER_YEAR,
        10 * DAYS_PER_YEAR,
        10 * DAYS_PER_YEAR,
        "energy per mass of batteries",
        "as stated beside the densing law: about 10 years",
    ),
    "leading-run-cost": _months(
        10,
        6,
        10,
        "cost of the dearest training run",
        "6 to 10 months in print; frontier models in Epoch AI's table of notable models since 2010, cost in dollars of "
        "2023: 7.1 by this module's fit",
    ),
    "leading-run-compute": _months(
        5.5,
        3.6,
        6.2,
        "training compute of frontier models",
        "Epoch AI's table of notable models since 2010; 3.6 to 6.2 by choice of subset in print, 3.7 to 5.9 over the "
        "subsets of epoch_table.subset_trends",
    ),
}
"""Published trends by name."""


@dataclass(frozen=True, slots=True)
class TrendFit:
    """A fitted trend.

    Attributes
    ----------
    rate_per_day
        ``A``: change of the natural logarithm per day.
    log_level
        ``B``: logarithm of the value on `origin`.
    origin
        Day 0: the first point fitted.
    r_squared
        Share of the variance of the logarithm that the line explains; ``None`` for two points.
    doubling_days
        ``ln 2 / A``; negative where the value halves, ``None`` where it does not move.
    doubling_days_lower, doubling_days_upper
        Interval; ``None`` on a side where draws do not agree on the direction, or there are too few of them.
    confidence
        Of the interval.
    n_given, n_used
        Points given, and points on the line.
    used
        Days (ISO) and values on the line.
    chosen
        How the points were chosen, in words.
    rates, log_levels
        Draws of the line, pairwise: its rate, and its logarithm on `origin`.
    """

    rate_per_day: float
    log_level: float
    origin: date
    r_squared: float | None
    doubling_days: float | None
    doubling_days_lower: float | None
    doubling_days_upper: float | None
    confidence: float
    n_given: int
    n_used: int
    used: tuple[tuple[str, float], ...]
    chosen: str
    rates: tuple[float, ...]
    log_levels: tuple[float, ...]

    def value_on(self, day: date) -> float:
        """The line's value on a day."""
        return math.exp(self.log_level + self.rate_per_day * (day - self.origin).days)

    @property
    def doubling_months(self) -> tuple[float | None, float | None, float | None]:
        """Doubling time in months of 30.44 days, with the ends of its interval."""
        days = (self.doubling_days, self.doubling_days_lower, self.doubling_days_upper)
        value, lower, upper = (None if one is None else one / DAYS_PER_MONTH for one in days)
        return value, lower, upper

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the draws."""
        found = asdict(self)
        del found["rates"], found["log_levels"]
        return {**found, "origin": self.origin.isoformat()}


def doubling_days_between(first: float, last: float, days: float) -> float:
    """Days per factor of 2 of a value that goes from `first` to `last`; negative where it falls.

    Raises
    ------
    DataError
        If a value is not above 0, they are equal, or no time passes.
    """
    if not (first > 0 and last > 0 and days > 0) or first == last:
        raise DataError(
            "a doubling time needs two different values above 0 and some days between them",
            given=f"{first}, {last}, {days} days",
        )
    return days / math.log2(last / first)


def combined_doubling_days(*doubling_days: float) -> float:
    """Doubling time of a product: rates add, ``1 / T = sum(1 / T_i)``.

    Raises
    ------
    DataError
        If a time is 0 or not finite, or the rates cancel.
    """
    if not doubling_days or any(not math.isfinite(one) or one == 0 for one in doubling_days):
        raise DataError("doubling times must be finite and not 0", given=repr(doubling_days))
    rate = sum(1 / one for one in doubling_days)
    if rate == 0:
        raise DataError("the rates cancel: the product does not move", given=repr(doubling_days))
    return 1 / rate


def records_of(days: FloatArray, values: FloatArray, keep: Keep) -> npt.NDArray[np.int64]:
    """Which points are records, by rising day: better than all before them. With ``all``: every point."""
    sign = -1.0 if keep == "lowest" else 1.0
    order = np.lexsort((-sign * values, days))
    if keep == "all":
        return order
    ranked = sign * values[order]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(ranked)[:-1]])
    return order[ranked > before]


def fit_exponential(
    days: Sequence[date],
    values: Sequence[float],
    *,
    keep: Keep = "all",
    since: date | None = None,
    until: date | None = None,
    value_draws: FloatArray | None = None,
    confidence: float = 0.9,
    n_draws: int = 500,
    seed: int = 0,
    chosen: str = "all points",
) -> TrendFit:
    """Fit a trend.

    Parameters
    ----------
    days, values
        Of equal length; values above 0.
    keep
        ``highest`` or ``lowest`` for records only.
    since, until
        Only records from the one day, and before the other, are on the line; what counts as a record is still
        decided over all points.
    value_draws
        Shape (any, points): other possible values of all points together, one row per draw, so that what the
        values share is in the interval. Not finite or 0 leaves a point out of that draw.
    chosen
        How the points were chosen, for the reader.

    Raises
    ------
    DataError
        If values are not above 0, or fewer than two days are left to draw a line through.
    """
    if len(days) != len(values) or not len(days):
        raise DataError("a trend needs as many days as values, and some", given=f"{len(days)}, {len(values)}")
    y = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(y).all() and (y > 0).all()):
        raise DataError("values of an exponential trend must be above 0")
    ordinal = np.array([day.toordinal() for day in days], dtype=np.float64)
    window = (
        -math.inf if since is None else since.toordinal(),
        math.inf if until is None else until.toordinal(),
    )
    at = _on_the_line(ordinal, y, keep, window)
    if len(np.unique(ordinal[at])) < 2:
        raise DataError(
            "a trend needs points on at least two days",
            given=f"{len(y)} points given, {len(at)} of them {'records ' if keep != 'all' else ''}in the range of days",
        )
    rate, level = _line(ordinal[at] - ordinal[at][0], np.log(y[at]))
    lines = _lines(ordinal, y, keep, window, value_draws, n_draws, seed, ordinal[at][0])
    rates = lines[:, 0]
    low, high = _doubling_interval(rates, n_draws, rate, confidence)
    return TrendFit(
        rate_per_day=rate,
        log_level=level,
        origin=date.fromordinal(int(ordinal[at][0])),
        r_squared=_r_squared(ordinal[at] - ordinal[at][0], np.log(y[at]), rate, level),
        doubling_days=math.log(2) / rate if abs(rate) > 1e-12 else None,
        doubling_days_lower=low,
        doubling_days_upper=high,
        confidence=confidence,
        n_given=len(y),
        n_used=len(at),
        used=tuple((date.fromordinal(int(ordinal[one])).isoformat(), float(y[one])) for one in at),
        chosen=chosen,
        rates=tuple(float(one) for one in rates),
        log_levels=tuple(float(one) for one in lines[:, 1]),
    )


def _on_the_line(
    days: FloatArray, values: FloatArray, keep: Keep, window: tuple[float, float]
) -> npt.NDArray[np.int64]:
    at = records_of(days, values, keep)
    return at[(days[at] >= window[0]) & (days[at] < window[1])]


def _line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    centred = x - x.mean()
    slope = float((centred * y).sum() / (centred**2).sum())
    return slope, float(y.mean() - slope * x.mean())


def _r_squared(x: FloatArray, y: FloatArray, slope: float, level: float) -> float | None:
    total = float(((y - y.mean()) ** 2).sum())
    if len(y) < 3 or total == 0:
        return None
    return 1 - float(((y - slope * x - level) ** 2).sum()) / total


def _lines(
    days: FloatArray,
    values: FloatArray,
    keep: Keep,
    window: tuple[float, float],
    value_draws: FloatArray | None,
    n_draws: int,
    seed: int,
    origin: float,
) -> FloatArray:
    """Shape (draws, 2): rate per day, and logarithm of the value on `origin`, of each draw of points."""
    rng = np.random.default_rng(seed)
    lines = []
    for b in range(n_draws):
        row = values if value_draws is None or not len(value_draws) else value_draws[b % len(value_draws)]
        pick = rng.integers(0, len(values), size=len(values))
        pick = pick[np.isfinite(row[pick]) & (row[pick] > 0)]
        if not len(pick):
            continue
        at = pick[_on_the_line(days[pick], row[pick], keep, window)]
        if len(np.unique(days[at])) >= 2:
            lines.append(_line(days[at] - origin, np.log(row[at])))
    return np.asarray(lines, dtype=np.float64).reshape(-1, 2)


def _doubling_interval(
    rates: FloatArray, n_draws: int, rate: float, confidence: float
) -> tuple[float | None, float | None]:
    """Doubling times, the shorter first. Open where the rate could be 0: the time is then endless."""
    if len(rates) < max(n_draws / 2, 20):
        return None, None
    tail = (1 - confidence) / 2
    low, high = (float(one) for one in np.quantile(rates, [tail, 1 - tail]))
    sign = 1.0 if rate >= 0 else -1.0
    slow, fast = sorted((sign * low, sign * high))
    slow, fast = min(slow, sign * rate), max(fast, sign * rate)
    short = sign * math.log(2) / fast if fast > 0 else None
    long = sign * math.log(2) / slow if slow > 0 else None
    return short, long
