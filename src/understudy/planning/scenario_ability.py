"""The parts of a scenario that are about ability: its forecast, measured densities, and published figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from understudy.density.measure import Measurement, measure
from understudy.density.ruler import load_ruler
from understudy.economics.trends import NAMED_TRENDS
from understudy.errors import ConfigError
from understudy.planning.device_capacity import device_capacity
from understudy.planning.figures.collection import all_figures
from understudy.planning.figures.figure import Figure
from understudy.planning.forecast import Crossing, Doubling, Range, forecast_fit
from understudy.planning.scenario import Scenario

__all__ = ["ForecastPlan", "density_of", "figures_of", "forecast_of"]


@dataclass(frozen=True, slots=True)
class ForecastPlan:
    """When an ability fits a device.

    Attributes
    ----------
    what
        The ability, in words.
    size, on
        What it took, and when.
    capacity
        Parameters that the device holds.
    density
        How fast density doubles.
    fits
        The crossing.
    """

    what: str
    size: Range
    on: date
    capacity: float
    density: Doubling
    fits: Crossing


def forecast_of(scenario: Scenario) -> ForecastPlan | None:
    """The plan of ``[forecast]``; ``None`` where it is left out."""
    given = scenario.get("forecast")
    if given is None:
        return None
    for key in ("params", "on", "memory_bytes"):
        if key not in given:
            raise ConfigError(f"[forecast] needs {key}")
    size = _range(given["params"], given.get("params_range"), "params_range")
    density = Doubling.named(NAMED_TRENDS["density"])
    if "doubling_days" in given:
        density = Doubling(_range(given["doubling_days"], given.get("doubling_range"), "doubling_range"))
    capacity = device_capacity(
        memory_bytes=given["memory_bytes"],
        bits_per_parameter=given.get("bits", 4.0),
        **({"usable_share": given["usable_share"]} if "usable_share" in given else {}),
    )
    fits = forecast_fit(n_parameters=size, on=given["on"], capacity=Range.fixed(capacity), density=density)
    what = given.get("what", f"what took {size.value:.3g} parameters")
    return ForecastPlan(what, size, given["on"], capacity, density, fits)


def _range(value: float, ends: list[float] | None, name: str) -> Range:
    if ends is None:
        return Range.fixed(value)
    if len(ends) != 2:
        raise ConfigError(f"[forecast] {name} is a list of two numbers", given=repr(ends))
    return Range(value, ends[0], ends[1])


_MEASURED = {"name", "params", "active_params", "tokens", "score", "loss", "items"}


def density_of(scenario: Scenario) -> tuple[Measurement, ...]:
    """The models of ``[density]``, measured by its ruler."""
    given = scenario.get("density")
    if given is None:
        return ()
    if "ruler" not in given or not given.get("models"):
        raise ConfigError("[density] needs a ruler and [[density.models]]")
    ruler = load_ruler(scenario.path(given["ruler"]))
    found = []
    for one in given["models"]:
        unknown = sorted(set(one) - _MEASURED)
        if unknown or "params" not in one:
            what = f"has no {unknown[0]!r}" if unknown else "needs params"
            raise ConfigError(f"[[density.models]] {what}", todo=f"known: {', '.join(sorted(_MEASURED))}")
        found.append(
            measure(
                ruler,
                n_parameters=one["params"],
                score=one.get("score"),
                loss=one.get("loss"),
                n_tokens=one.get("tokens"),
                n_active_parameters=one.get("active_params"),
                n_items=one.get("items"),
                name=one.get("name", ""),
            )
        )
    return tuple(found)


def figures_of(scenario: Scenario) -> tuple[Figure, ...]:
    """The entries that ``[figures]`` asks for; all where it names none."""
    given = scenario.get("figures")
    if given is None:
        return ()
    data = given.get("data")
    found = all_figures(None if data is None else scenario.path(data))
    wanted = [number.upper() for number in given.get("numbers", [])]
    unknown = [number for number in wanted if number not in {figure.number for figure in found}]
    if unknown:
        raise ConfigError("[figures] has no such entry", given=unknown[0])
    return tuple(figure for figure in found if not wanted or figure.number in wanted)
