"""What a planner has to know of one machine: memory, bandwidth, arithmetic, power, price."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from typing import Any

from understudy.errors import ConfigError

__all__ = ["Device", "device_from"]

_RATES = ("fp32", "bf16", "fp8", "int8")
_WIDER = {"fp8": "bf16", "int8": "bf16", "fp16": "bf16", "bf16": "fp32"}
"""What runs where a format has no rate of its own: numbers are widened and computed so."""

_NUMBERS = ("memory_bytes", "bandwidth_bytes_per_second", "tdp_watts", "price_usd", "battery_joules")


@dataclass(frozen=True, slots=True)
class Device:
    """One machine; ``None`` is unknown.

    Attributes
    ----------
    id, name, kind
        ``kind`` is ``gpu``, ``tpu``, ``accelerator``, ``server``, ``desktop``, ``laptop``, ``phone``,
        ``board``, ``browser`` or whatever the user says.
    memory_bytes, bandwidth_bytes_per_second
        As marketed; peak.
    flop_per_second
        Peak dense rate by format (``fp32``, ``bf16`` (or fp16), ``fp8``, ``int8``); a missing key is
        unknown or not supported.
    tdp_watts
        Design power of the whole card or chip.
    battery_joules
        Rated energy of the battery.
    price_usd, price_note, price_date
        What it costs to buy, with what the figure is.
    released, source, as_of
        Day of announcement; where the figures are from; their year.
    """

    id: str
    name: str
    kind: str
    memory_bytes: float | None = None
    bandwidth_bytes_per_second: float | None = None
    flop_per_second: Mapping[str, float] = field(default_factory=dict)
    tdp_watts: float | None = None
    battery_joules: float | None = None
    price_usd: float | None = None
    price_note: str | None = None
    price_date: str | None = None
    released: date | None = None
    source: str | None = None
    as_of: str | None = None

    def rate(self, compute: str) -> tuple[float, str] | None:
        """FLOP per second for a format, and the format that it runs in; ``None`` where it is unknown.

        A format without a rate of its own runs in the next wider one.
        """
        tried: str | None = compute
        while tried is not None:
            if tried in self.flop_per_second:
                return self.flop_per_second[tried], tried
            tried = _WIDER.get(tried)
        return None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        found = asdict(self)
        found["released"] = None if self.released is None else self.released.isoformat()
        return found


def device_from(given: Mapping[str, Any], base: Device | None = None) -> Device:
    """A device from a mapping, over a known one if there is one.

    Parameters
    ----------
    given
        Field names of :class:`Device` (numbers as numbers or as text), and ``fp32_flop_per_second``,
        ``bf16_flop_per_second``, ``fp8_flop_per_second``, ``int8_flop_per_second`` for the rates.
    base
        What stands for all that is not given.

    Raises
    ------
    ConfigError
        If a name is not known, or a number is not above 0.
    """
    words = {one.name for one in fields(Device)} - {"flop_per_second", "released", *_NUMBERS}
    rates = {f"{name}_flop_per_second": name for name in _RATES}
    device = base or Device("custom", "custom device", "custom")
    changes: dict[str, Any] = {}
    flops = dict(device.flop_per_second)
    for name, value in given.items():
        if name in rates:
            flops[rates[name]] = _number(name, value)
        elif name in _NUMBERS:
            changes[name] = _number(name, value)
        elif name in words:
            changes[name] = str(value)
        else:
            known = ", ".join(sorted([*words, *_NUMBERS, *rates]))
            raise ConfigError(f"{name} is no field of a device", given=repr(name), todo=f"known: {known}")
    return replace(device, flop_per_second=flops, **changes)


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0) or isinstance(value, bool):
        raise ConfigError(f"{name} must be a number above 0", given=repr(value), todo="for example 80e9")
    return number
