"""The charts of a break-even plan: total cost over calls, and over months."""

from __future__ import annotations

from collections.abc import Collection

from understudy.drawing.svg import compact, usd_tick
from understudy.drawing.xy import Axis, Chart, Mark, Series
from understudy.economics.comparison import Comparison, PairCrossing
from understudy.errors import ConfigError
from understudy.planning.breakeven import BreakEvenPlan

__all__ = ["breakeven_chart"]


def breakeven_chart(
    plan: BreakEvenPlan, *, is_over_time: bool, names: Collection[str] | None = None
) -> Chart:
    """Total cost of each option, over months or (both axes logarithmic) over calls.

    Parameters
    ----------
    names
        Only these options; ``None`` for all.

    Raises
    ------
    ConfigError
        If it is to be over time, and the volume per month is unknown.
    """
    found = plan.over_time if is_over_time else plan.over_volume
    if found is None:
        raise ConfigError("no chart over time without a volume per month", todo="give --calls-per-month")
    series = []
    last = max((float(curve.x[-1]) for curve in found.curves.values()), default=1.0)
    for at, (name, curve) in enumerate(found.curves.items()):
        if names is not None and name not in names:
            continue
        if is_over_time:
            x = curve.x.tolist()
            y = [float(curve.start[0]), *curve.end.tolist()]
        else:
            # 121 places evenly spaced in logarithm, over six decades at most.
            low = max(1.0, last / 1e6)
            x = [low * (last / low) ** (step / 120) for step in range(121)]
            y = [curve.at(one) for one in x]
        series.append(Series(name, x, y, colour="accent" if name.startswith("student") else at))
    marks = [
        Mark(f"{one.x:.3g} months" if is_over_time else f"{compact(one.x)} calls", x=one.x)
        for one in _shown_crossings(found, names)
    ]
    title = "Total cost over time" if is_over_time else "Total cost over calls"
    axis = Axis("months") if is_over_time else Axis("calls", is_log=True, tick=compact)
    return Chart(
        title, axis, Axis("total, US dollars", is_log=not is_over_time, tick=usd_tick), series, marks
    )


def _shown_crossings(found: Comparison, names: Collection[str] | None) -> list[PairCrossing]:
    """The first crossing at which the cheapest of all changes for good; of two options alone, their first."""
    if names is not None:
        return [one for one in found.crossings if {one.first, one.second} <= set(names)][:1]
    changes = {span.low for span in found.cheapest[1:]}
    return [one for one in found.crossings if one.x in changes and not one.is_at_a_jump][:1]
