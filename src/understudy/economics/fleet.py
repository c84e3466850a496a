"""From users or calls to devices: load at the peak, a stated percentile of waiting, spares, cost and energy.

The number of devices follows from a queue (see :mod:`understudy.economics.queueing`), not from dividing the
load by a device's speed: a fleet that is just fast enough on average keeps callers waiting without end.
It knows the mean service time at full load; it does not know batching, caches or failures in groups.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from understudy.economics.options import HOURS_PER_MONTH
from understudy.economics.queueing import Queue, servers_needed
from understudy.errors import ConfigError

__all__ = ["Demand", "Fleet", "Promise", "Running", "Unit", "devices_by_flop", "size_fleet"]

SECONDS_PER_DAY = 86_400.0


def _check(is_zero_allowed: bool, **values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value) or value < 0 or (value == 0 and not is_zero_allowed):
            raise ConfigError(
                f"{name} must be {'0 or more' if is_zero_allowed else 'above 0'}", given=repr(value)
            )


@dataclass(frozen=True, slots=True)
class Demand:
    """How many calls come.

    Attributes
    ----------
    mean_calls_per_second
        Over the whole day.
    peak_factor
        Busiest time over the mean, 1 or more; the fleet is built for it.
    """

    mean_calls_per_second: float
    peak_factor: float = 1.0

    def __post_init__(self) -> None:
        _check(False, mean_calls_per_second=self.mean_calls_per_second)
        if not 1 <= self.peak_factor < math.inf:
            raise ConfigError("peak_factor must be 1 or more", given=repr(self.peak_factor))

    @classmethod
    def of_users(cls, users: float, calls_per_user_day: float, peak_factor: float = 1.0) -> Demand:
        """`users` who make so many calls a day each."""
        _check(False, users=users, calls_per_user_day=calls_per_user_day)
        return cls(users * calls_per_user_day / SECONDS_PER_DAY, peak_factor)

    @property
    def peak_calls_per_second(self) -> float:
        """At the busiest time."""
        return self.mean_calls_per_second * self.peak_factor

    @property
    def calls_per_month(self) -> float:
        """Over 730 hours."""
        return self.mean_calls_per_second * 3600 * HOURS_PER_MONTH


@dataclass(frozen=True, slots=True)
class Unit:
    """One device as a server of calls.

    Attributes
    ----------
    service_s
        How long a call stays on the device while all its slots are busy, seconds.
    slots
        Calls that it works on at a time.
    service_cv
        Standard deviation of the service time over its mean; 1 if unknown (exponential).
    """

    service_s: float
    slots: int = 1
    service_cv: float = 1.0

    def __post_init__(self) -> None:
        _check(False, service_s=self.service_s)
        _check(True, service_cv=self.service_cv)
        if self.slots < 1:
            raise ConfigError("slots must be 1 or more", given=repr(self.slots))

    @classmethod
    def of_throughput(
        cls, tokens_per_call: float, tokens_per_second: float, slots: int = 1, service_cv: float = 1.0
    ) -> Unit:
        """A device that writes `tokens_per_second` over all its slots together."""
        _check(False, tokens_per_call=tokens_per_call, tokens_per_second=tokens_per_second)
        return cls(tokens_per_call * slots / tokens_per_second, slots, service_cv)

    @property
    def calls_per_second(self) -> float:
        """What the device can serve if it is never idle."""
        return self.slots / self.service_s


@dataclass(frozen=True, slots=True)
class Promise:
    """What callers are promised.

    Attributes
    ----------
    wait_limit_s
        Wait before service, seconds.
    share
        Of calls at the peak that stay within it, in (0, 1).
    spares
        Devices that may fail with the promise still kept (N + k).
    most_utilisation
        Ceiling on the busy share at the peak, in (0, 1]. A large fleet keeps a waiting limit at 99 % busy, but
        only while calls come exactly as evenly as assumed; the default leaves a tenth for when they do not.
    """

    wait_limit_s: float = 1.0
    share: float = 0.95
    spares: int = 1
    most_utilisation: float = 0.9

    def __post_init__(self) -> None:
        if self.spares < 0:
            raise ConfigError("spares must be 0 or more", given=repr(self.spares))


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What running one device costs.

    Attributes
    ----------
    usd_per_hour
        Rent; ``None`` is unknown.
    device_usd, life_years
        Price of an own device, spread evenly over its life; ``None`` where it is rented.
    power_w
        At full load, of the device; ``None`` is unknown. Rent is taken to include power.
    idle_power_share
        Power of an idle device over its full power, in [0, 1].
    pue
        Power of the building over that of the devices, 1 or more.
    usd_per_kwh
        ``None`` is unknown.
    """

    usd_per_hour: float | None = None
    device_usd: float | None = None
    life_years: float | None = None
    power_w: float | None = None
    idle_power_share: float = 0.3
    pue: float = 1.0
    usd_per_kwh: float | None = None

    def __post_init__(self) -> None:
        for name in ("usd_per_hour", "device_usd", "power_w", "usd_per_kwh"):
            value = getattr(self, name)
            if value is not None:
                _check(True, **{name: value})
        if self.device_usd is not None and not (self.life_years is not None and self.life_years > 0):
            raise ConfigError("an own device needs a life in years, above 0", given=repr(self.life_years))
        if self.usd_per_hour is not None and self.device_usd is not None:
            raise ConfigError(
                "a device is rented or owned: give a price per hour or a price to buy, not both"
            )
        if not 0 <= self.idle_power_share <= 1 or not 1 <= self.pue < math.inf:
            raise ConfigError(
                "idle_power_share must be from 0 to 1, and pue 1 or more",
                given=f"{self.idle_power_share!r}, {self.pue!r}",
            )

    def kilowatts(self, devices: int, utilisation: float) -> float | None:
        """Mean power of `devices`, building included, if power rises evenly with utilisation."""
        if self.power_w is None:
            return None
        each = self.power_w * (self.idle_power_share + (1 - self.idle_power_share) * utilisation)
        return devices * each * self.pue / 1000

    def fleet_usd_per_hour(self, devices: int, utilisation: float) -> tuple[float | None, str | None]:
        """Dollars per hour of `devices`, or ``None`` with the reason."""
        if self.usd_per_hour is not None:
            return devices * self.usd_per_hour, None
        if self.device_usd is None or self.life_years is None:
            return None, "neither a price per hour nor a price to buy is known"
        kilowatts = self.kilowatts(devices, utilisation)
        if kilowatts is None or self.usd_per_kwh is None:
            return None, "power or the price of a kilowatt-hour is unknown"
        bought = devices * self.device_usd / (self.life_years * 12 * HOURS_PER_MONTH)
        return bought + kilowatts * self.usd_per_kwh, None


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices that keep a promise.

    Attributes
    ----------
    demand, unit, promise
        As given.
    working, spares
        Devices needed at the peak, and devices that may fail.
    queue
        The queue of the working devices at the peak.
    mean_utilisation
        Busy share of all devices, spares included, over the day.
    usd_per_hour, usd_reason
        Of all devices; ``None`` with its reason.
    kilowatts
        Mean power, building included; ``None`` is unknown.
    """

    demand: Demand
    unit: Unit
    promise: Promise
    working: int
    spares: int
    queue: Queue
    mean_utilisation: float
    usd_per_hour: float | None
    usd_reason: str | None
    kilowatts: float | None

    @property
    def devices(self) -> int:
        """Working ones and spares."""
        return self.working + self.spares

    @property
    def by_division(self) -> float:
        """Devices if calls came in step and nothing failed: load at the peak over a device's speed."""
        return self.queue.load / self.unit.slots

    @property
    def usd_per_month(self) -> float | None:
        """Over 730 hours."""
        return None if self.usd_per_hour is None else self.usd_per_hour * HOURS_PER_MONTH

    @property
    def usd_per_call(self) -> float | None:
        """Mean over the month."""
        return None if self.usd_per_month is None else self.usd_per_month / self.demand.calls_per_month

    @property
    def kwh_per_month(self) -> float | None:
        """Energy, building included."""
        return None if self.kilowatts is None else self.kilowatts * HOURS_PER_MONTH

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "demand": {**asdict(self.demand), "peak_calls_per_second": self.demand.peak_calls_per_second},
            "unit": {**asdict(self.unit), "calls_per_second": self.unit.calls_per_second},
            "promise": asdict(self.promise),
            "devices": self.devices,
            "working": self.working,
            "spares": self.spares,
            "by_division": self.by_division,
            "peak_utilisation": self.queue.utilisation,
            "mean_utilisation": self.mean_utilisation,
            "waiting_share": self.queue.waiting_share,
            "mean_wait_s": self.queue.mean_wait_s,
            "wait_s": self.queue.wait_s(self.promise.share),
            "usd_per_hour": self.usd_per_hour,
            "usd_reason": self.usd_reason,
            "usd_per_month": self.usd_per_month,
            "usd_per_call": self.usd_per_call,
            "kilowatts": self.kilowatts,
            "kwh_per_month": self.kwh_per_month,
        }


def size_fleet(demand: Demand, unit: Unit, promise: Promise, running: Running) -> Fleet:
    """The smallest fleet that keeps `promise` at the peak with all spares out of order.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """
    needed = servers_needed(
        demand.peak_calls_per_second,
        unit.service_s,
        wait_limit_s=promise.wait_limit_s,
        share=promise.share,
        service_cv=unit.service_cv,
        most_utilisation=promise.most_utilisation,
    )
    working = math.ceil(needed.servers / unit.slots)
    queue = Queue(demand.peak_calls_per_second, unit.service_s, working * unit.slots, unit.service_cv)
    devices = working + promise.spares
    mean = demand.mean_calls_per_second * unit.service_s / (devices * unit.slots)
    usd, reason = running.fleet_usd_per_hour(devices, mean)
    return Fleet(
        demand,
        unit,
        promise,
        working,
        promise.spares,
        queue,
        mean,
        usd,
        reason,
        running.kilowatts(devices, mean),
    )


def devices_by_flop(
    *,
    users: float,
    calls_per_user_day: float,
    tokens_per_call: float,
    flop_per_token: float,
    device_flop_per_second: float,
    utilisation: float,
    peak_factor: float = 1.0,
) -> float:
    """Devices by arithmetic alone: FLOP demanded at the peak over FLOP delivered by one device.

    A lower limit: it leaves out waiting, memory and spares. For published figures that were made so.

    Parameters
    ----------
    utilisation
        Share of the peak FLOP that serving reaches, in (0, 1].
    """
    _check(
        False,
        users=users,
        calls_per_user_day=calls_per_user_day,
        tokens_per_call=tokens_per_call,
        flop_per_token=flop_per_token,
        device_flop_per_second=device_flop_per_second,
        peak_factor=peak_factor,
    )
    if not 0 < utilisation <= 1:
        raise ConfigError("utilisation must be above 0 and at most 1", given=repr(utilisation))
    demanded = users * calls_per_user_day * tokens_per_call * flop_per_token / SECONDS_PER_DAY
    return demanded * peak_factor / (device_flop_per_second * utilisation)
