"""Runs a scenario: each section becomes a plan, and what one finds goes into the next.

Serving gives the fleet its service time; the fleet becomes an option of the break-even; the load's tokens over all
months are the inference that training is planned for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.density.measure import Measurement
from understudy.economics.fleet import Demand, Promise, Unit
from understudy.economics.options import HOURS_PER_MONTH, CostOption, Tokens, api_option
from understudy.economics.prices import model_price
from understudy.errors import ConfigError
from understudy.planning.accelerators import accelerator_of
from understudy.planning.breakeven import BreakEvenPlan, Horizon, plan_breakeven
from understudy.planning.device import DevicePlan, DeviceRequest, Money, plan_device
from understudy.planning.device_choice import choose_device
from understudy.planning.evidence import Counts, Evidence, artefact_evidence, joined
from understudy.planning.figures.figure import Figure
from understudy.planning.fleet import FleetPlan, plan_fleet, running_of
from understudy.planning.model_choice import ChosenModel, choose_model
from understudy.planning.option_file import options_of, read_options
from understudy.planning.scenario import Scenario
from understudy.planning.scenario_ability import ForecastPlan, density_of, figures_of, forecast_of
from understudy.planning.serve import ServePlan, ServeRequest, plan_serve
from understudy.planning.train import plan_training
from understudy.planning.train_aim import Aim, Means
from understudy.planning.train_plan import TrainPlan
from understudy.planning.train_runs import choose_law

__all__ = ["ScenarioPlans", "run_scenario"]

_WEIGHTS = ("bf16", "int8", "int4")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioPlans:
    """The plans of a scenario; ``None`` for the sections that it leaves out."""

    scenario: Scenario
    breakeven: BreakEvenPlan | None
    serve: ServePlan | None
    serve_request: ServeRequest | None
    fleet: FleetPlan | None
    train: TrainPlan | None
    device: DevicePlan | None
    forecast: ForecastPlan | None
    density: tuple[Measurement, ...]
    figures: tuple[Figure, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        plans = (self.breakeven, self.serve, self.fleet, self.train, self.device)
        names = ("breakeven", "serve", "fleet", "train", "device")
        forecast = self.forecast
        return {
            "name": self.scenario.name,
            **{
                name: None if plan is None else plan.to_dict()
                for name, plan in zip(names, plans, strict=True)
            },
            "forecast": None if forecast is None else {"what": forecast.what, **forecast.fits.to_dict()},
            "density": [one.to_dict() for one in self.density],
            "figures": [one.to_dict() for one in self.figures],
        }


def run_scenario(scenario: Scenario) -> ScenarioPlans:
    """Plan every section of a scenario.

    Raises
    ------
    ConfigError
        If a value is out of range, or a section lacks what it needs; the message says which.
    """
    request = _serve_request(scenario)
    serve = None if request is None else plan_serve(request)
    fleet = _fleet(scenario, request, serve)
    return ScenarioPlans(
        scenario=scenario,
        breakeven=_breakeven(scenario, serve, fleet),
        serve=serve,
        serve_request=request,
        fleet=fleet,
        train=_train(scenario),
        device=_device(scenario, request),
        forecast=forecast_of(scenario),
        density=density_of(scenario),
        figures=figures_of(scenario),
    )


def _model(scenario: Scenario, given: Mapping[str, Any]) -> ChosenModel:
    config = given.get("config")
    return choose_model(
        model=given.get("model"),
        config=None if config is None else scenario.path(config),
        n_parameters=given.get("params"),
    )


def _serve_request(scenario: Scenario) -> ServeRequest | None:
    given = scenario.get("serve")
    if given is None:
        return None
    keys = ("batch", "weights", "cache", "n_devices", "usd_per_hour")
    return ServeRequest(
        model=_model(scenario, given),
        device=choose_device(given.get("device", "l4")),
        n_input=scenario.load.input_tokens,
        n_output=scenario.load.output_tokens,
        cny_per_usd=scenario.cny_per_usd,
        **{key: given[key] for key in keys if key in given},
    )


def _fleet(scenario: Scenario, request: ServeRequest | None, serve: ServePlan | None) -> FleetPlan | None:
    given = scenario.get("fleet")
    if given is None:
        return None
    unit = _unit(given, serve)
    span = None if serve is None or "service_seconds" in given else serve.time.total_seconds
    device = given.get("device", request.device.id if request is not None else "custom")
    keys = ("device_usd", "life_years", "usd_per_hour", "power_w", "pue", "electricity", "usd_per_kwh")
    running, name, sources = running_of(
        device, is_owned=given.get("own", False), **{key: given[key] for key in keys if key in given}
    )
    load = scenario.load
    promise = Promise(
        given.get("wait_seconds", 1.0),
        given.get("percentile", 95.0) / 100,
        given.get("spares", 1),
        given.get("most_utilisation", Promise().most_utilisation),
    )
    demand = Demand(load.calls_per_month / (3600 * HOURS_PER_MONTH), load.peak_factor)
    return plan_fleet(
        demand,
        unit,
        promise,
        running,
        device=name,
        sources=sources,
        cny_per_usd=scenario.cny_per_usd,
        service_range_s=None if span is None else (span.low, span.high),
    )


def _unit(given: Mapping[str, Any], serve: ServePlan | None) -> Unit:
    """The service time as given, else that of [serve] at its batch."""
    cv = given.get("service_cv", 1.0)
    if "service_seconds" in given:
        return Unit(given["service_seconds"], given.get("slots", 1), cv)
    if serve is None or serve.time.total_seconds is None:
        raise ConfigError(
            "[fleet] does not know how long a call takes", todo="give service_seconds, or a [serve] section"
        )
    if "slots" in given:
        raise ConfigError("[fleet] slots come from [serve] batch", todo="give service_seconds with slots")
    return Unit(serve.time.total_seconds.typical, serve.batch, cv)


def _breakeven(scenario: Scenario, serve: ServePlan | None, fleet: FleetPlan | None) -> BreakEvenPlan | None:
    given = scenario.get("breakeven")
    if given is None:
        return None
    options = options_of(given.get("option", []))
    if "options_file" in given:
        options += read_options(scenario.path(given["options_file"]))
    if serve is not None and fleet is not None:
        options.append(_fleet_option(serve, fleet))
    pieces = [_evidence(scenario, given)]
    if "artefact" in given:
        pieces.append(artefact_evidence(scenario.path(given["artefact"])))
    load = scenario.load
    return plan_breakeven(
        joined(*pieces),
        options,
        confidence=given.get("confidence", 0.95),
        horizon=Horizon(load.months, load.growth_per_month, given.get("halving_months")),
        cny_per_usd=scenario.cny_per_usd,
    )


def _evidence(scenario: Scenario, given: Mapping[str, Any]) -> Evidence:
    load, sources = scenario.load, {"calls_per_month": "scenario"}
    teacher = given.get("teacher_usd_per_call")
    if teacher is None and "teacher_model" in given:
        name = given["teacher_model"]
        option = api_option(
            "teacher",
            model_price(name),
            Tokens(load.input_tokens, load.output_tokens),
            reason=f"no list price for model {name}",
        )
        teacher = option.usd_per_call
        source = option.notes["usd_per_call"]
        sources["teacher_usd_per_call"] = source if teacher is None else f"{name}, {source}"
    counts = None
    if ("answered" in given) != ("calls" in given):
        raise ConfigError("[breakeven] answered and calls go together")
    if "answered" in given:
        counts = Counts(given["answered"], given["calls"])
        sources["coverage"] = f"scenario: {counts.answered:,} of {counts.calls:,} calls"
    return Evidence(
        teacher,
        given.get("student_usd_per_call"),
        given.get("build_usd"),
        counts.share if counts is not None else given.get("coverage"),
        counts,
        load.calls_per_month,
        sources,
    )


def _fleet_option(serve: ServePlan, fleet: FleetPlan) -> CostOption:
    """Serving on the planned fleet: spares every month, and a device for each share of the load it carries."""
    found = fleet.fleet
    hourly = None if found.usd_per_hour is None else found.usd_per_hour / found.devices
    monthly = None if hourly is None else hourly * HOURS_PER_MONTH
    notes = {} if found.usd_reason is None else {"usd_per_month": found.usd_reason}
    return CostOption(
        name=f"{serve.model.name} on {fleet.device}",
        usd_per_month=None if monthly is None else monthly * found.spares,
        usd_per_unit_month=monthly,
        calls_per_unit_month=found.demand.calls_per_month / found.working,
        notes=notes,
    )


def _train(scenario: Scenario) -> TrainPlan | None:
    given = scenario.get("train")
    if given is None:
        return None
    names = {"flop": "flops", "params": "parameters", "like_params": "like_parameters"}
    keys = ("flop", "usd", "hours", "loss", "params", "like_params", "tokens", "unique_tokens")
    aim = Aim(
        **{names.get(key, key): float(given[key]) for key in keys if key in given},
        inference_tokens=given.get("inference_tokens", scenario.load.tokens),
    )
    accelerator, _ = accelerator_of(
        given.get("device", "h100-sxm"),
        usd_per_hour=given.get("usd_per_hour"),
        n_devices=given.get("devices"),
    )
    means = Means(
        accelerator=accelerator,
        **{key: given[key] for key in ("devices", "mfu", "pue") if key in given},
    )
    runs = given.get("runs")
    law, _ = choose_law(
        given.get("constants"), None if runs is None else scenario.path(runs), outliers=given.get("outliers")
    )
    return plan_training(
        aim, means, law=law, n_experts=given.get("experts"), cny_per_usd=scenario.cny_per_usd
    )


def _device(scenario: Scenario, request: ServeRequest | None) -> DevicePlan | None:
    given = scenario.get("device")
    if given is None:
        return None
    has_model = any(key in given for key in ("model", "params", "config"))
    if not has_model and request is None:
        raise ConfigError("[device] needs a model, or a [serve] section with one")
    money = {
        key: given[key]
        for key in ("price_usd", "price_cny", "years", "uptime", "usd_per_kwh")
        if key in given
    }
    return plan_device(
        DeviceRequest(
            model=_model(scenario, given) if has_model or request is None else request.model,
            device=choose_device(given.get("device", "pixel-8-pro")),
            n_input=scenario.load.input_tokens,
            n_output=scenario.load.output_tokens,
            money=Money(cny_per_usd=scenario.cny_per_usd, **money),
            weights=tuple(given.get("weights", _WEIGHTS)),
        )
    )
