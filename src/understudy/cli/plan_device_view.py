"""What ``understudy plan device`` prints and draws."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from understudy.economics.hardware.device import Device
    from understudy.planning.device import DeviceFit, DevicePlan

__all__ = ["list_devices_table", "measure_and_show", "plot_plan", "show_models", "show_plan"]


def list_devices_table(*, is_json: bool) -> None:
    """Print the devices of the catalogue."""
    from understudy.cli.plan_table import plan_console, values_table
    from understudy.economics.hardware.catalogue import known_devices
    from understudy.units import format_bytes, format_usd

    devices = known_devices().values()
    if is_json:
        click.echo(json.dumps([one.to_dict() for one in devices], ensure_ascii=False, indent=1))
        return

    def scaled(value: float | None, unit: float) -> str:
        return "unknown" if value is None else f"{value / unit:,.4g}"

    head = ["id", "name", "kind", "memory", "GB/s", "TFLOP/s\n16 bit", "W", "price"]
    rows = []
    for one in devices:
        rate = one.flop_per_second.get("bf16")
        rows.append(
            [
                one.id,
                one.name,
                one.kind,
                format_bytes(one.memory_bytes),
                scaled(one.bandwidth_bytes_per_second, 1e9),
                scaled(rate, 1e12),
                scaled(one.tdp_watts, 1),
                format_usd(one.price_usd),
            ]
        )
    plan_console().print(values_table(head, rows, n_words=3))


def measure_and_show(out: str | None, *, is_json: bool) -> None:
    """Time this machine, print its rates, and keep them in a file where asked.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    from understudy.cli.plan_table import facts_table, plan_console
    from understudy.economics.inference.calibration import write_calibration
    from understudy.economics.inference.machine import measure_machine
    from understudy.errors import ConfigError

    found = measure_machine()
    if out is not None:
        try:
            write_calibration(found, out)
        except OSError as error:
            raise ConfigError(
                "a file cannot be written", given=f"{out}: {error.__class__.__name__}"
            ) from error
    if is_json:
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=1))
        return
    rows = [
        ("machine", found.machine),
        ("arithmetic", f"{found.flop_per_second.typical / 1e9:,.1f} GFLOP/s in {found.compute}"),
        ("bandwidth", f"{found.bytes_per_second.typical / 1e9:,.1f} GB/s"),
        ("how", found.how),
    ]
    plan_console().print(facts_table(rows if out is None else [*rows, ("written", out)]))


def show_models(
    device: Device, weights: tuple[str, ...], context: int, usable: float | None, *, is_json: bool
) -> None:
    """Print the models of the catalogue that fit a device, by number format."""
    from understudy.cli.plan_table import plan_console, values_table
    from understudy.economics.transformer.parameters import count_parameters
    from understudy.planning.device import largest_models
    from understudy.units import format_bytes

    found = {name: largest_models(device, name, context=context, usable_share=usable) for name in weights}
    if is_json:
        rows = [
            {"weights": name, "model": model.id, **need.to_dict()}
            for name, models in found.items()
            for model, need in models
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    console = plan_console()
    for name, models in found.items():
        console.print(f"{len(models)} models of the catalogue fit {device.name} in {name}, largest first")
        cells = [
            [
                model.id,
                model.licence,
                f"{count_parameters(model.shape).total / 1e9:,.2f} B",
                format_bytes(need.weight_bytes),
                format_bytes(need.cache_bytes),
                format_bytes(need.usable_bytes),
            ]
            for model, need in models
        ]
        head = ["model", "licence", "parameters", "weights", f"cache of\n{context:,} tokens", "usable"]
        console.print(values_table(head, cells, n_words=2))


def show_plan(plan: DevicePlan) -> None:
    """Print a plan as a table."""
    from rich.padding import Padding
    from rich.text import Text

    from understudy.cli.plan_table import facts_table, plan_console, values_table
    from understudy.units import format_bytes

    console = plan_console()
    console.print(Text(f"{plan.model.name} on {plan.device.name}", style="bold"))
    usable = plan.fits[0].memory.usable_bytes
    room = "memory unknown"
    if usable is not None:
        room = f"{format_bytes(usable)} usable ({plan.usable_source})"
    console.print(f"{room}; {plan.n_input:,} tokens read and {plan.n_output:,} written a call")
    if plan.context_warning is not None:
        console.print(Text(f"WARNING  {plan.context_warning}", style="yellow"))
    head = [
        "weights",
        "fits",
        "memory",
        "tokens/s",
        "a call",
        "energy",
        "calls per\ncharge",
        "tokens/$",
        "tokens/¥",
    ]
    rows, reasons = [], []
    for fit in plan.fits:
        verdict = {True: "yes", False: "no", None: "unknown"}[fit.memory.has_room]
        rows.append([fit.weights.name, verdict, format_bytes(fit.memory.total_bytes), *_speeds(fit)])
        if fit.reason is not None and fit.memory.has_room is not False:
            reasons.append((f"{fit.weights.name}", fit.reason))
    console.print(values_table(head, rows, n_words=2))
    console.print(Padding(facts_table([*reasons, *_basis(plan)]), (0, 0, 0, 1)))


def _speeds(fit: DeviceFit) -> list[str]:
    from understudy.cli.plan_table import joules_words
    from understudy.units import format_duration

    if fit.memory.has_room is False:
        return ["-"] * 6
    speed, seconds, joules = fit.tokens_per_second, fit.answer_seconds, fit.answer_joules
    charge, usd, cny = fit.answers_per_charge, fit.life_usd, fit.life_cny
    least, most = ("at least\n", "at most\n") if fit.is_energy_of_writing else ("", "")
    exact = speed is not None and speed.low == speed.high
    return [
        "unknown" if speed is None else _range(speed.low, speed.typical, speed.high, is_exact=exact),
        format_duration(None if seconds is None else seconds.typical),
        "unknown" if joules is None else least + joules_words(joules.typical),
        "unknown" if charge is None else f"{most}{charge.typical:,.0f}",
        "unknown" if usd is None else f"{usd.tokens_per_unit / 1e6:,.3g} M",
        "unknown" if cny is None else f"{cny.tokens_per_unit / 1e6:,.3g} M",
    ]


def _range(low: float, typical: float, high: float, *, is_exact: bool) -> str:
    return f"{typical:.3g}" if is_exact else f"{typical:.3g}\n({low:.3g}-{high:.3g})"


def _basis(plan: DevicePlan) -> list[tuple[str, str]]:
    money, device = plan.money, plan.device
    price = "unknown: give --price-usd or --price-cny"
    life = next((fit.life_usd for fit in plan.fits if fit.life_usd is not None), None)
    if life is not None:
        given = "given" if money.price_usd is not None or money.price_cny is not None else device.price_note
        price = f"${life.price:,.2f} ({given or 'catalogue'}), {life.years:g} years, at work {100 * life.uptime:g} % of them"
    if money.usd_per_kwh is None:
        power = "left out of the tokens per money: give --electricity"
    elif plan.watts is None:
        power = "left out of the tokens per money: the power is unknown, give --watts"
    else:
        power = f"{plan.watts:,.4g} W at ${money.usd_per_kwh:.3g} per kWh"
    speed = "unknown" if plan.rates is None else plan.rates.source
    if plan.is_speed_given:
        speed = "given"
    return [
        ("speed", speed),
        ("device", f"{device.source or 'given'}{'' if device.as_of is None else f', {device.as_of}'}"),
        ("price", price),
        ("electricity", power),
        ("¥", plan.exchange.words),
    ]


def plot_plan(plan: DevicePlan, path: str) -> None:
    """Draw memory and speed of the number formats."""
    from understudy.cli.plan_table import save_chart
    from understudy.drawing.xy import Axis, Chart, Mark, Series

    known = [(fit, fit.tokens_per_second) for fit in plan.fits if fit.tokens_per_second is not None]
    memory = [fit.memory.total_bytes / 1e9 for fit, _ in known]
    series = Series(
        "formats that fit",
        memory,
        [speed.typical for _, speed in known],
        kind="points",
        low=[speed.low for _, speed in known],
        high=[speed.high for _, speed in known],
        labels=[fit.weights.name for fit, _ in known],
        colour="accent",
    )
    usable = plan.fits[0].memory.usable_bytes
    marks = [] if usable is None else [Mark("usable memory", x=usable / 1e9)]
    chart = Chart(
        f"{plan.model.name} on {plan.device.name}",
        Axis("memory in GB", low=0),
        Axis("tokens written per second", low=0),
        [series],
        marks,
    )
    save_chart(chart, path)
