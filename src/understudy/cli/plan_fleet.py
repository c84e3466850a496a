"""``understudy plan fleet``: how many devices a load needs, by a queue and not by division."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from understudy.economics.fleet import Demand, Unit
    from understudy.planning.fleet import FleetPlan

__all__ = ["fleet_command"]

_LOADS = "--calls-per-second, --calls-per-month, or --users with --calls-per-user-day"
_SPEEDS = "--service-seconds, or --tokens-per-call with --tokens-per-second, or --model, or --params"


@click.command("fleet")
@click.option("--calls-per-second", type=float, help="Mean load.")
@click.option("--calls-per-month", type=float, help="Mean load, over 730 hours.")
@click.option("--users", type=float, help="Users; with --calls-per-user-day.")
@click.option("--calls-per-user-day", type=float, help="Calls that a user makes in a day.")
@click.option("--peak-factor", type=float, default=3.0, show_default=True, help="Busiest time over the mean.")
@click.option("--service-seconds", type=float, help="Time of a call on a device with all slots busy.")
@click.option("--tokens-per-call", type=float, help="Tokens written a call; with --tokens-per-second.")
@click.option("--tokens-per-second", type=float, help="Written by one device over all its slots together.")
@click.option(
    "--slots", type=int, default=1, show_default=True, help="Calls that a device works on at a time."
)
@click.option("--model", help="A model of the catalogue: its speed on the device, --slots at a time.")
@click.option("--params", type=float, help="The same for a model of so many parameters.")
@click.option(
    "--input-tokens", type=int, default=500, show_default=True, help="Read by a call (with --model)."
)
@click.option("--output-tokens", type=int, default=100, show_default=True, help="Written by a call (with --model).")  # fmt: skip
@click.option("--weights", default="bf16", show_default=True, help="Number format (with --model).")
@click.option("--service-cv", type=float, default=1.0, show_default=True, help="Spread of the service time over its mean: 1 exponential, 0 constant.")  # fmt: skip
@click.option("--wait", "wait_limit_s", type=float, default=1.0, show_default=True, help="Seconds a call may wait.")  # fmt: skip
@click.option("--percentile", type=float, default=95.0, show_default=True, help="Share of calls that wait no longer, in per cent.")  # fmt: skip
@click.option("--spares", type=int, default=1, show_default=True, help="Devices that may fail (N + k).")
@click.option(
    "--most-utilisation", type=float, default=0.9, show_default=True, help="Ceiling on the busy share."
)
@click.option("--device", default="l4", show_default=True, help="A device of the catalogue, or custom.")
@click.option("--usd-per-hour", type=float, help="Rent of one device, instead of the catalogue's.")
@click.option("--own", "is_owned", is_flag=True, help="The devices are bought.")
@click.option("--device-usd", type=float, help="Price of one device (with --own).")
@click.option("--life-years", type=float, default=4.0, show_default=True, help="Life of an own device.")
@click.option("--power-w", type=float, help="Power of one device at full load.")
@click.option(
    "--pue", type=float, default=1.2, show_default=True, help="Power of the building over the devices'."
)
@click.option("--electricity", default="us-industrial", show_default=True, help="A price of the catalogue.")
@click.option("--usd-per-kwh", type=float, help="Price of electricity, instead of the catalogue's.")
@click.option("--cny-per-usd", type=float, help="Exchange rate; else the catalogue's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", metavar="FILE", help="Draw devices by load as SVG.")
def fleet_command(
    wait_limit_s: float,
    percentile: float,
    spares: int,
    most_utilisation: float,
    *,
    as_json: bool,
    plot: str | None,
    **given: Any,
) -> None:
    """Size a fleet so that a stated share of calls waits no longer than a limit, at the peak, with spares.

    Waiting is exact for exponential service times (M/M/c), and by Allen and Cunneen's approximation for
    others.

    \b
    Example:
      understudy plan fleet --users 50000 --calls-per-user-day 8 --service-seconds 1.5 --slots 8 --device l4
    """
    from understudy.cli.plan_table import save_chart
    from understudy.cli.plan_view import print_json
    from understudy.economics.fleet import Promise
    from understudy.planning.fleet import fleet_chart, plan_fleet, running_of

    keys = ("usd_per_hour", "is_owned", "device_usd", "life_years", "power_w", "pue", "electricity", "usd_per_kwh")  # fmt: skip
    running, name, sources = running_of(given["device"], **{key: given[key] for key in keys})
    demand = _demand(given)
    unit, service_range_s, warning = _unit(given)
    if warning is not None:
        sources["context"] = warning
    plan = plan_fleet(
        demand,
        unit,
        Promise(wait_limit_s, percentile / 100, spares, most_utilisation),
        running,
        device=name,
        sources=sources,
        cny_per_usd=given["cny_per_usd"],
        service_range_s=service_range_s,
    )
    if plot:
        save_chart(fleet_chart(plan), plot)
    if as_json:
        print_json(plan.to_dict())
    else:
        _show(plan)


def _demand(given: dict[str, Any]) -> Demand:
    from understudy.economics.fleet import Demand
    from understudy.economics.options import HOURS_PER_MONTH
    from understudy.errors import ConfigError

    ways = [name for name in ("calls_per_second", "calls_per_month", "users") if given[name] is not None]
    if len(ways) != 1:
        raise ConfigError(
            "the load is given in one way",
            given=", ".join(ways) or "none",
            todo=f"give {_LOADS}",
        )
    peak = given["peak_factor"]
    if ways == ["users"]:
        if given["calls_per_user_day"] is None:
            raise ConfigError(
                "users alone are no load", given=f"--users {given['users']:,.0f}", todo=f"give {_LOADS}"
            )
        return Demand.of_users(given["users"], given["calls_per_user_day"], peak)
    if ways == ["calls_per_month"]:
        return Demand(given["calls_per_month"] / (3600 * HOURS_PER_MONTH), peak)
    return Demand(given["calls_per_second"], peak)


def _unit(given: dict[str, Any]) -> tuple[Unit, tuple[float, float] | None, str | None]:
    """A device as a server of calls; the range of its service time and a warning where that is computed."""
    from understudy.economics.fleet import Unit
    from understudy.errors import ConfigError

    tokens = (given["tokens_per_call"], given["tokens_per_second"])
    is_model = given["model"] is not None or given["params"] is not None
    ways = (given["service_seconds"] is not None, tokens != (None, None), is_model)
    if sum(ways) == 1:
        if ways[0]:
            return Unit(given["service_seconds"], given["slots"], given["service_cv"]), None, None
        if is_model:
            return _served(given)
        if None not in tokens:
            return Unit.of_throughput(tokens[0], tokens[1], given["slots"], given["service_cv"]), None, None
    names = ("service_seconds", "tokens_per_call", "tokens_per_second", "model", "params")
    named = [f"--{name.replace('_', '-')}" for name in names if given[name] is not None]
    raise ConfigError(
        "how fast a device answers is given in one way",
        given=", ".join(named) or "none",
        todo=f"give {_SPEEDS}",
    )


def _served(given: dict[str, Any]) -> tuple[Unit, tuple[float, float], str | None]:
    """The service time of a model on the device, as `plan serve` finds it."""
    from understudy.economics.fleet import Unit
    from understudy.errors import ConfigError
    from understudy.planning.device_choice import choose_device
    from understudy.planning.model_choice import choose_model
    from understudy.planning.serve import ServeRequest, plan_serve

    request = ServeRequest(
        model=choose_model(model=given["model"], n_parameters=given["params"]),
        device=choose_device(given["device"]),
        n_input=given["input_tokens"],
        n_output=given["output_tokens"],
        batch=given["slots"],
        weights=given["weights"],
    )
    plan = plan_serve(request)
    if plan.memory.has_room is False:
        raise ConfigError(
            "the model does not fit the device",
            given=f"{plan.model.name} on {plan.device.name}, {given['slots']} calls at a time",
            todo=f"one of {'; '.join(plan.remedies)}".replace("--batch", "--slots"),
        )
    if plan.time.total_seconds is None:
        raise ConfigError("how long a call takes on this device is unknown", todo="give --service-seconds")
    span = plan.time.total_seconds
    return Unit(span.typical, plan.batch, given["service_cv"]), (span.low, span.high), plan.context_warning


def _show(plan: FleetPlan) -> None:
    from understudy.cli.plan_view import brief, print_table, print_words

    fleet, money = plan.fleet, plan.exchange.both
    print_words(plan.sentence, style="bold")

    rows = [
        ["load, mean and peak", f"{fleet.demand.mean_calls_per_second:.4g} and {fleet.demand.peak_calls_per_second:.4g} calls/s"],
        ["one device", f"{fleet.unit.calls_per_second:.4g} calls/s, {fleet.unit.slots} at a time"],
        ["devices by division", f"{fleet.by_division:.2f}"],
        ["devices by the queue", f"{fleet.working:,} + {fleet.spares}"],
        ["busy at the peak, over the day", f"{100 * fleet.queue.utilisation:.1f} %, {100 * fleet.mean_utilisation:.1f} %"],
        ["calls that wait at the peak", f"{100 * fleet.queue.waiting_share:.2g} %"],
        ["mean wait at the peak", brief(fleet.queue.mean_wait_s, "s")],
        ["an hour", money(fleet.usd_per_hour)],
        ["a month", money(fleet.usd_per_month)],
        ["a call", money(fleet.usd_per_call)],
        ["mean power", brief(fleet.kilowatts, "kW")],
        ["energy a month", brief(fleet.kwh_per_month, "kWh")],
    ]  # fmt: skip
    print_table(["", ""], rows, right=[1])
    if plan.service_ends is None:
        print_words(f"no interval: {plan.interval_reason}", style="dim")
    else:
        low, high = plan.service_ends
        words = f"{low.devices:,} to {high.devices:,} devices, {money(low.usd_per_month)} to {money(high.usd_per_month)} a month"
        times = f"a service time of {low.unit.service_s:.3g} to {high.unit.service_s:.3g} s"
        print_words(f"from and to: {words}, for {times} (what the device may reach)", style="dim")
    if plan.instance_warning is not None:
        print_words(f"note: {plan.instance_warning}", style="yellow")
    if fleet.usd_reason:
        print_words(f"cost unknown: {fleet.usd_reason}", style="dim")
    print_table(
        ["times the load", "devices"],
        [[f"{share:g}", f"{devices:,}"] for share, devices in plan.by_load],
        right=[0, 1],
    )
    for name, words in {**plan.sources, "¥": plan.exchange.words}.items():
        print_words(f"{name}: {words}", style="dim")
    if fleet.unit.service_cv != 1:
        words = "waiting by Allen and Cunneen's approximation: exact for one server's mean only"
        if fleet.unit.service_cv > 1:
            words += "; with service times this uneven the percentile can be a third too low, or far too high"
        print_words(words, style="dim")
