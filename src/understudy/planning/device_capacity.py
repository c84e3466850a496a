"""How many parameters a device holds: memory, the share of it for weights, bits of a parameter, and a least speed.

It counts weights only: the cache is not known where there is no model yet, so the share has to leave room for it.
"""

from __future__ import annotations

import math

from understudy.economics.hardware.device import Device
from understudy.economics.inference.memory import USABLE_SHARE
from understudy.errors import ConfigError

__all__ = ["FORMAT", "USABLE_MEMORY_SHARE", "device_capacity", "named_device_capacity"]

USABLE_MEMORY_SHARE = 0.7
"""Share of memory that weights may fill where the kind of device is unknown: the rest is for context, activations and
the system. An assumption: override it with what is measured."""
FORMAT = "int4"
"""Number format of weights where none is named: 4 bits and a scale for each 32, 4.5 bits a parameter."""
_LEAST_PARAMETERS = 1e6
"""Below this a language model is no subject of scaling laws or of density (the smallest in arXiv 2412.04315's tables
have tens of millions), so a smaller capacity is a slip in a unit, such as memory in gigabytes."""


def device_capacity(
    *,
    memory_bytes: float,
    bits_per_parameter: float,
    usable_share: float = USABLE_MEMORY_SHARE,
    bandwidth_bytes_per_second: float | None = None,
    least_tokens_per_second: float | None = None,
) -> float:
    """Parameters that a device holds, and reads fast enough where a speed is asked for.

    Writing one token reads all (active) weights once, so speed is at most bandwidth / bytes of weights: an upper
    bound that real decoding reaches to 50 to 90 %.

    Raises
    ------
    ConfigError
        If a value is out of range, only one of bandwidth and speed is given, or fewer than a million parameters
        would fit.
    """
    for name, value in (("memory_bytes", memory_bytes), ("bits_per_parameter", bits_per_parameter)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be above 0", given=repr(value))
    if not 0 < usable_share <= 1:
        raise ConfigError("usable_share must be above 0 and at most 1", given=repr(usable_share))
    if (bandwidth_bytes_per_second is None) != (least_tokens_per_second is None):
        raise ConfigError(
            "a least speed needs the memory's bandwidth, and the other way round", todo="give both or none"
        )
    bytes_per_parameter = bits_per_parameter / 8
    most = usable_share * memory_bytes / bytes_per_parameter
    if bandwidth_bytes_per_second is not None and least_tokens_per_second is not None:
        if not (bandwidth_bytes_per_second > 0 and least_tokens_per_second > 0):
            raise ConfigError(
                "bandwidth and speed must be above 0",
                given=f"{bandwidth_bytes_per_second}, {least_tokens_per_second}",
            )
        most = min(most, bandwidth_bytes_per_second / least_tokens_per_second / bytes_per_parameter)
    if most < _LEAST_PARAMETERS:
        raise ConfigError(
            "the device holds too few parameters for a language model",
            given=f"{most:.3g}",
            todo="check the units: memory in bytes (8e9), bandwidth in bytes per second",
        )
    return most


def named_device_capacity(
    device: Device,
    *,
    bits_per_parameter: float,
    usable_share: float | None = None,
    bandwidth_bytes_per_second: float | None = None,
    least_tokens_per_second: float | None = None,
) -> float:
    """Parameters that a known device holds, with the share of memory that :func:`~understudy.planning.device.plan_device` takes for its kind.

    All of that share goes to weights: the cache is not known where there is no model yet.

    Parameters
    ----------
    usable_share, bandwidth_bytes_per_second
        ``None`` for the kind's share and the device's own bandwidth.

    Raises
    ------
    ConfigError
        If the device's memory is unknown, its bandwidth where a speed is asked for, or as :func:`device_capacity`.
    """
    if device.memory_bytes is None:
        raise ConfigError(f"the memory of {device.id} is unknown", todo="give --memory-bytes instead")
    known = USABLE_SHARE.get(device.kind, USABLE_SHARE["custom"])[0]
    bandwidth = bandwidth_bytes_per_second
    if bandwidth is None and least_tokens_per_second is not None:
        bandwidth = device.bandwidth_bytes_per_second
        if bandwidth is None:
            raise ConfigError(f"the memory bandwidth of {device.id} is unknown", todo="give --bandwidth")
    return device_capacity(
        memory_bytes=device.memory_bytes,
        bits_per_parameter=bits_per_parameter,
        usable_share=known if usable_share is None else usable_share,
        bandwidth_bytes_per_second=bandwidth,
        least_tokens_per_second=least_tokens_per_second,
    )
