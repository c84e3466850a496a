"""``understudy plan forecast``: when an ability will fit a device, and how long a model stays worth its size."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
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
    from understudy.cli.plan_forecast_view import forecast_chart, show_forecast, show_runs
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
        write_chart(forecast_chart(size, capacity, day, fits, density, device), plot)
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
    show_forecast(size, capacity, day, fits, half, density, device)
    if runs is not None:
        show_runs(*runs, target_usd)


def _bits(weights: str | None, bits: float | None) -> float:
    from understudy.economics.transformer.precision import parse_precision
    from understudy.errors import ConfigError
    from understudy.planning.device_capacity import FORMAT

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
    from understudy.planning.device_capacity import (
        USABLE_MEMORY_SHARE,
        device_capacity,
        named_device_capacity,
    )

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
