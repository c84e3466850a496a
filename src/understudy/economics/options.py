"""Ways to have calls answered, as costs: an API, a hosted fine-tuned model, one's own small model, a device.

Each option is what it costs once, per call, per month and per unit of capacity. It knows nothing of quality:
options are compared as if their answers were equally good. A price that is unknown makes the option's cost
unknown with a reason, never 0. Prices are in dollars of today; nothing is discounted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from understudy.economics.prices import TeacherPrice
from understudy.errors import ConfigError

__all__ = [
    "HOURS_PER_MONTH",
    "CostOption",
    "Tokens",
    "api_option",
    "edge_option",
    "hosted_option",
    "own_option",
]

HOURS_PER_MONTH = 730.0
"""Mean hours in a month: 8,760 / 12."""
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one call reads and writes.

    Attributes
    ----------
    read, written
        Tokens per call, cached ones among those read.
    cached_share
        Share of tokens read that the API serves from its cache, in [0, 1].
    batch_share
        Share of calls that can wait and go through the batch interface, in [0, 1].
    """

    read: float
    written: float
    cached_share: float = 0.0
    batch_share: float = 0.0

    def __post_init__(self) -> None:
        _positive(read_tokens=self.read, written_tokens=self.written)
        _share(cached_share=self.cached_share, batch_share=self.batch_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOption:
    """What answering calls costs in one way.

    Attributes
    ----------
    name
        For tables.
    once_usd
        Paid before the first call: labels, training, building.
    usd_per_call
        Paid by use.
    usd_per_month
        Paid every month, whatever the volume (a reservation, a platform fee).
    usd_per_unit_month
        Paid every month for each unit of capacity (a rented instance).
    usd_per_unit
        Paid for each unit when it is bought, and again after `life_months`.
    life_months
        Life of a bought unit; ``None``: it is never replaced.
    calls_per_unit_month
        What one unit can answer in a month; ``None``: one unit answers any volume.
    halving_months
        Time in which `usd_per_call` above `steady_usd_per_call` halves; ``None``: it stays.
    steady_usd_per_call
        The part of `usd_per_call` that does not fall, as one's own machine time.
    notes
        Where the numbers come from and why one is unknown, by attribute name.
    """

    name: str
    once_usd: float | None = 0.0
    usd_per_call: float | None = 0.0
    usd_per_month: float | None = 0.0
    usd_per_unit_month: float | None = 0.0
    usd_per_unit: float | None = 0.0
    life_months: float | None = None
    calls_per_unit_month: float | None = None
    halving_months: float | None = None
    steady_usd_per_call: float = 0.0
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _positive(**{name: getattr(self, name) for name in _MONEY})
        _positive(steady_usd_per_call=self.steady_usd_per_call)
        if self.usd_per_call is not None and self.steady_usd_per_call > self.usd_per_call:
            raise ConfigError(
                "steady_usd_per_call must be at most usd_per_call",
                given=f"{self.name}: {self.steady_usd_per_call!r}",
            )
        for name in ("life_months", "calls_per_unit_month", "halving_months"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be above 0", given=f"{self.name}: {value!r}")

    @property
    def unknown(self) -> str | None:
        """Why the option has no cost; ``None`` if it has one."""
        missing = [name for name in _MONEY if getattr(self, name) is None]
        if not missing:
            return None
        return "; ".join(f"{name}: {self.notes.get(name, 'not given')}" for name in missing)

    @property
    def has_fees(self) -> bool:
        """Whether the cost depends on time and not on volume alone."""
        return bool(self.usd_per_month or self.usd_per_unit_month or self.usd_per_unit)

    def units(self, calls_per_month: float) -> int:
        """Units of capacity that a volume per month needs; at least 1."""
        if self.calls_per_unit_month is None:
            return 1
        # Rounded first, so that a volume at exactly the capacity needs no further unit.
        return max(1, math.ceil(round(calls_per_month / self.calls_per_unit_month, 9)))

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "notes": dict(self.notes), "unknown": self.unknown}


_MONEY = ("once_usd", "usd_per_call", "usd_per_month", "usd_per_unit_month", "usd_per_unit")


def _positive(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"{name} must be 0 or more", given=repr(value))


def _share(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} must be from 0 to 1", given=repr(value), todo="write 95 % as 0.95")


def api_option(
    name: str,
    price: TeacherPrice | None,
    tokens: Tokens | None = None,
    *,
    batch_discount: float = 0.5,
    usd_per_month: float = 0.0,
    halving_months: float | None = None,
    reason: str = "no price is known",
) -> CostOption:
    """An API paid by tokens or by calls.

    Parameters
    ----------
    name
        For tables.
    price
        Per call or per million tokens; ``None`` makes the cost unknown with `reason`. A cached price of
        ``None`` is the price of a token read.
    tokens
        Needed where the price goes by tokens.
    batch_discount
        What the batch interface takes off its share of calls, in [0, 1]. The large vendors' published batch
        interfaces take half off both directions.
    usd_per_month
        A reservation or a minimum fee.
    halving_months
        Time in which the price halves, if it is assumed to fall.

    Raises
    ------
    ConfigError
        If a share or a price is out of range.
    """
    _share(batch_discount=batch_discount)
    per_call: float | None = None
    notes = {}
    if price is None:
        notes["usd_per_call"] = reason
    elif price.usd_per_call is not None:
        per_call = price.usd_per_call
        notes["usd_per_call"] = price.source
    elif tokens is None:
        notes["usd_per_call"] = "the price goes by tokens, and tokens per call are not given"
    else:
        price_in, price_out = price.usd_per_million_in or 0.0, price.usd_per_million_out or 0.0
        cached = price_in if price.usd_per_million_cached is None else price.usd_per_million_cached
        read = tokens.read * ((1 - tokens.cached_share) * price_in + tokens.cached_share * cached)
        per_call = (read + tokens.written * price_out) / 1e6
        notes["usd_per_call"] = price.source
    if per_call is not None and tokens is not None:
        per_call *= 1 - tokens.batch_share * batch_discount
    return CostOption(
        name=name,
        usd_per_call=per_call,
        usd_per_month=usd_per_month,
        halving_months=halving_months,
        notes=notes,
    )


def hosted_option(
    name: str,
    price: TeacherPrice | None,
    tokens: Tokens | None = None,
    *,
    training_tokens: float | None = None,
    training_usd_per_million: float | None = None,
    training_usd: float | None = None,
    hosting_usd_per_hour: float = 0.0,
    calls_per_hour: float | None = None,
) -> CostOption:
    """A model fine-tuned and hosted by a vendor: training, then per token, per hour, or both.

    Parameters
    ----------
    name, price, tokens
        As in :func:`api_option`; a price of ``None`` means that use is paid by the hour alone.
    training_tokens, training_usd_per_million
        Tokens trained on (times epochs) and the price of a million; or `training_usd` as a sum.
    hosting_usd_per_hour, calls_per_hour
        Price of one deployment and what it can answer (``None``: any volume).
    """
    notes: dict[str, str] = {}
    once = training_usd
    if once is None and training_tokens is not None and training_usd_per_million is not None:
        once = training_tokens / 1e6 * training_usd_per_million
        notes["once_usd"] = f"{training_tokens:,.0f} training tokens"
    if once is None:
        notes["once_usd"] = "neither a training price nor its tokens are given"
    if price is None and not hosting_usd_per_hour:
        used = CostOption(name=name, usd_per_call=None, notes={"usd_per_call": "no price is given"})
    elif price is None:
        used = CostOption(name=name)
    else:
        used = api_option(name, price, tokens)
    return CostOption(
        name=name,
        once_usd=once,
        usd_per_call=used.usd_per_call,
        usd_per_unit_month=hosting_usd_per_hour * HOURS_PER_MONTH,
        calls_per_unit_month=None if calls_per_hour is None else calls_per_hour * HOURS_PER_MONTH,
        notes={**used.notes, **notes},
    )


def own_option(
    name: str,
    *,
    build_usd: float | None,
    usd_per_hour: float | None,
    calls_per_hour: float | None = None,
    coverage: float | None = 1.0,
    teacher_usd_per_call: float | None = None,
    usd_per_call: float = 0.0,
    peak_factor: float = 1.0,
    halving_months: float | None = None,
) -> CostOption:
    """One's own small model on rented or owned machines; what it defers goes to a teacher.

    Parameters
    ----------
    build_usd
        Labels, machine time, people: what was paid before the first call.
    usd_per_hour
        One machine, whether it is busy or not.
    calls_per_hour
        What one machine can answer; ``None``: one machine is enough.
    coverage, teacher_usd_per_call
        Share of calls that the model answers itself, and the price of the others.
    usd_per_call
        What else a call costs (machine time where it is paid by use).
    peak_factor
        Busiest hour over mean hour, 1 or more: machines are bought for the peak.
    halving_months
        Time in which the teacher's price halves; machine prices stay.
    """
    if not peak_factor >= 1:
        raise ConfigError("peak_factor must be 1 or more", given=repr(peak_factor))
    notes = {}
    per_call: float | None = None
    if coverage is None:
        notes["usd_per_call"] = "coverage is unknown"
    elif coverage < 1 and teacher_usd_per_call is None:
        notes["usd_per_call"] = "the price of deferred calls is unknown"
    else:
        _share(coverage=coverage)
        per_call = usd_per_call + (1 - coverage) * (teacher_usd_per_call or 0.0)
    if usd_per_hour is None:
        notes["usd_per_unit_month"] = "the price of a machine is unknown"
    if build_usd is None:
        notes["once_usd"] = "what the build cost is unknown"
    return CostOption(
        name=name,
        once_usd=build_usd,
        usd_per_call=per_call,
        usd_per_unit_month=None if usd_per_hour is None else usd_per_hour * HOURS_PER_MONTH,
        calls_per_unit_month=(
            None if calls_per_hour is None else calls_per_hour * HOURS_PER_MONTH / peak_factor
        ),
        halving_months=halving_months,
        steady_usd_per_call=0.0 if per_call is None else usd_per_call,
        notes=notes,
    )


def edge_option(
    name: str,
    *,
    device_usd: float | None,
    life_years: float,
    calls_per_device_month: float,
    joules_per_call: float | None,
    usd_per_kwh: float | None,
    build_usd: float | None = 0.0,
) -> CostOption:
    """A model on devices: each is bought, lives for some years, and takes power.

    Parameters
    ----------
    device_usd
        Price of one device; 0 if the users bring their own.
    life_years
        After it the device is replaced.
    calls_per_device_month
        What one device answers.
    joules_per_call, usd_per_kwh
        Energy of one call and its price; either unknown makes the cost unknown.
    build_usd
        Paid once for the model.
    """
    energy = (
        None
        if joules_per_call is None or usd_per_kwh is None
        else joules_per_call / _JOULES_PER_KWH * usd_per_kwh
    )
    notes = {"usd_per_call": "energy per call or its price is unknown"} if energy is None else {}
    return CostOption(
        name=name,
        once_usd=build_usd,
        usd_per_call=energy,
        usd_per_unit=device_usd,
        life_months=12 * life_years,
        calls_per_unit_month=calls_per_device_month,
        notes=notes,
    )
