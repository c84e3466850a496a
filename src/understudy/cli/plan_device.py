"""``understudy plan device``: what fits a phone, a laptop, a browser or a board, how fast, and at what cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from understudy.economics.hardware.device import Device
    from understudy.planning.device import DeviceFit, DevicePlan

__all__ = ["device_command"]


@click.command("device")
@click.option("--model", metavar="ID", help="A model of the catalogue; without one: which models fit.")
@click.option("--config", type=click.Path(), metavar="FILE", help="config.json of a Hugging Face model.")
@click.option("--params", "n_parameters", type=float, metavar="N", help="Only a number of parameters: 2.4e9.")
@click.option("--device", metavar="ID", help="A device (--list-devices), or a .toml or .json file.")
@click.option("--device-spec", multiple=True, metavar="FIELD=VALUE", help="Change a figure of the device.")
@click.option("--input-tokens", type=int, default=500, show_default=True, help="Tokens read per call.")
@click.option("--output-tokens", type=int, default=200, show_default=True, help="Tokens written per call.")
@click.option("--weights", multiple=True, help="Number format; again for several [bf16, int8, int4].")
@click.option("--cache", default="fp16", show_default=True, help="Number format of the key-value cache.")
@click.option("--usable-memory", type=float, metavar="SHARE", help="Share of memory for weights and cache.")
@click.option("--watts", type=float, help="Power at work; else the design power.")
@click.option(
    "--tokens-per-second", type=float, help="A measured writing speed, in place of the computed one."
)
@click.option("--price-usd", type=float, help="Price of the device; else the catalogue's.")
@click.option("--price-cny", type=float, help="Price of the device in yuan.")
@click.option("--years", type=float, default=3.0, show_default=True, help="Life of the device.")
@click.option(
    "--uptime", type=float, default=1.0, show_default=True, help="Share of its life that it writes."
)
@click.option(
    "--electricity", metavar="ID|USD", help="Per kWh in dollars, or cn-residential ...; else left out."
)
@click.option("--cny-per-usd", type=float, help="Exchange rate; else the catalogue's.")
@click.option("--calibration", type=click.Path(), metavar="FILE", help="Rates measured on the machine.")
@click.option(
    "--measure", is_flag=True, help="Time this machine, print its rates (--out FILE keeps them), end."
)
@click.option("--out", type=click.Path(), metavar="FILE", help="Where --measure writes the calibration.")
@click.option("--plot", type=click.Path(), metavar="FILE.svg", help="Draw memory and speed of the formats.")
@click.option("--list-devices", is_flag=True, help="List the devices of the catalogue, and end.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def device_command(
    model: str | None,
    config: str | None,
    n_parameters: float | None,
    device: str | None,
    device_spec: tuple[str, ...],
    input_tokens: int,
    output_tokens: int,
    weights: tuple[str, ...],
    cache: str,
    usable_memory: float | None,
    watts: float | None,
    tokens_per_second: float | None,
    price_usd: float | None,
    price_cny: float | None,
    years: float,
    uptime: float,
    electricity: str | None,
    cny_per_usd: float | None,
    calibration: str | None,
    measure: bool,
    out: str | None,
    plot: str | None,
    list_devices: bool,
    is_json: bool,
) -> None:
    r"""Say what of a model fits a device, how fast it answers there, and what a token costs over its life.

    \b
    Examples:
      understudy plan device --model qwen2.5-1.5b --device raspberry-pi-5 --watts 8 --electricity us-residential
      understudy plan device --device iphone-15-pro --weights int4
      understudy plan device --params 2.4e9 --tokens-per-second 7.5 --price-cny 600 --years 5
    """
    if list_devices:
        _list_devices(is_json=is_json)
        return
    if measure:
        _measure(out, is_json=is_json)
        return
    from understudy.economics.inference.calibration import read_calibration
    from understudy.planning.device import DeviceRequest, Money, plan_device
    from understudy.planning.device_choice import choose_device
    from understudy.planning.model_choice import choose_model

    chosen = choose_device(device, device_spec, may_be_unknown=tokens_per_second is not None)
    if model is None and config is None and n_parameters is None:
        _show_models(
            chosen, weights or ("int4",), input_tokens + output_tokens, usable_memory, is_json=is_json
        )
        return
    plan = plan_device(
        DeviceRequest(
            model=choose_model(model=model, config=config, n_parameters=n_parameters),
            device=chosen,
            n_input=input_tokens,
            n_output=output_tokens,
            weights=weights or ("bf16", "int8", "int4"),
            cache=cache,
            watts=watts,
            usable_share=usable_memory,
            calibration=None if calibration is None else read_calibration(calibration),
            tokens_per_second=tokens_per_second,
            money=Money(
                price_usd=price_usd,
                price_cny=price_cny,
                years=years,
                uptime=uptime,
                usd_per_kwh=_usd_per_kwh(electricity),
                cny_per_usd=cny_per_usd,
            ),
        )
    )
    if plot is not None:
        _plot(plan, plot)
    if is_json:
        click.echo(json.dumps(plan.to_dict(), ensure_ascii=False, indent=1))
        return
    _show(plan)


def _usd_per_kwh(text: str | None) -> float | None:
    from understudy.economics.hardware.catalogue import find_electricity

    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return find_electricity(text).usd_per_kwh()


def _list_devices(*, is_json: bool) -> None:
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


def _measure(out: str | None, *, is_json: bool) -> None:
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


def _show_models(
    device: Device, weights: tuple[str, ...], context: int, usable: float | None, *, is_json: bool
) -> None:
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


def _show(plan: DevicePlan) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from understudy.cli.plan_table import facts_table, plan_console, values_table
    from understudy.units import format_bytes

    console = plan_console()
    console.print(Text(f"{plan.model.name} on {plan.device.name}", style="bold"))
    usable = plan.fits[0].memory.usable_bytes
    room = format_bytes(usable)
    console.print(
        f"{room} usable ({plan.usable_source}); {plan.n_input:,} tokens read and {plan.n_output:,} written a call"
    )
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
    exact = speed is not None and speed.low == speed.high
    return [
        "unknown" if speed is None else _range(speed.low, speed.typical, speed.high, is_exact=exact),
        format_duration(None if seconds is None else seconds.typical),
        "unknown" if joules is None else joules_words(joules.typical),
        "unknown" if charge is None else f"{charge.typical:,.0f}",
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
        power = f"{plan.watts:g} W at ${money.usd_per_kwh:.3g} per kWh"
    speed = "unknown" if plan.rates is None else plan.rates.source
    if plan.is_speed_given:
        speed = "given"
    return [
        ("speed", speed),
        ("device", f"{device.source or 'given'}{'' if device.as_of is None else f', {device.as_of}'}"),
        ("price", price),
        ("electricity", power),
        ("¥", f"{plan.exchange.cny_per_usd} per $, {plan.exchange.source}"),
    ]


def _plot(plan: DevicePlan, path: str) -> None:
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
