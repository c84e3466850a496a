"""A device of the catalogue as an accelerator to train on, with its cheapest rented hour."""

from __future__ import annotations

from understudy.economics.hardware.catalogue import find_device, rent_offer
from understudy.economics.training_cost import Accelerator
from understudy.errors import ConfigError

__all__ = ["accelerator_of"]


def accelerator_of(
    device: str, *, usd_per_hour: float | None = None, n_devices: int | None = None
) -> tuple[Accelerator, dict[str, str]]:
    """The accelerator, and where its figures come from.

    Parameters
    ----------
    device
        An id of the catalogue.
    usd_per_hour
        Rent of one device, instead of the cheapest offer of the catalogue.
    n_devices
        How many are rented together, which decides the cheapest offer; ``None``: one.

    Raises
    ------
    ConfigError
        If the device is not known, or has no 16-bit rate.
    """
    known = find_device(device)
    rate = known.rate("bf16")
    if rate is None:
        raise ConfigError("the device has no 16-bit rate to train with", given=known.name)
    sources = {
        "device": f"{known.name}, {rate[0] / 1e12:g} TFLOP/s in {rate[1]}: {known.source}, {known.as_of}"
    }
    if usd_per_hour is None:
        best = rent_offer(known.id, n_devices or 1)
        if best is not None:
            usd_per_hour = best.usd_per_device_hour
            sources["rent"] = f"${usd_per_hour:.4g} an hour, {best.words}"
    else:
        sources["rent"] = f"${usd_per_hour:.4g} an hour, given"
    accelerator = Accelerator(
        name=known.name,
        peak_flops=rate[0],
        memory_bytes=known.memory_bytes,
        usd_per_hour=usd_per_hour,
        power_w=known.tdp_watts,
    )
    return accelerator, sources
