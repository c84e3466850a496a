"""What a training run costs: FLOP, accelerator hours, days, money, energy.

Arithmetic is three forward passes (``6 N D`` and attention); how fast it runs is one number, the model FLOP
utilisation (MFU): useful FLOP over the peak of the format. MFU already counts what is recomputed, waited for
and lost to failures as far as its source did; it is an assumption, not a prediction. Not in the price:
experiments, data, people, storage, networks.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from understudy.economics.scaling.flop import check_positive
from understudy.economics.transformer.flops import training_flop_per_token
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = [
    "DEFAULT_MFU",
    "Accelerator",
    "TrainingCost",
    "flops_within",
    "shape_training_flops",
    "training_cost",
]

DEFAULT_MFU = 0.40
"""Published at scale in bf16: Llama 3 405B 0.38 to 0.43 on H100 (arXiv:2407.21783, table 4), PaLM 0.462 on
TPU v4, GPT-3 0.213 on V100 (both arXiv:2204.02311, table 3)."""
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A device to train on.

    Attributes
    ----------
    name
        For tables.
    peak_flops
        FLOP per second of the format trained in, dense.
    memory_bytes
        Of one device; ``None`` is unknown.
    usd_per_hour
        Rent of one device; ``None`` is unknown.
    power_w
        At full load, of the device alone; ``None`` is unknown.
    """

    name: str
    peak_flops: float
    memory_bytes: float | None = None
    usd_per_hour: float | None = None
    power_w: float | None = None

    def __post_init__(self) -> None:
        check_positive("peak_flops", self.peak_flops)
        for name in ("memory_bytes", "usd_per_hour", "power_w"):
            value = getattr(self, name)
            if value is not None:
                check_positive(name, value)


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What a run costs.

    Attributes
    ----------
    flops
        Useful FLOP of the run.
    device_hours
        Accelerator hours.
    devices, wall_hours
        How many run, and for how long; ``None`` where the number of devices is not given.
    usd, usd_reason
        Rent; ``None`` with its reason.
    kwh
        Energy at full power, building included; ``None`` is unknown.
    mfu, pue
        As assumed.
    """

    flops: float
    device_hours: float
    devices: int | None
    wall_hours: float | None
    usd: float | None
    usd_reason: str | None
    kwh: float | None
    mfu: float
    pue: float

    @property
    def usd_per_flop(self) -> float | None:
        """Dollars per useful FLOP."""
        return None if self.usd is None else self.usd / self.flops

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "usd_per_flop": self.usd_per_flop}


def shape_training_flops(shape: ModelShape, tokens: float, sequence_length: int) -> float:
    """FLOP to train a shape on `tokens`, attention below the diagonal included."""
    return training_flop_per_token(shape, sequence_length) * check_positive("tokens", tokens)


def _check_mfu(mfu: float, pue: float) -> None:
    if not 0 < mfu <= 1:
        raise ConfigError("mfu must be above 0 and at most 1", given=repr(mfu), todo="write 40 % as 0.4")
    if not 1 <= pue < math.inf:
        raise ConfigError("pue must be 1 or more", given=repr(pue))


def training_cost(
    flops: float,
    accelerator: Accelerator,
    *,
    devices: int | None = None,
    mfu: float = DEFAULT_MFU,
    pue: float = 1.2,
) -> TrainingCost:
    """The cost of `flops` on accelerators of one kind.

    Parameters
    ----------
    flops
        Useful FLOP: ``6 N D``, or :func:`shape_training_flops`.
    devices
        How many run at a time; they change the wall time and nothing else here (MFU is as given).
    mfu
        In (0, 1].
    pue
        Power of the building over that of the devices, 1 or more.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """
    check_positive("flops", flops)
    _check_mfu(mfu, pue)
    if devices is not None and devices < 1:
        raise ConfigError("devices must be 1 or more", given=repr(devices))
    hours = flops / (accelerator.peak_flops * mfu) / _HOUR_S
    price = accelerator.usd_per_hour
    return TrainingCost(
        flops,
        hours,
        devices,
        None if devices is None else hours / devices,
        None if price is None else hours * price,
        None if price is not None else f"no price per hour is known for {accelerator.name}",
        None if accelerator.power_w is None else hours * accelerator.power_w / 1000 * pue,
        mfu,
        pue,
    )


def flops_within(
    accelerator: Accelerator,
    *,
    usd: float | None = None,
    hours: float | None = None,
    devices: int | None = None,
    mfu: float = DEFAULT_MFU,
) -> float:
    """Useful FLOP that a sum of money buys, or that `devices` do in `hours`.

    Raises
    ------
    ConfigError
        If neither or both are given, `devices` is missing, or the price is unknown.
    """
    _check_mfu(mfu, 1.0)
    if (usd is None) == (hours is None):
        raise ConfigError("give a sum of money or a time")
    if usd is not None:
        if accelerator.usd_per_hour is None:
            raise ConfigError(
                f"no price per hour is known for {accelerator.name}", todo="give --usd-per-hour"
            )
        device_hours = check_positive("usd", usd) / accelerator.usd_per_hour
    else:
        if devices is None:
            raise ConfigError("a time needs a number of devices", todo="give --devices")
        device_hours = check_positive("hours", hours or 0.0) * devices
    return device_hours * _HOUR_S * accelerator.peak_flops * mfu
