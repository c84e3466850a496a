"""``understudy plan device``: what fits a phone, a laptop, a browser or a board, how fast, and at what cost."""

from __future__ import annotations

import json

import click

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
    """Say what of a model fits a device, how fast it answers there, and what a token costs over its life.

    \b
    Examples:
      understudy plan device --model qwen2.5-1.5b --device raspberry-pi-5 --watts 8 --electricity us-residential
      understudy plan device --device iphone-15-pro --weights int4
      understudy plan device --params 2.4e9 --tokens-per-second 7.5 --price-cny 600 --years 5
    """
    from understudy.cli.plan_device_view import (
        list_devices_table,
        measure_and_show,
        plot_plan,
        show_models,
        show_plan,
    )

    if list_devices:
        list_devices_table(is_json=is_json)
        return
    if measure:
        measure_and_show(out, is_json=is_json)
        return
    from understudy.economics.inference.calibration import read_calibration
    from understudy.planning.device import DeviceRequest, Money, plan_device
    from understudy.planning.device_choice import choose_device
    from understudy.planning.model_choice import choose_model

    chosen = choose_device(device, device_spec, may_be_unknown=tokens_per_second is not None)
    if model is None and config is None and n_parameters is None:
        show_models(
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
        plot_plan(plan, plot)
    if is_json:
        click.echo(json.dumps(plan.to_dict(), ensure_ascii=False, indent=1))
        return
    show_plan(plan)


def _usd_per_kwh(text: str | None) -> float | None:
    from understudy.economics.hardware.catalogue import find_electricity

    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return find_electricity(text).usd_per_kwh()
