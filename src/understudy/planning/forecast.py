"""When an ability fits a device: two exponential curves and where they cross.

The size that an ability takes halves with every doubling of capability density (Xiao et al., "Densing law of LLMs",
arXiv 2412.04315); what a device holds is fixed, or grows with its own trend. The crossing is
``t = T * log2(size / capacity)``, with rates adding where both move. Intervals are from drawing the doubling times
(evenly in logarithm over the range that their sources span, or from a fit's own draws) and unknown sizes likewise;
they hold that uncertainty and no other: whether the trend goes on is not in them, and :attr:`Crossing.n_doublings`
says how far it is carried. A published size of an ability is a point, not a promise for your task.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.economics.trends import NAMED_TRENDS, NamedTrend, TrendFit
from understudy.errors import ConfigError, DataError

__all__ = [
    "Crossing",
    "Doubling",
    "Range",
    "cost_reaches",
    "forecast_fit",
    "gpt4_class_forecast",
    "size_after",
    "useful_until",
]

FloatArray = npt.NDArray[np.float64]
_FURTHEST_YEARS = 30.0
_N_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Range:
    """A value with the range it may lie in; draws are even in logarithm.

    Attributes
    ----------
    value, low, high
        Above 0; ``low <= value <= high``.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0 < self.low <= self.value <= self.high and math.isfinite(self.high)):
            raise DataError(
                "a range needs 0 < low <= value <= high", given=f"{self.low}, {self.value}, {self.high}"
            )

    @classmethod
    def fixed(cls, value: float) -> Range:
        """A value without doubt."""
        return cls(value, value, value)

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Values, even in logarithm between the ends."""
        return np.asarray(np.exp(rng.uniform(math.log(self.low), math.log(self.high), size=count)))


@dataclass(frozen=True, slots=True)
class Doubling:
    """A doubling time in days: a range, or the draws of a fitted rate.

    Attributes
    ----------
    days
        With its range.
    rates
        Draws of the rate per day, from a fit; empty to draw from the range.
    """

    days: Range
    rates: tuple[float, ...] = ()

    @classmethod
    def named(cls, trend: NamedTrend) -> Doubling:
        """Of a published trend."""
        return cls(Range(trend.doubling_days, trend.low_days, trend.high_days))

    @classmethod
    def fitted(cls, fit: TrendFit) -> Doubling:
        """Of a fit, with its draws.

        Raises
        ------
        DataError
            If the trend does not rise.
        """
        if fit.doubling_days is None or fit.doubling_days <= 0:
            raise DataError("the fitted trend does not rise, so nothing doubles", given=fit.chosen)
        return cls(Range.fixed(fit.doubling_days), fit.rates)

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Doublings per day; a fit's draw that does not rise is 0 or less."""
        if self.rates:
            return np.asarray(rng.choice(np.asarray(self.rates), size=count) / math.log(2))
        return np.asarray(1 / self.days.draw(rng, count))


@dataclass(frozen=True, slots=True)
class Crossing:
    """When the one curve meets the other.

    Attributes
    ----------
    day
        ``None`` with `reason`.
    lower, median, upper
        Of the draws: ends of the interval, and middle; ``None`` where that share of draws does not cross within 30
        years. `day` is by the stated values: where those are not the middle of their ranges, the median differs.
    n_doublings
        How many doublings it takes: 0 or less where it fits from the start.
    is_already
        Whether it fitted on the first day.
    """

    day: date | None
    lower: date | None
    median: date | None
    upper: date | None
    confidence: float
    n_doublings: float
    doubling_days: float
    is_already: bool
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        found = asdict(self)
        return {key: value.isoformat() if isinstance(value, date) else value for key, value in found.items()}


def size_after(n_parameters: float, days: float, doubling_days: float) -> float:
    """Parameters that carry the same ability after some days: ``n / 2**(days / doubling_days)``.

    Training compute at equal data falls by the same factor (6 N D).
    """
    return float(n_parameters / 2 ** (days / doubling_days))


def useful_until(released: date, doubling: Doubling, *, confidence: float = 0.9, seed: int = 0) -> Crossing:
    """The day by which half the size should do: one doubling of density after release."""
    return _crossing(released, Range.fixed(2.0), Range.fixed(1.0), [doubling], confidence, seed)


def cost_reaches(trend: TrendFit, target_usd: float) -> Crossing:
    """When the line of the leading run's cost passes `target_usd`.

    The line should be through records (``leading_run_trend(keep="highest")``): a line through all frontier runs is
    the typical run, which any day costs less than the dearest. Each draw of the fit is a whole line, rate and level
    together, and the interval is of the days on which the drawn lines pass. Days count from the last point.

    Raises
    ------
    ConfigError
        If the target is not above 0.
    DataError
        If the trend does not rise.
    """
    if not (math.isfinite(target_usd) and target_usd > 0):
        raise ConfigError("the cost to reach must be above 0", given=repr(target_usd))
    if trend.doubling_days is None or trend.doubling_days <= 0:
        raise DataError("the fitted trend does not rise, so no cost is reached", given=trend.chosen)
    last = max(date.fromisoformat(day) for day, _ in trend.used)
    dearest = max(value for _, value in trend.used)
    if dearest >= target_usd:
        return _crossing_of(
            last, 0.0, np.zeros(0), trend.confidence, math.log2(target_usd / dearest), trend.doubling_days
        )
    since = (last - trend.origin).days
    rates, levels = np.asarray(trend.rates), np.asarray(trend.log_levels)
    days = _days_to(math.log(target_usd) - levels - rates * since, rates)
    middle = (math.log(target_usd) - trend.log_level) / trend.rate_per_day - since
    return _crossing_of(
        last, middle, days, trend.confidence, middle / trend.doubling_days, trend.doubling_days
    )


def forecast_fit(
    *,
    n_parameters: Range,
    on: date,
    capacity: Range,
    density: Doubling,
    device: Doubling | None = None,
    confidence: float = 0.9,
    seed: int = 0,
) -> Crossing:
    """When an ability that took `n_parameters` on a day fits a device that then held `capacity` parameters.

    Parameters
    ----------
    density
        Doubling of capability density.
    device
        Doubling of what the device holds; ``None`` for a device that stays as it is.

    Raises
    ------
    ConfigError
        If the confidence is out of range.
    """
    moving = [density] if device is None else [density, device]
    return _crossing(on, n_parameters, capacity, moving, confidence, seed)


def gpt4_class_forecast(*, capacity: float, density: Doubling | None = None, seed: int = 0) -> Crossing:
    """When what GPT-4 could do on 2023-03-14 fits `capacity` parameters.

    GPT-4's size was never published. The range 220B to 1.8T holds what was reported of it unofficially (parts and
    whole); as dense parameters of the density of its day it is an assumption, and it widens the interval. Density
    doubles in 95 days to 4.8 months, all that arXiv 2412.04315 gives for any period, unless given otherwise; draws are
    even in logarithm over that range, whose middle is 118 days, so the median of the draws is later than the day by
    the headline's 100 days.
    """
    doubling = density
    if doubling is None:
        spans = [
            NAMED_TRENDS[name] for name in ("density", "density-before-chatgpt", "density-after-chatgpt")
        ]
        low, high = min(one.low_days for one in spans), max(one.high_days for one in spans)
        doubling = Doubling(Range(NAMED_TRENDS["density"].doubling_days, low, high))
    size = Range(math.sqrt(2.2e11 * 1.8e12), 2.2e11, 1.8e12)
    return forecast_fit(
        n_parameters=size, on=date(2023, 3, 14), capacity=Range.fixed(capacity), density=doubling, seed=seed
    )


def _crossing(
    on: date, above: Range, below: Range, moving: Sequence[Doubling], confidence: float, seed: int
) -> Crossing:
    """When ``above / 2**(t / T)`` is down at ``below``, or ``below * 2**(t / T)`` up at ``above``: the same day."""
    if not 0 < confidence < 1:
        raise ConfigError("confidence must be between 0 and 1", given=repr(confidence))
    rate = sum(1 / one.days.value for one in moving)
    n_doublings = math.log2(above.value / below.value)
    rng = np.random.default_rng(seed)
    rates = np.sum([one.draw(rng, _N_DRAWS) for one in moving], axis=0)
    gaps = np.log2(above.draw(rng, _N_DRAWS) / below.draw(rng, _N_DRAWS))
    days = _days_to(gaps, rates)
    return _crossing_of(on, n_doublings / rate, days, confidence, n_doublings, 1 / rate)


def _days_to(gaps: FloatArray, rates: FloatArray) -> FloatArray:
    """Days to cross each gap: 0 where there is none, endless where the rate does not close it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(gaps <= 0, 0.0, np.where(rates > 0, gaps / rates, np.inf)))


def _crossing_of(
    on: date, middle: float, days: FloatArray, confidence: float, n_doublings: float, doubling_days: float
) -> Crossing:
    """By the stated values after `middle` days; the draws give interval and median."""
    middle = max(0.0, middle)
    tail = (1 - confidence) / 2
    ends = [middle] * 3
    if len(days):
        ends = [float(one) for one in np.quantile(days, [tail, 0.5, 1 - tail], method="inverted_cdf")]
    ends = [min(ends[0], middle), ends[1], max(ends[2], middle)]
    limit = _FURTHEST_YEARS * 365.25
    lower, median, upper = (on + timedelta(days=round(one)) if one <= limit else None for one in ends)
    reason = f"more than {_FURTHEST_YEARS:.0f} years away: too far to carry a trend"
    return Crossing(
        day=on + timedelta(days=round(middle)) if middle <= limit else None,
        lower=lower,
        median=median,
        upper=upper,
        confidence=confidence,
        n_doublings=n_doublings,
        doubling_days=doubling_days,
        is_already=n_doublings <= 0,
        reason=None if middle <= limit else reason,
    )
