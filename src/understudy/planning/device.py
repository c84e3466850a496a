"""Plan a device: what of a model fits at each number format, how fast it writes, and what a token costs over a life.

Three questions in one: memory (weights, cache, what the system keeps), speed (a roofline over an assumed or a
measured efficiency), and money (price, years, uptime, electricity). What is not known stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from understudy.economics.hardware.device import Device
from understudy.economics.inference.answer import AnswerTime, answer_time, energy_joules
from understudy.economics.inference.calibration import Calibration
from understudy.economics.inference.life import DeviceLife, device_life
from understudy.economics.inference.memory import USABLE_SHARE, MemoryNeed, memory_need, usable_bytes
from understudy.economics.inference.rates import ASSUMED, Efficiency, Rates, Span, rates_of
from understudy.economics.inference.roofline import Formats
from understudy.economics.transformer.catalogue import KnownModel, known_models
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.precision import Precision, parse_precision
from understudy.errors import ConfigError
from understudy.planning.context import context_warning
from understudy.planning.model_choice import ChosenModel
from understudy.planning.money import ExchangeRate, exchange_rate

__all__ = ["DeviceFit", "DevicePlan", "DeviceRequest", "Money", "largest_models", "plan_device"]

_CACHE = "fp16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What turns speed into tokens per unit of money.

    Attributes
    ----------
    price_usd, price_cny
        Of the device, in one of the two; both ``None`` for the catalogue's price.
    years, uptime
        Of use; share of the time that it writes.
    usd_per_kwh
        Electricity; ``None`` leaves it out.
    cny_per_usd
        ``None`` for the catalogue's rate.
    """

    price_usd: float | None = None
    price_cny: float | None = None
    years: float = 3.0
    uptime: float = 1.0
    usd_per_kwh: float | None = None
    cny_per_usd: float | None = None

    def __post_init__(self) -> None:
        if self.price_usd is not None and self.price_cny is not None:
            raise ConfigError("a device has one price", todo="give --price-usd or --price-cny")
        above = {"--price-usd": self.price_usd, "--price-cny": self.price_cny, "--years": self.years}
        for name, value in above.items():
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} must be above 0", given=repr(value))
        if not 0 < self.uptime <= 1:
            raise ConfigError("--uptime must be above 0 and at most 1", given=repr(self.uptime))
        if self.usd_per_kwh is not None and not 0 <= self.usd_per_kwh < math.inf:
            raise ConfigError("--electricity must be 0 or more per kWh", given=repr(self.usd_per_kwh))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRequest:
    """What to plan.

    Attributes
    ----------
    model, device
        What runs where.
    n_input, n_output
        Tokens read and written per call; their sum is the context that memory must hold.
    weights
        Number formats to compare.
    cache
        Format of the cache.
    watts
        Power while it works; ``None`` for the design power.
    usable_share, efficiency, calibration
        As in :class:`~understudy.planning.serve.ServeRequest`.
    tokens_per_second
        A measured writing speed, which replaces the computed one.
    money
        For tokens per unit of money.
    """

    model: ChosenModel
    device: Device
    n_input: int = 500
    n_output: int = 200
    weights: Sequence[str] = ("bf16", "int8", "int4")
    cache: str = _CACHE
    watts: float | None = None
    usable_share: float | None = None
    efficiency: Efficiency = ASSUMED
    calibration: Calibration | None = None
    tokens_per_second: float | None = None
    money: Money = Money()


@dataclass(frozen=True, slots=True)
class DeviceFit:
    """One number format on the device.

    Attributes
    ----------
    weights
        The format.
    memory
        Bytes, and whether there is room.
    time
        Of one call; ``None`` where it does not fit or the speed is unknown.
    tokens_per_second
        While writing.
    answer_seconds, answer_joules
        Of a whole call.
    answers_per_charge
        By the rated energy of the battery.
    is_energy_of_writing
        Whether the time to read the prompt is unknown, so that `answer_joules` is that of the written tokens alone
        (a lower bound) and `answers_per_charge` an upper bound.
    life_usd, life_cny
        Tokens over the device's life, per unit of either money.
    reason
        Why something is unknown.
    """

    weights: Precision
    memory: MemoryNeed
    time: AnswerTime | None
    tokens_per_second: Span | None
    answer_seconds: Span | None
    answer_joules: Span | None
    answers_per_charge: Span | None
    life_usd: DeviceLife | None
    life_cny: DeviceLife | None
    reason: str | None
    is_energy_of_writing: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        found = asdict(self)
        found["weights"] = self.weights.name
        found["memory"] = self.memory.to_dict()
        return found


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """All number formats on the device, and what all of them rest on."""

    model: ChosenModel
    device: Device
    n_input: int
    n_output: int
    usable_source: str
    rates: Rates | None
    is_speed_given: bool
    watts: float | None
    fits: tuple[DeviceFit, ...]
    exchange: ExchangeRate
    money: Money
    context_warning: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "model": self.model.to_dict(),
            "device": self.device.to_dict(),
            "input_tokens": self.n_input,
            "output_tokens": self.n_output,
            "usable_source": self.usable_source,
            "rates": None if self.rates is None else self.rates.to_dict(),
            "is_speed_given": self.is_speed_given,
            "watts": self.watts,
            "formats": [fit.to_dict() for fit in self.fits],
            "exchange": asdict(self.exchange),
            "money": asdict(self.money),
            "context_warning": self.context_warning,
        }


def plan_device(request: DeviceRequest) -> DevicePlan:
    """Plan a model on a device at several number formats.

    Raises
    ------
    ConfigError
        If a number is out of range or a format is not known.
    """
    for name, value in (("--input-tokens", request.n_input), ("--output-tokens", request.n_output)):
        if value < 1:
            raise ConfigError(f"{name} must be 1 or more", given=str(value))
    if request.watts is not None and not 0 <= request.watts < math.inf:
        raise ConfigError("--watts must be 0 or more", given=repr(request.watts))
    if request.tokens_per_second is not None and not 0 < request.tokens_per_second < math.inf:
        raise ConfigError("--tokens-per-second must be above 0", given=repr(request.tokens_per_second))
    warning = context_warning(request.model.shape, request.n_input, request.n_output)
    usable = usable_bytes(request.device, share=request.usable_share)
    known = USABLE_SHARE.get(request.device.kind, USABLE_SHARE["custom"])
    share, source = (request.usable_share, "given") if request.usable_share is not None else known
    exchange = exchange_rate(request.money.cny_per_usd)
    fits = tuple(_fit(request, parse_precision(name), usable, exchange) for name in request.weights)
    watts = request.device.tdp_watts if request.watts is None else request.watts
    rates = _rates(request, fits[0].weights) if fits else None
    return DevicePlan(
        request.model,
        request.device,
        request.n_input,
        request.n_output,
        f"{100 * share:.0f} % of memory, {source}",
        rates,
        request.tokens_per_second is not None,
        watts,
        fits,
        exchange,
        request.money,
        warning,
    )


def _rates(request: DeviceRequest, weights: Precision) -> Rates | None:
    if request.calibration is not None:
        return request.calibration.rates()
    if request.device.bandwidth_bytes_per_second is None:
        return None
    return rates_of(request.device, weights.compute, request.efficiency)


def _fit(
    request: DeviceRequest, weights: Precision, usable: float | None, exchange: ExchangeRate
) -> DeviceFit:
    formats = Formats(weights, parse_precision(request.cache))
    shape = request.model.shape
    memory = memory_need(shape, formats, usable, batch=1, context=request.n_input + request.n_output)
    if memory.has_room is False:
        return DeviceFit(weights, memory, None, None, None, None, None, None, None, "does not fit")
    rates = _rates(request, weights)
    time = None
    if rates is not None:
        time = answer_time(shape, rates, formats, n_input=request.n_input, n_output=request.n_output)
    speed = None
    if request.tokens_per_second is not None:
        speed = Span.exact(request.tokens_per_second)
    elif time is not None and time.token_seconds is not None:
        speed = time.token_seconds.map(lambda seconds: 1 / seconds)
    seconds = None if time is None or request.tokens_per_second is not None else time.total_seconds
    reason = None
    if speed is None:
        reason = "the device's bandwidth is unknown: give --device-spec bandwidth_bytes_per_second=..."
    elif seconds is None and request.tokens_per_second is None:
        reason = "the time to read the prompt is unknown: the device's arithmetic is"
    watts = request.device.tdp_watts if request.watts is None else request.watts
    # Reading a prompt takes a pass over all weights at least, as writing a token does: so this is a lower bound.
    # at the typical speed.
    writing = None if speed is None else speed.map(lambda rate: request.n_output / rate)
    busy = seconds if seconds is not None else writing
    joules = None if busy is None or watts is None else energy_joules(busy, watts, batch=1)
    battery = request.device.battery_joules
    charges = None if joules is None or battery is None else joules.map(lambda one: battery / one)
    is_energy_of_writing = seconds is None and joules is not None
    if is_energy_of_writing:
        words = "energy and calls per charge are those of the written tokens alone"
        reason = words if reason is None else f"{reason}; {words}"
    life_usd, life_cny = _lives(request, speed, watts, exchange)
    return DeviceFit(
        weights,
        memory,
        time,
        speed,
        seconds,
        joules,
        charges,
        life_usd,
        life_cny,
        reason,
        is_energy_of_writing,
    )


def _lives(
    request: DeviceRequest, speed: Span | None, watts: float | None, exchange: ExchangeRate
) -> tuple[DeviceLife | None, DeviceLife | None]:
    """Tokens per dollar and per yuan at the typical speed."""
    money = request.money
    price_usd = money.price_usd if money.price_usd is not None else request.device.price_usd
    if money.price_cny is not None:
        price_usd = money.price_cny / exchange.cny_per_usd
    if speed is None or price_usd is None:
        return None, None
    has_power = money.usd_per_kwh is not None and watts is not None

    def life(rate: float, price: float) -> DeviceLife:
        per_kwh = None if money.usd_per_kwh is None else money.usd_per_kwh * rate
        return device_life(
            price=price,
            years=money.years,
            tokens_per_second=speed.typical,
            uptime=money.uptime,
            watts=watts if has_power else None,
            price_per_kwh=per_kwh if has_power else None,
        )

    price_cny = money.price_cny if money.price_cny is not None else price_usd * exchange.cny_per_usd
    return life(1.0, price_usd), life(exchange.cny_per_usd, price_cny)


def largest_models(
    device: Device, weights: str, *, context: int, usable_share: float | None = None
) -> list[tuple[KnownModel, MemoryNeed]]:
    """Models of the catalogue that fit a device at a number format, largest first.

    Models with fewer learnt positions than `context` are left out.

    Raises
    ------
    ConfigError
        If the format is not known, or the device's memory is.
    """
    usable = usable_bytes(device, share=usable_share)
    if usable is None:
        raise ConfigError(f"the memory of {device.id} is unknown", todo="give --device-spec memory_bytes=...")
    formats = Formats(parse_precision(weights), parse_precision(_CACHE))
    needs = [
        (model, memory_need(model.shape, formats, usable, batch=1, context=context))
        for model in known_models().values()
        if model.licence != "closed" and not 0 < model.shape.n_positions < context
    ]
    fitting = [(model, need) for model, need in needs if need.has_room]
    return sorted(fitting, key=lambda one: -count_parameters(one[0].shape).total)
