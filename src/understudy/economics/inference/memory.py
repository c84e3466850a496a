"""What a model takes up on a machine while it answers, and how many sequences fit.

Weights and cache are counted; what the system, the engine and its activations take is an assumption: a share
of memory that is left alone, by kind of machine. It does not know what else runs there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from understudy.economics.hardware.device import Device
from understudy.economics.inference.roofline import Formats
from understudy.economics.transformer.memory import kv_cache_bytes, weight_bytes
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = ["USABLE_SHARE", "MemoryNeed", "memory_need", "most_sequences", "usable_bytes"]

USABLE_SHARE = {
    "gpu": (0.9, "vLLM's default for gpu_memory_utilization"),
    "tpu": (0.9, "as for a GPU"),
    "accelerator": (0.9, "as for a GPU"),
    "server": (0.9, "assumed: the system takes a tenth"),
    "desktop": (0.75, "assumed; Metal recommends about three quarters of unified memory for the GPU"),
    "laptop": (0.75, "assumed; Metal recommends about three quarters of unified memory for the GPU"),
    "phone": (0.5, "assumed: the system and other applications take half"),
    "board": (0.8, "assumed: a headless system takes a fifth"),
    "browser": (0.9, "assumed: code, stack and activations take a tenth of the 4 GiB that can be addressed"),
    "custom": (0.9, "assumed"),
}
"""Share of a machine's memory that weights and cache may take, with where it is from, by kind."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes of a model at work; ``has_room`` is ``None`` where the machine's memory is unknown."""

    weight_bytes: float
    cache_bytes: float
    usable_bytes: float | None

    @property
    def total_bytes(self) -> float:
        """Weights and cache."""
        return self.weight_bytes + self.cache_bytes

    @property
    def has_room(self) -> bool | None:
        """Whether it fits."""
        return None if self.usable_bytes is None else self.total_bytes <= self.usable_bytes

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "total_bytes": self.total_bytes, "has_room": self.has_room}


def usable_bytes(device: Device, *, share: float | None = None, n_devices: int = 1) -> float | None:
    """Memory that weights and cache may take; ``None`` where the machine's memory is unknown.

    Raises
    ------
    ConfigError
        If `share` is not above 0 and at most 1.
    """
    if share is not None and not 0 < share <= 1:
        raise ConfigError("the usable share of memory must be above 0 and at most 1", given=str(share))
    if device.memory_bytes is None:
        return None
    known = USABLE_SHARE.get(device.kind, USABLE_SHARE["custom"])[0]
    return n_devices * device.memory_bytes * (known if share is None else share)


def memory_need(
    shape: ModelShape, formats: Formats, usable: float | None, *, batch: int, context: float
) -> MemoryNeed:
    """Weights, and the cache of `batch` sequences of `context` tokens."""
    cache = kv_cache_bytes(
        shape, batch=batch, context=context, precision=formats.cache, policy=formats.policy
    )
    return MemoryNeed(weight_bytes(shape, formats.weights), cache, usable)


def most_sequences(shape: ModelShape, formats: Formats, usable: float, *, context: float) -> int:
    """How many sequences of `context` tokens fit beside the weights; 0 where not even one does."""
    room = usable - weight_bytes(shape, formats.weights)
    one = kv_cache_bytes(shape, batch=1, context=context, precision=formats.cache, policy=formats.policy)
    return max(0, int(room // one)) if one else 0
