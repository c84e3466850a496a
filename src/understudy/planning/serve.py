"""Plan serving: a model on a device, for calls of a given length. Memory, speed, money and energy of a call.

Everything is computed for a machine that is always as busy as the batch says; what an idle hour costs is the
fleet's matter. The speed of a datasheet's machine rests on an assumed efficiency, and says so.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from understudy.economics.hardware.catalogue import rent_offer
from understudy.economics.hardware.device import Device
from understudy.economics.inference.answer import AnswerTime, answer_time, cost_usd, energy_joules
from understudy.economics.inference.calibration import Calibration
from understudy.economics.inference.memory import MemoryNeed, memory_need, most_sequences, usable_bytes
from understudy.economics.inference.rates import ASSUMED, Efficiency, Rates, Span, rates_of
from understudy.economics.inference.roofline import Formats
from understudy.economics.transformer.memory import weight_bytes
from understudy.economics.transformer.precision import Precision, parse_precision
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError
from understudy.planning.context import context_warning
from understudy.planning.model_choice import ChosenModel
from understudy.planning.money import ExchangeRate, exchange_rate

__all__ = ["ServePlan", "ServeRequest", "batch_curve", "plan_serve"]

_MOST_TOKENS = 100_000_000
_REMEDIES = ("int8", "int4")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeRequest:
    """What to plan.

    Attributes
    ----------
    model, device
        What runs where.
    n_input, n_output
        Tokens read and written per call.
    batch
        Calls at once; ``None`` for as many as memory holds.
    weights, cache
        Number formats; the cache's default is ``bf16``.
    n_devices
        Devices that share every layer.
    usd_per_hour
        Of all of them; ``None`` for the cheapest instance of the catalogue, if there is one.
    watts
        Of one device; ``None`` for its design power.
    usable_share
        Of memory; ``None`` for the default of the device's kind.
    efficiency, calibration
        Shares of the datasheet's peaks; or rates measured, which replace them.
    cny_per_usd
        ``None`` for the catalogue's rate.
    """

    model: ChosenModel
    device: Device
    n_input: int
    n_output: int
    batch: int | None = 1
    weights: str = "bf16"
    cache: str = "bf16"
    n_devices: int = 1
    usd_per_hour: float | None = None
    watts: float | None = None
    usable_share: float | None = None
    efficiency: Efficiency = ASSUMED
    calibration: Calibration | None = None
    cny_per_usd: float | None = None

    def __post_init__(self) -> None:
        counts = {
            "--input-tokens": self.n_input,
            "--output-tokens": self.n_output,
            "--batch": 1 if self.batch is None else self.batch,
            "--n-devices": self.n_devices,
        }
        for name, value in counts.items():
            if not 1 <= value <= _MOST_TOKENS:
                raise ConfigError(f"{name} must be from 1 to {_MOST_TOKENS:,}", given=str(value))
        for name, money in (("--usd-per-hour", self.usd_per_hour), ("--watts", self.watts)):
            if money is not None and not (math.isfinite(money) and money >= 0):
                raise ConfigError(f"{name} must be 0 or more", given=repr(money))


@dataclass(frozen=True, slots=True)
class ServePlan:
    """What a call takes.

    Attributes
    ----------
    model, device, n_devices, weights, cache
        As asked.
    batch
        Calls at once that the times hold for.
    largest_batch
        How many fit in memory; ``None`` where the memory is unknown, 0 where the weights alone do not fit.
    memory
        Bytes at `batch`.
    rates, time
        What the machine reaches; times.
    usd_per_hour, price_source
        Of the machine; ``None`` with the reason in `price_source`.
    call_usd, million_tokens_usd
        Per call, and per million tokens written.
    watts, call_joules
        Power, and energy per call.
    exchange
        Yuan per dollar.
    remedies
        What would fit, where it does not.
    context_warning
        Where a call is longer than the model's context; ``None`` where it is not, or the limit is unknown.
    """

    model: ChosenModel
    device: Device
    n_devices: int
    weights: Precision
    cache: Precision
    batch: int
    largest_batch: int | None
    memory: MemoryNeed
    rates: Rates
    time: AnswerTime
    usd_per_hour: float | None
    price_source: str
    call_usd: Span | None
    million_tokens_usd: Span | None
    watts: float | None
    call_joules: Span | None
    exchange: ExchangeRate
    remedies: tuple[str, ...]
    context_warning: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form; money in dollars and in yuan."""
        rate = self.exchange.cny_per_usd
        return {
            "model": self.model.to_dict(),
            "device": self.device.to_dict(),
            "n_devices": self.n_devices,
            "weights": self.weights.name,
            "cache": self.cache.name,
            "batch": self.batch,
            "largest_batch": self.largest_batch,
            "memory": self.memory.to_dict(),
            "rates": self.rates.to_dict(),
            "time": self.time.to_dict(),
            "usd_per_hour": self.usd_per_hour,
            "price_source": self.price_source,
            "call_usd": _plain(self.call_usd),
            "call_cny": _plain(self.call_usd, rate),
            "million_output_tokens_usd": _plain(self.million_tokens_usd),
            "million_output_tokens_cny": _plain(self.million_tokens_usd, rate),
            "watts": self.watts,
            "call_joules": _plain(self.call_joules),
            "exchange": asdict(self.exchange),
            "remedies": list(self.remedies),
            "context_warning": self.context_warning,
        }


def _plain(span: Span | None, times: float = 1.0) -> dict[str, float] | None:
    return None if span is None else span.map(lambda value: value * times).to_dict()


def _rates(request: ServeRequest, weights: Precision) -> Rates:
    if request.calibration is not None:
        rates = request.calibration.rates()
    else:
        rates = rates_of(request.device, weights.compute, request.efficiency)
    return rates.split_over(request.n_devices)


def plan_serve(request: ServeRequest) -> ServePlan:
    """Plan one way of serving.

    Raises
    ------
    ConfigError
        If a number format is not known, the device's bandwidth is unknown and nothing measured is given, or a call
        is longer than the model's learnt positions.
    """
    shape = request.model.shape
    weights, cache = parse_precision(request.weights), parse_precision(request.cache)
    formats = Formats(weights, cache)
    context = request.n_input + request.n_output
    warning = context_warning(shape, request.n_input, request.n_output)
    usable = usable_bytes(request.device, share=request.usable_share, n_devices=request.n_devices)
    largest = None if usable is None else most_sequences(shape, formats, usable, context=context)
    batch = request.batch if request.batch is not None else max(1, largest or 1)
    memory = memory_need(shape, formats, usable, batch=batch, context=context)
    rates = _rates(request, weights)
    time = answer_time(shape, rates, formats, n_input=request.n_input, n_output=request.n_output, batch=batch)
    usd_per_hour, price_source = _price(request)
    call_usd = million = joules = None
    if time.total_seconds is not None and usd_per_hour is not None:
        call_usd = cost_usd(time.total_seconds, usd_per_hour, batch=batch)
        million = call_usd.map(lambda usd: usd * 1e6 / request.n_output)
    watts = request.device.tdp_watts if request.watts is None else request.watts
    if time.total_seconds is not None and watts is not None:
        joules = energy_joules(time.total_seconds, watts * request.n_devices, batch=batch)
    remedies = _remedies(shape, request, usable) if memory.has_room is False else ()
    return ServePlan(
        request.model,
        request.device,
        request.n_devices,
        weights,
        cache,
        batch,
        largest,
        memory,
        rates,
        time,
        usd_per_hour,
        price_source,
        call_usd,
        million,
        watts,
        joules,
        exchange_rate(request.cny_per_usd),
        remedies,
        warning,
    )


def _price(request: ServeRequest) -> tuple[float | None, str]:
    if request.usd_per_hour is not None:
        return request.usd_per_hour, "given"
    cheapest = rent_offer(request.device.id, request.n_devices)
    if cheapest is None:
        return None, f"no hourly price of {request.device.id} is in the catalogue: give --usd-per-hour"
    return cheapest.usd_per_device_hour * request.n_devices, cheapest.words


def _remedies(shape: ModelShape, request: ServeRequest, usable: float | None) -> tuple[str, ...]:
    """What would make it fit: fewer calls at once, smaller numbers, more devices."""
    assert usable is not None, "whether it fits is known"
    context = request.n_input + request.n_output
    found = []
    for name in (request.weights, *(one for one in _REMEDIES if one != request.weights)):
        formats = Formats(parse_precision(name), parse_precision(request.cache))
        n = most_sequences(shape, formats, usable, context=context)
        if n:
            words = "" if name == request.weights else f"--weights {name} "
            found.append(
                f"{words}--batch {n}" if request.batch is None or n < request.batch else words.strip()
            )
    one_usable = usable / request.n_devices
    need = weight_bytes(shape, parse_precision(request.weights)) * 1.05
    found.append(f"--n-devices {max(request.n_devices + 1, math.ceil(need / one_usable))}")
    return tuple(found)


def batch_curve(request: ServeRequest) -> list[AnswerTime]:
    """Times at batches of 1, 2, 4, ... up to what fits (1,024 at most), for a chart."""
    shape, weights = request.model.shape, parse_precision(request.weights)
    formats = Formats(weights, parse_precision(request.cache))
    context = request.n_input + request.n_output
    usable = usable_bytes(request.device, share=request.usable_share, n_devices=request.n_devices)
    largest = 1024 if usable is None else most_sequences(shape, formats, usable, context=context)
    rates = _rates(request, weights)
    batches = [2**at for at in range(11) if 2**at <= max(1, min(largest, 1024))]
    return [
        answer_time(shape, rates, formats, n_input=request.n_input, n_output=request.n_output, batch=batch)
        for batch in batches
    ]
