"""``understudy plan serve``: speed, memory, money and energy of a model on a device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from understudy.economics.inference.answer import AnswerTime
    from understudy.planning.serve import ServePlan

__all__ = ["serve_command"]


@click.command("serve")
@click.option("--model", metavar="ID", help="A model of the catalogue (--list-models).")
@click.option("--config", type=click.Path(), metavar="FILE", help="config.json of a Hugging Face model.")
@click.option("--params", "n_parameters", type=float, metavar="N", help="Only a number of parameters: 7e9.")
@click.option("--device", metavar="ID", help="A device of the catalogue, or a .toml or .json file.")
@click.option("--device-spec", multiple=True, metavar="FIELD=VALUE", help="Change a figure of the device.")
@click.option("--n-devices", type=int, default=1, show_default=True, help="Devices that share every layer.")
@click.option("--input-tokens", type=int, default=500, show_default=True, help="Tokens read per call.")
@click.option("--output-tokens", type=int, default=200, show_default=True, help="Tokens written per call.")
@click.option("--batch", default="1", show_default=True, metavar="N|max", help="Calls at once.")
@click.option(
    "--weights", default="bf16", show_default=True, help="fp32, bf16, fp8, int8, int4, int4-g128 ..."
)
@click.option("--cache", default="bf16", show_default=True, help="Number format of the key-value cache.")
@click.option("--usable-memory", type=float, metavar="SHARE", help="Share of memory for weights and cache.")
@click.option(
    "--usd-per-hour", type=float, help="Price of all devices together; else the catalogue's cheapest."
)
@click.option("--watts", type=float, help="Power of one device at work; else its design power.")
@click.option("--cny-per-usd", type=float, help="Exchange rate; else the catalogue's.")
@click.option("--calibration", type=click.Path(), metavar="FILE", help="Rates measured on the machine.")
@click.option("--plot", type=click.Path(), metavar="FILE.svg", help="Draw speed against calls at once.")
@click.option("--list-models", is_flag=True, help="List the models of the catalogue, and end.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def serve_command(
    model: str | None,
    config: str | None,
    n_parameters: float | None,
    device: str | None,
    device_spec: tuple[str, ...],
    n_devices: int,
    input_tokens: int,
    output_tokens: int,
    batch: str,
    weights: str,
    cache: str,
    usable_memory: float | None,
    usd_per_hour: float | None,
    watts: float | None,
    cny_per_usd: float | None,
    calibration: str | None,
    plot: str | None,
    list_models: bool,
    is_json: bool,
) -> None:
    """Say what serving a model on a device takes: memory, waiting times, throughput, money, energy.

    Speeds are the slower of arithmetic and memory, at an assumed share of the datasheet's peaks (hence from
    and to), or at rates measured on the machine (--calibration).

    \b
    Examples:
      understudy plan serve --model llama-3.1-8b --device h100-sxm --input-tokens 500 --output-tokens 200
      understudy plan serve --model mixtral-8x7b --device a100-80gb-sxm --weights int4 --batch max
      understudy plan serve --params 3e9 --device l4 --usd-per-hour 0.80 --json
    """
    if list_models:
        _list_models(is_json=is_json)
        return
    from understudy.economics.inference.calibration import read_calibration
    from understudy.planning.device_choice import choose_device
    from understudy.planning.model_choice import choose_model
    from understudy.planning.serve import ServeRequest, batch_curve, plan_serve

    request = ServeRequest(
        model=choose_model(model=model, config=config, n_parameters=n_parameters),
        device=choose_device(device, device_spec),
        n_input=input_tokens,
        n_output=output_tokens,
        batch=_batch(batch),
        weights=weights,
        cache=cache,
        n_devices=n_devices,
        usd_per_hour=usd_per_hour,
        watts=watts,
        usable_share=usable_memory,
        calibration=None if calibration is None else read_calibration(calibration),
        cny_per_usd=cny_per_usd,
    )
    plan = plan_serve(request)
    if plot is not None:
        _plot(plan, batch_curve(request), plot)
    if is_json:
        click.echo(json.dumps(plan.to_dict(), ensure_ascii=False, indent=1))
        return
    _show(plan)


def _batch(text: str) -> int | None:
    from understudy.errors import ConfigError

    if text == "max":
        return None
    try:
        return int(text)
    except ValueError:
        raise ConfigError("--batch must be a whole number, 1 or more, or max", given=repr(text)) from None


def _list_models(*, is_json: bool) -> None:
    from understudy.cli.plan_table import plan_console, values_table
    from understudy.economics.transformer.catalogue import known_models
    from understudy.economics.transformer.parameters import count_parameters

    found = [(one, count_parameters(one.shape)) for one in known_models().values()]
    if is_json:
        rows = [
            {
                "id": one.id,
                "name": one.name,
                "released": one.released.isoformat(),
                "licence": one.licence,
                "parameters": counts.total,
                "active_parameters": counts.active,
                "published_parameters": one.parameters,
                "source": one.source,
                "note": one.note,
            }
            for one, counts in found
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    head = ["id", "name", "licence", "released", "parameters", "active"]
    cells = [
        [one.id, one.name, one.licence, one.released.isoformat(), _billions(c.total), _billions(c.active)]
        for one, c in found
    ]
    plan_console().print(values_table(head, cells, n_words=3))


def _billions(count: float) -> str:
    return f"{count / 1e9:,.2f} B"


def _show(plan: ServePlan) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from understudy.cli.plan_table import facts_table, plan_console, values_table
    from understudy.economics.transformer.parameters import count_parameters

    counts = count_parameters(plan.model.shape)
    time = plan.time
    console = plan_console()
    many = f"{plan.n_devices} x " if plan.n_devices > 1 else ""
    console.print(Text(f"{plan.model.name} on {many}{plan.device.name}", style="bold"))
    calls = "1 call" if plan.batch == 1 else f"{plan.batch:,} calls"
    console.print(
        f"{calls} at once, {time.n_input:,} tokens read and {time.n_output:,} written each; "
        f"{plan.weights.name} weights, {plan.cache.name} cache"
    )
    console.print()
    active = "" if counts.active == counts.total else f", {_billions(counts.active)} active per token"
    console.print(facts_table([("parameters", _billions(counts.total) + active), *_memory_rows(plan)]))
    if plan.memory.has_room is False:
        console.print()
        words = f"DOES NOT FIT  Try {', or '.join(plan.remedies)}."
        console.print(Text(words + " The times below are as if it did.", style="yellow"))
    if plan.context_warning is not None:
        console.print(Text(f"WARNING  {plan.context_warning}", style="yellow"))
    head = ["", "bound by", "typical", "from", "to"]
    console.print(values_table(head, [*_time_rows(plan), *_money_rows(plan)], n_words=2))
    console.print(Padding(facts_table(_basis(plan)), (0, 0, 0, 1)))


def _memory_rows(plan: ServePlan) -> list[tuple[str, str]]:
    from understudy.units import format_bytes, format_count

    memory = plan.memory
    tokens = plan.time.n_input + plan.time.n_output
    rows = [
        ("weights", format_bytes(memory.weight_bytes)),
        ("cache", f"{format_bytes(memory.cache_bytes)} for {format_count(plan.batch)} x {tokens:,} tokens"),
    ]
    if memory.usable_bytes is None:
        return [*rows, ("room", "unknown: the device's memory is")]
    most = f"at most {format_count(plan.largest_batch)} calls at once fit"
    return [*rows, ("room", f"{format_bytes(memory.usable_bytes)} usable; {most}")]


def _time_rows(plan: ServePlan) -> list[list[str]]:
    from understudy.cli.plan_table import span_cells
    from understudy.units import format_duration

    time = plan.time
    rate = time.tokens_per_second
    return [
        ["first token", time.prefill.bound or "", *span_cells(time.first_token_seconds, format_duration)],
        ["each further token", time.decode.bound or "", *span_cells(time.token_seconds, format_duration)],
        ["whole call", "", *span_cells(time.total_seconds, format_duration)],
        ["tokens written per second", "", *span_cells(rate, lambda value: f"{value:,.1f}")],
        ["calls per hour", "", *span_cells(time.calls_per_hour, lambda value: f"{value:,.0f}")],
    ]


def _money_rows(plan: ServePlan) -> list[list[str]]:
    from understudy.cli.plan_table import joules_words, span_cells
    from understudy.units import format_usd

    yuan = plan.exchange.yuan
    thousand = None if plan.call_usd is None else plan.call_usd.map(lambda usd: 1000 * usd)
    million = plan.million_tokens_usd
    joules = plan.call_joules
    return [
        ["1,000 calls", "", *span_cells(thousand, format_usd)],
        ["", "", *(span_cells(thousand, yuan) if thousand else ["", "", ""])],
        ["million tokens written", "", *span_cells(million, format_usd)],
        ["", "", *(span_cells(million, yuan) if million else ["", "", ""])],
        ["energy of a call", "", *span_cells(joules, joules_words)],
    ]


def _basis(plan: ServePlan) -> list[tuple[str, str]]:
    price = plan.price_source
    if plan.usd_per_hour is not None:
        price = f"${plan.usd_per_hour:,.4g} an hour, {price}"
    watts = "design power unknown: give --watts"
    if plan.watts is not None:
        what = "design power, an upper bound" if plan.watts == plan.device.tdp_watts else "given"
        watts = f"{plan.watts:,.4g} W a device, {what}"
    rows = [
        ("speed", f"{plan.rates.source}; arithmetic in {plan.rates.compute}"),
        ("device", f"{plan.device.source or 'given'}{_year(plan.device.as_of)}"),
        ("model", plan.model.source),
        ("price", price),
        ("energy", watts),
        ("¥", plan.exchange.words),
    ]
    unknown = plan.time.prefill.reason
    return rows if unknown is None else [*rows, ("unknown", unknown)]


def _year(as_of: str | None) -> str:
    return "" if as_of is None else f", {as_of}"


def _plot(plan: ServePlan, curve: list[AnswerTime], path: str) -> None:
    from understudy.cli.plan_table import save_chart
    from understudy.drawing.xy import Axis, Chart, Series

    known = [(one.batch, one.tokens_per_second) for one in curve if one.tokens_per_second is not None]
    x = [float(batch) for batch, _ in known]
    whole = Series(
        "all calls together",
        x,
        [span.typical for _, span in known],
        low=[span.low for _, span in known],
        high=[span.high for _, span in known],
        colour="accent",
    )
    each = Series("each call", x, [span.typical / batch for batch, span in known])
    chart = Chart(
        f"{plan.model.name} on {plan.device.name}, {plan.weights.name}",
        Axis("calls at once", is_log=True),
        Axis("tokens written per second", is_log=True),
        [whole, each],
    )
    save_chart(chart, path)
