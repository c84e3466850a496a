"""Prints and draws what ``understudy plan forecast`` found. It computes nothing of its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from understudy.drawing.xy import Chart
    from understudy.economics.trends import TrendFit
    from understudy.planning.forecast import Crossing, Doubling, Range

__all__ = ["forecast_chart", "show_forecast", "show_runs"]


def _when(found: Crossing, on: date) -> str:
    if found.is_already:
        return f"it does on {on.isoformat()} already"
    if found.day is None:
        return f"unknown: {found.reason}"
    low = found.lower.isoformat() if found.lower else "?"
    high = found.upper.isoformat() if found.upper else "more than 30 years on"
    if low == high:
        return found.day.isoformat()
    middle = ""
    if found.median and found.lower and found.upper:
        # The stated values need not be the middle of their ranges; said where it shows.
        away = abs((found.median - found.day).days)
        if away > (found.upper - found.lower).days / 10:
            middle = f"; median of the draws {found.median.isoformat()}"
    return f"{found.day.isoformat()} ({100 * found.confidence:g} %: {low} to {high}{middle})"


def show_forecast(
    size: Range,
    capacity: float,
    on: date,
    fits: Crossing,
    half: Crossing,
    density: Doubling,
    device: Doubling | None,
) -> None:
    """The ability, the device, both paces, and the days."""
    from understudy.cli.density_view import between, print_table, size_text

    spread = "" if size.low == size.high else f" ({between(size.low, size.high, size_text)})"
    days = density.days
    moves = f"{days.value:g} days" + (
        "" if days.low == days.high else f" ({days.low:.0f} to {days.high:.0f})"
    )
    rows = [
        ("ability", f"had by {size_text(size.value)} parameters{spread} on {on.isoformat()}"),
        ("device", f"holds {size_text(capacity)} parameters"),
        ("density", f"doubles in {moves}"),
    ]
    if device is not None:
        rows.append(
            ("device grows", f"doubles in {device.days.value:g} days; both in {fits.doubling_days:.1f}")
        )
    rows.append(("fits", _when(fits, on)))
    if fits.n_doublings > 0:
        rows.append(("", f"after {fits.n_doublings:.2f} doublings, if the trend goes on"))
    rows.append(("half the size", f"does by {_when(half, on)}: a model's useful life"))
    print_table(rows)


def show_runs(trend: TrendFit, reached: Crossing, target_usd: float) -> None:
    """How fast leading runs grow dearer, and when they reach a sum."""
    from understudy.cli.density_view import between, print_table
    from understudy.units import format_usd

    months, low, high = trend.doubling_months
    assert months is not None, "a trend that does not move was refused"
    last, dearest = max(trend.used)
    print_table(
        [
            ("leading run", f"cost doubles in {months:.1f} months ({between(low, high, '{:.1f}'.format)})"),
            ("", trend.chosen),
            ("last record", f"{format_usd(dearest)} on {last}"),
            (
                f"{format_usd(target_usd)}",
                f"on the line through the records: {_when(reached, date.fromisoformat(last))}",
            ),
        ]
    )


def forecast_chart(
    size: Range, capacity: float, on: date, fits: Crossing, density: Doubling, device: Doubling | None
) -> Chart:
    """The size that the ability takes and what the device holds, over time."""
    from understudy.cli.density_view import month_tick, year_of
    from understudy.drawing.xy import Axis, Chart, Series
    from understudy.planning.forecast import size_after

    end = fits.day or datetime.now(UTC).date()
    span = max((end - on).days * 1.25, 2 * density.days.value)
    days = [span * at / 60 for at in range(61)]
    years = [year_of(on + timedelta(days=round(one))) for one in days]
    needed = [size_after(size.value, one, density.days.value) for one in days]
    fast = [size_after(size.low, one, density.days.low) for one in days]
    slow = [size_after(size.high, one, density.days.high) for one in days]
    grows = 0.0 if device is None else 1 / device.days.value
    holds = [capacity * 2 ** (one * grows) for one in days]
    year = Axis("time", tick=month_tick)
    return Chart(
        "The size that an ability takes, and what a device holds",
        year,
        Axis("parameters", is_log=True),
        [
            Series("ability", years, needed, low=fast, high=slow, colour="accent"),
            Series("device", years, holds, kind="dashed"),
        ],
    )
