"""How many devices a load needs, and what they cost an hour and a month, in dollars and yuan.

Joins a fleet sized by a queue with the catalogue of devices, rented hours, electricity and currencies. How fast
a device answers has to be given or measured; nothing here predicts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from understudy.drawing.svg import compact
from understudy.drawing.xy import Axis, Chart, Mark, Series
from understudy.economics.fleet import Demand, Fleet, Promise, Running, Unit, size_fleet
from understudy.economics.hardware.catalogue import (
    find_cloud_price,
    find_device,
    find_electricity,
    rent_offer,
)
from understudy.planning.money import ExchangeRate, exchange_rate, with_yuan

__all__ = ["DEFAULT_PUE", "FleetPlan", "fleet_chart", "plan_fleet", "running_of"]

DEFAULT_PUE = 1.2
"""A large data centre of today; the mean of all that answered the Uptime Institute's survey of 2023 is 1.58."""


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """A fleet with its surroundings.

    Attributes
    ----------
    fleet
        What was found.
    device
        Name of the device.
    exchange
        For yuan.
    sources
        Where prices and power come from, by name.
    by_load
        The fleet at other loads: (share of the demand, devices).
    service_ends
        The fleets at the shortest and the longest service time, where it has a range.
    """

    fleet: Fleet
    device: str
    exchange: ExchangeRate
    sources: Mapping[str, str] = field(default_factory=dict)
    by_load: tuple[tuple[float, int], ...] = ()
    service_ends: tuple[Fleet, Fleet] | None = None

    @property
    def interval_reason(self) -> str | None:
        """Why the number of devices has no range; ``None`` where it has one."""
        return None if self.service_ends is not None else "load and service time are taken as given"

    @property
    def instance_warning(self) -> str | None:
        """What whole instances cost, where the price is a part of one and the fleet does not fill them."""
        if "instance" not in self.sources or self.fleet.usd_per_month is None:
            return None
        offer = find_cloud_price(self.sources["instance"])
        whole = offer.whole(self.fleet.devices)
        if whole == self.fleet.devices:
            return None
        month = self.fleet.usd_per_month * whole / self.fleet.devices
        return (
            f"{offer.id} is rented whole, {offer.n_devices} devices at a time: {whole:,} devices for "
            f"{self.exchange.both(month)} a month"
        )

    @property
    def sentence(self) -> str:
        """The answer in a line."""
        found = self.fleet
        peak = found.demand.peak_calls_per_second
        wait_s = found.queue.wait_s(found.promise.share)
        waiting = f"wait at most {wait_s:.3g} s" if wait_s > 0 else "do not wait"
        words = (
            f"{found.devices:,} x {self.device}: {found.working:,} working and {found.spares} spare, for "
            f"{peak:.4g} calls a second at the peak; {100 * found.promise.share:g} % of calls {waiting}"
        )
        if found.usd_per_month is not None:
            words += f"; {self.exchange.both(found.usd_per_month)} a month"
        return words + "."

    def to_dict(self) -> dict[str, Any]:
        """JSON form; money in dollars and in yuan."""
        found = {
            "sentence": self.sentence,
            "device": self.device,
            **self.fleet.to_dict(),
            "exchange": asdict(self.exchange),
            "sources": dict(self.sources),
            "instance_warning": self.instance_warning,
            "service_ends": None
            if self.service_ends is None
            else [
                {"service_s": one.unit.service_s, "devices": one.devices, "usd_per_month": one.usd_per_month}
                for one in self.service_ends
            ],
            "interval_reason": self.interval_reason,
            "by_load": [{"share": share, "devices": devices} for share, devices in self.by_load],
        }
        return dict(with_yuan(found, self.exchange))


def running_of(
    device: str,
    *,
    usd_per_hour: float | None = None,
    is_owned: bool = False,
    device_usd: float | None = None,
    life_years: float = 4.0,
    power_w: float | None = None,
    pue: float = DEFAULT_PUE,
    electricity: str = "us-industrial",
    usd_per_kwh: float | None = None,
) -> tuple[Running, str, dict[str, str]]:
    """Costs of running a device of the catalogue, what is given taking precedence.

    Parameters
    ----------
    device
        An id of the catalogue, or ``custom`` for one that only the other arguments describe.
    is_owned
        Bought instead of rented.
    life_years
        Over which an own device is paid off.
    electricity
        An id of the catalogue of electricity prices.

    Returns
    -------
    tuple
        Costs, the device's name, and where each figure comes from.

    Raises
    ------
    ConfigError
        If a name is not known.
    """
    known = None if device == "custom" else find_device(device)
    sources: dict[str, str] = {}
    if power_w is None and known is not None and known.tdp_watts is not None:
        power_w, sources["power"] = known.tdp_watts, f"design power, {known.source}"
    if usd_per_kwh is None:
        price = find_electricity(electricity)
        usd_per_kwh = price.usd_per_kwh()
        sources["electricity"] = f"{price.region}, {price.use}, {price.year}"
    if is_owned:
        if device_usd is None and known is not None and known.price_usd is not None:
            device_usd = known.price_usd
            sources["price"] = f"{known.price_note}, {known.price_date}"
    elif usd_per_hour is None:
        offer = rent_offer(device)
        if offer is not None:
            usd_per_hour = offer.usd_per_device_hour
            sources["rent"] = f"${usd_per_hour:.4g} an hour, {offer.words}"
            if offer.n_devices > 1:
                sources["instance"] = offer.id
    name = device if known is None else known.name
    running = Running(
        usd_per_hour=None if is_owned else usd_per_hour,
        device_usd=device_usd if is_owned else None,
        life_years=life_years if is_owned and device_usd is not None else None,
        power_w=power_w,
        pue=pue,
        usd_per_kwh=usd_per_kwh,
    )
    return running, name, sources


def plan_fleet(
    demand: Demand,
    unit: Unit,
    promise: Promise,
    running: Running,
    *,
    device: str,
    sources: Mapping[str, str] | None = None,
    cny_per_usd: float | None = None,
    service_range_s: tuple[float, float] | None = None,
) -> FleetPlan:
    """Size a fleet, and the same fleet at a tenth to ten times the demand.

    Parameters
    ----------
    service_range_s
        Shortest and longest service time that the unit may turn out to have, where its own is an estimate.
    cny_per_usd
        Exchange rate; ``None``: the catalogue's.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """
    fleet = size_fleet(demand, unit, promise, running)
    ends = None
    if service_range_s is not None:
        low, high = (
            size_fleet(demand, replace(unit, service_s=service_s), promise, running)
            for service_s in service_range_s
        )
        ends = (low, high)
    others = []
    for share in (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0):
        scaled = Demand(demand.mean_calls_per_second * share, demand.peak_factor)
        others.append((share, size_fleet(scaled, unit, promise, running).devices))
    return FleetPlan(
        fleet,
        device,
        exchange_rate(cny_per_usd),
        dict(sources or {}),
        tuple(others),
        ends,
    )


def fleet_chart(plan: FleetPlan) -> Chart:
    """Devices against load, from a tenth to ten times the plan's: by the queue with spares, and by division."""
    fleet = plan.fleet
    peak = fleet.demand.peak_calls_per_second
    loads = [peak * 10 ** (step / 20 - 1) for step in range(41)]
    queued, divided = [], []
    for load in loads:
        one = size_fleet(Demand(load), fleet.unit, fleet.promise, Running())
        queued.append(float(one.devices))
        divided.append(one.by_division)
    share = 100 * fleet.promise.share
    return Chart(
        f"Devices by load ({plan.device})",
        Axis("calls a second at the peak", is_log=True, tick=compact),
        Axis("devices", is_log=True, tick=compact),
        [
            Series(
                f"{share:g} % wait at most {fleet.promise.wait_limit_s:g} s, {fleet.spares} spare",
                loads,
                queued,
                colour="accent",
            ),
            Series("by division", loads, divided, kind="dashed", colour=0),
        ],
        [Mark(f"this plan: {fleet.devices:,} devices", x=peak)],
    )
