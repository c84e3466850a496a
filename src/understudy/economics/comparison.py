"""Options against each other: total cost over volume and over time, and where they cross.

Costs are summed in nominal dollars: no interest, no tax. Within a month calls come evenly; units of capacity
are bought and rented by whole months. It does not know how good the answers are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.economics.options import CostOption
from understudy.economics.piecewise import Crossing, Curve, cheapest_spans, crossings
from understudy.errors import ConfigError

__all__ = ["Comparison", "PairCrossing", "Span", "compare_over_time", "compare_over_volume"]

FloatArray = npt.NDArray[np.float64]
_MOST_STEPS = 4096


@dataclass(frozen=True, slots=True)
class PairCrossing:
    """Where the cheaper of two options changes: at `x`, from there on `cheaper_after` costs less."""

    first: str
    second: str
    x: float
    cheaper_after: str
    is_at_a_jump: bool


@dataclass(frozen=True, slots=True)
class Span:
    """Between `low` and `high`, `option` costs least."""

    low: float
    high: float
    option: str


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Total costs of several options over one axis.

    Attributes
    ----------
    axis
        ``calls`` or ``months``.
    curves
        By option's name, in the order given; options of unknown cost are left out.
    unknown
        Why options are left out, by name.
    crossings
        All pairwise crossings, by place.
    cheapest
        Which option costs least where.
    """

    axis: str
    curves: dict[str, Curve]
    unknown: dict[str, str]
    crossings: tuple[PairCrossing, ...]
    cheapest: tuple[Span, ...]

    def totals(self, x: float) -> dict[str, float]:
        """Total cost by option at a place, dollars."""
        return {name: curve.at(x) for name, curve in self.curves.items()}

    def to_dict(self) -> dict[str, Any]:
        """JSON form, with each curve's knots."""
        return {
            "axis": self.axis,
            "unknown": dict(self.unknown),
            "crossings": [asdict(one) for one in self.crossings],
            "cheapest": [asdict(one) for one in self.cheapest],
        }


def compare_over_volume(
    options: Sequence[CostOption], *, most_calls: float, period_months: float = 1.0
) -> Comparison:
    """Total cost of V calls that come evenly over `period_months`, for V up to `most_calls`.

    ``once + fees * period + V * per call``, with units of capacity and devices as V needs them. A device's
    price counts by the share of its life that the period takes. Prices that fall are taken at today's level.

    Where an option would need more than 4,096 units, its steps are drawn as a straight line from there
    on, which is then off by less than 1 / 4,096.
    """
    if not (most_calls > 0 and period_months > 0 and math.isfinite(most_calls * period_months)):
        raise ConfigError(
            "most_calls and period_months must be above 0", given=f"{most_calls!r}, {period_months!r}"
        )
    return _compare(
        "calls",
        options,
        lambda option: _volume_curve(option, most_calls, period_months),
        (0.0, most_calls),
    )


def compare_over_time(
    options: Sequence[CostOption], *, calls_per_month: float, months: int, growth_per_month: float = 0.0
) -> Comparison:
    """Total cost from the start to month `months`, calls growing by `growth_per_month` (0.05 is 5 %).

    Month k (from 0) has ``calls_per_month * (1 + growth) ** k`` calls. A price that halves every h months
    is averaged over each month: ``h / ln 2 * (2 ** (-k / h) - 2 ** (-(k + 1) / h))``.
    """
    if not (calls_per_month > 0 and math.isfinite(calls_per_month)):
        raise ConfigError("calls_per_month must be above 0", given=repr(calls_per_month))
    if months < 1 or not growth_per_month > -1:
        raise ConfigError(
            "months must be 1 or more, and growth above -1", given=f"{months}, {growth_per_month}"
        )
    volumes = calls_per_month * np.power(1 + growth_per_month, np.arange(months, dtype=np.float64))
    if not np.isfinite(volumes).all():
        raise ConfigError("the volume grows beyond all bounds", given=f"growth {growth_per_month}")
    return _compare("months", options, lambda option: _time_curve(option, volumes), (0.0, float(months)))


def _compare(
    axis: str,
    options: Sequence[CostOption],
    curve_of: Callable[[CostOption], Curve],
    ends: tuple[float, float],
) -> Comparison:
    names = [option.name for option in options]
    if len(set(names)) < len(names):
        raise ConfigError("two options have the same name", given=", ".join(names))
    unknown = {option.name: option.unknown for option in options if option.unknown}
    curves = {option.name: curve_of(option) for option in options if not option.unknown}
    found = []
    known = list(curves)
    for at, first in enumerate(known):
        for second in known[at + 1 :]:
            found += [_named(first, second, one) for one in crossings(curves[first], curves[second])]
    spans = cheapest_spans(list(curves.values()), ends) if curves else []
    return Comparison(
        axis,
        curves,
        unknown,
        tuple(sorted(found, key=lambda one: one.x)),
        tuple(Span(low, high, known[at]) for low, high, at in spans),
    )


def _named(first: str, second: str, one: Crossing) -> PairCrossing:
    return PairCrossing(first, second, one.x, first if one.is_first_lower_after else second, one.is_at_a_jump)


def _volume_curve(option: CostOption, most_calls: float, period_months: float) -> Curve:
    assert option.once_usd is not None and option.usd_per_call is not None  # noqa: PT018
    assert option.usd_per_month is not None
    assert option.usd_per_unit_month is not None and option.usd_per_unit is not None  # noqa: PT018
    life_share = 1.0 if option.life_months is None else period_months / option.life_months
    unit_usd = option.usd_per_unit_month * period_months + option.usd_per_unit * life_share
    base_usd = option.once_usd + option.usd_per_month * period_months
    if option.calls_per_unit_month is None or unit_usd == 0:
        x = np.array([0.0, most_calls])
        y = base_usd + unit_usd + option.usd_per_call * x
        return Curve(x, y[:1], y[1:])
    step = option.calls_per_unit_month * period_months
    count = min(math.ceil(round(most_calls / step, 9)), _MOST_STEPS)
    x = np.minimum(np.arange(count + 1) * step, most_calls)
    units = np.arange(1, count + 1, dtype=np.float64)
    last_units = units.copy()
    if x[-1] < most_calls:
        x = np.append(x, most_calls)
        units = np.append(units, float(count + 1))
        last_units = np.append(last_units, most_calls / step)
    start = base_usd + units * unit_usd + option.usd_per_call * x[:-1]
    end = base_usd + last_units * unit_usd + option.usd_per_call * x[1:]
    return Curve(x, start, end)


def _time_curve(option: CostOption, volumes: FloatArray) -> Curve:
    assert option.once_usd is not None and option.usd_per_call is not None  # noqa: PT018
    assert option.usd_per_month is not None
    assert option.usd_per_unit_month is not None and option.usd_per_unit is not None  # noqa: PT018
    months = np.arange(len(volumes), dtype=np.float64)
    falls = np.ones(len(volumes))
    if option.halving_months is not None:
        rate = math.log(2) / option.halving_months
        falls = (np.exp(-rate * months) - np.exp(-rate * (months + 1))) / rate
    units = np.array([option.units(float(volume)) for volume in volumes])
    steady = option.steady_usd_per_call
    per_call = steady + (option.usd_per_call - steady) * falls
    during = volumes * per_call + option.usd_per_month + units * option.usd_per_unit_month
    bought = np.array(_bought(units, option.life_months)) * option.usd_per_unit
    before = np.concatenate([[0.0], np.cumsum(during)[:-1]]) + np.cumsum(bought)
    start = option.once_usd + before
    return Curve(np.arange(len(volumes) + 1, dtype=np.float64), start, start + during)


def _bought(units: npt.NDArray[np.int64], life_months: float | None) -> list[int]:
    """Units bought at the start of each month, so that enough are alive; the oldest die first."""
    deaths: dict[int, int] = {}
    alive, bought = 0, []
    for month, needed in enumerate(units.tolist()):
        alive -= deaths.pop(month, 0)
        new = max(0, needed - alive)
        alive += new
        if new and life_months is not None:
            dies = month + max(1, math.ceil(life_months))
            deaths[dies] = deaths.get(dies, 0) + new
        bought.append(new)
    return bought
