"""``understudy plan forecast``: when an ability will fit a device, and how long a model stays worth its size."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from understudy.drawing.xy import Chart
    from understudy.economics.trends import TrendFit
    from understudy.planning.forecast import Crossing, Doubling, Range

__all__ = ["forecast_command"]

_EXAMPLE = """
Example:

\b
  understudy plan forecast --params 70e9 --on 2023-07-18 --memory-bytes 8e9 --bits 4
  understudy plan forecast --params 70e9 --on 2023-07-18 --device iphone-15-pro
"""
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("forecast", epilog=_EXAMPLE)
@click.option("--params", "n_parameters", type=float, help="Parameters of a model that has the ability.")
@click.option("--params-range", type=(float, float), help="Least and most, where the size is not known.")
@click.option("--ruler", "ruler_path", metavar="RULER", help="Read the size from a score instead.")
@click.option("--score", type=float, help="The ability as a score by the ruler.")
@click.option("--best-density", type=float, default=1.0, show_default=True, help="By the ruler, on that day.")
@click.option("--on", type=_DAY, required=True, help="Day on which that size had the ability.")
@click.option("--device", "device_id", metavar="ID", help="As `plan device --list-devices` lists it.")
@click.option("--memory-bytes", type=float, help="Memory of a device that is not listed.")
@click.option("--weights", metavar="FORMAT", help="Number format of the weights [int4, 4.5 bits].")
@click.option("--bits", type=float, help="Bits per parameter, in place of a format.")
@click.option(
    "--usable-share",
    type=float,
    help="Of memory, for weights; else by the kind of device [bare memory: 0.7].",
)
@click.option("--bandwidth", type=float, help="Of memory, bytes per second; else that of --device.")
@click.option("--least-speed", type=float, help="Tokens per second at least.")
@click.option("--density-doubling", type=float, help="Days; by default as published, 100 (95 to 107).")
@click.option("--density-range", type=(float, float), help="Shortest and longest, in days.")
@click.option("--device-doubling", type=float, help="Days in which the device doubles; by default it stays.")
@click.option("--epoch-csv", metavar="CSV", help="A table as Epoch AI's: adds the cost of leading runs.")
@click.option("--target-usd", type=float, default=1e9, show_default=True, help="Of a leading run.")
@click.option("--confidence", type=float, default=0.9, show_default=True, help="Of the intervals.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--plot", metavar="FILE.svg", help="Draw both curves.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def forecast_command(
    n_parameters: float | None,
    params_range: tuple[float, float] | None,
    ruler_path: str | None,
    score: float | None,
    best_density: float,
    on: datetime,
    device_id: str | None,
    memory_bytes: float | None,
    weights: str | None,
    bits: float | None,
    usable_share: float | None,
    bandwidth: float | None,
    least_speed: float | None,
    density_doubling: float | None,
    density_range: tuple[float, float] | None,
    device_doubling: float | None,
    epoch_csv: str | None,
    target_usd: float,
    confidence: float,
    seed: int,
    plot: str | None,
    is_json: bool,
) -> None:
    """Say when an ability will fit a device: the size it takes halves with every doubling of capability density.

    The interval holds how well the doubling time and the size are known, not whether the trend goes on.
    """
    from understudy.cli.density_view import write_chart
    from understudy.planning.forecast import Range, forecast_fit, useful_until

    size = _size(n_parameters, params_range, ruler_path, score, best_density, confidence)
    day = on.date()
    density = _density(density_doubling, density_range)
    device = None if device_doubling is None else _doubling("--device-doubling", device_doubling, None)
    capacity = _capacity(
        device_id,
        memory_bytes,
        bits_per_parameter=_bits(weights, bits),
        usable_share=usable_share,
        bandwidth_bytes_per_second=bandwidth,
        least_tokens_per_second=least_speed,
    )
    fits = forecast_fit(
        n_parameters=size,
        on=day,
        capacity=Range.fixed(capacity),
        density=density,
        device=device,
        confidence=confidence,
        seed=seed,
    )
    half = useful_until(day, density, confidence=confidence, seed=seed)
    runs = None if epoch_csv is None else _runs(epoch_csv, target_usd, confidence, seed)
    if plot:
        write_chart(_chart(size, capacity, day, fits, density, device), plot)
    if is_json:
        found: dict[str, Any] = {
            "n_parameters": size.value,
            "n_parameters_range": [size.low, size.high],
            "on": day.isoformat(),
            "capacity_parameters": capacity,
            "density_doubling_days": [density.days.low, density.days.value, density.days.high],
            "fits": fits.to_dict(),
            "half_the_size": half.to_dict(),
            "leading_run": None
            if runs is None
            else {"trend": runs[0].to_dict(), "reaches": runs[1].to_dict()},
        }
        click.echo(json.dumps(found, indent=1))
        return
    _show(size, capacity, day, fits, half, density, device)
    if runs is not None:
        _show_runs(*runs, target_usd)


def _bits(weights: str | None, bits: float | None) -> float:
    from understudy.economics.transformer.precision import parse_precision
    from understudy.errors import ConfigError
    from understudy.planning.forecast import FORMAT

    if bits is not None and weights is not None:
        raise ConfigError("weights have one format", todo="give --weights or --bits")
    return parse_precision(weights or FORMAT).bits_per_number if bits is None else bits


def _capacity(
    device_id: str | None,
    memory_bytes: float | None,
    *,
    bits_per_parameter: float,
    usable_share: float | None,
    bandwidth_bytes_per_second: float | None,
    least_tokens_per_second: float | None,
) -> float:
    from understudy.economics.hardware.catalogue import find_device
    from understudy.errors import ConfigError
    from understudy.planning.forecast import USABLE_MEMORY_SHARE, device_capacity, named_device_capacity

    if device_id is not None and memory_bytes is None:
        return named_device_capacity(
            find_device(device_id),
            bits_per_parameter=bits_per_parameter,
            usable_share=usable_share,
            bandwidth_bytes_per_second=bandwidth_bytes_per_second,
            least_tokens_per_second=least_tokens_per_second,
        )
    if memory_bytes is None or device_id is not None:
        raise ConfigError(
            "the device is --device or --memory-bytes",
            given="both" if device_id is not None else None,
            todo="give one of the two, for example --device iphone-15-pro or --memory-bytes 8e9",
        )
    return device_capacity(
        memory_bytes=memory_bytes,
        bits_per_parameter=bits_per_parameter,
        usable_share=USABLE_MEMORY_SHARE if usable_share is None else usable_share,
        bandwidth_bytes_per_second=bandwidth_bytes_per_second,
        least_tokens_per_second=least_tokens_per_second,
    )


def _size(
    n_parameters: float | None,
    params_range: tuple[float, float] | None,
    ruler_path: str | None,
    score: float | None,
    best_density: float,
    confidence: float,
) -> Range:
    from understudy.errors import ConfigError, DataError
    from understudy.planning.forecast import Range

    if (n_parameters is None) == (ruler_path is None) or (ruler_path is None) != (score is None):
        raise ConfigError("the ability is --params, or --ruler with --score", todo="give one of the two")
    if n_parameters is not None:
        low, high = params_range or (n_parameters, n_parameters)
        return Range(n_parameters, low, high)
    from understudy.density.measure import measure
    from understudy.density.ruler import load_ruler

    if params_range is not None or not best_density > 0:
        raise ConfigError("--params-range goes with --params, and --best-density is above 0")
    assert ruler_path is not None, "checked above"
    # Parameters needed are effective ones over the best density, so the density stands where the size would.
    found = measure(
        load_ruler(ruler_path), n_parameters=best_density, score=score, confidence=confidence
    ).reference
    if found.rho is None:
        raise DataError("the ruler reads no size from this score", given=found.reason, todo="give --params")
    if found.rho_lower is None or found.rho_upper is None:
        raise DataError(
            "the ruler gives the size that this score takes no interval, or one without an end",
            given=", ".join(found.flags) or None,
            todo="give --params with --params-range",
        )
    return Range(found.rho, found.rho_lower, found.rho_upper)


def _density(days: float | None, between: tuple[float, float] | None) -> Doubling:
    from understudy.economics.trends import NAMED_TRENDS
    from understudy.errors import ConfigError
    from understudy.planning.forecast import Doubling

    if days is None:
        if between is not None:
            raise ConfigError("--density-range goes with --density-doubling", todo="give both")
        return Doubling.named(NAMED_TRENDS["density"])
    return _doubling("--density-doubling", days, between)


def _doubling(option: str, days: float, between: tuple[float, float] | None) -> Doubling:
    from understudy.errors import ConfigError
    from understudy.planning.forecast import Doubling, Range

    if not days > 0:
        raise ConfigError(f"{option} must be above 0", given=repr(days))
    low, high = between or (days, days)
    return Doubling(Range(days, low, high))


def _runs(path: str, target_usd: float, confidence: float, seed: int) -> tuple[TrendFit, Crossing]:
    from understudy.economics.epoch_table import leading_run_trend
    from understudy.planning.forecast import cost_reaches

    trend = leading_run_trend(path, keep="highest", confidence=confidence, seed=seed)
    return trend, cost_reaches(trend, target_usd)


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


def _show(
    size: Range,
    capacity: float,
    on: date,
    fits: Crossing,
    half: Crossing,
    density: Doubling,
    device: Doubling | None,
) -> None:
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


def _show_runs(trend: TrendFit, reached: Crossing, target_usd: float) -> None:
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


def _chart(
    size: Range, capacity: float, on: date, fits: Crossing, density: Doubling, device: Doubling | None
) -> Chart:
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
