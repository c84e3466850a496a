"""What a machine really reaches: arithmetic, bandwidth and time lost per layer, each as a span.

From a datasheet, only peaks are known; the share of them that an engine reaches is then an **assumption**, and
the span is wide. From a calibration on the machine itself the span is narrow. Nothing here knows how good the
engine is that will be used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from understudy.economics.hardware.device import Device
from understudy.errors import ConfigError

__all__ = ["ASSUMED", "SPLIT", "SPLIT_SOURCE", "Efficiency", "Rates", "Span", "rates_of"]


@dataclass(frozen=True, slots=True)
class Span:
    """A value with its limits, ``low <= typical <= high``."""

    low: float
    typical: float
    high: float

    def __post_init__(self) -> None:
        is_ordered = self.low <= self.typical <= self.high
        assert is_ordered, f"a span runs from low to high: {self}"

    @classmethod
    def exact(cls, value: float) -> Span:
        """A value without doubt."""
        return cls(value, value, value)

    def map(self, function: Callable[[float], float]) -> Span:
        """The span of a monotone function, rising or falling."""
        ends = sorted([function(self.low), function(self.high)])
        return Span(ends[0], min(max(function(self.typical), ends[0]), ends[1]), ends[1])

    def to_dict(self) -> dict[str, float]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Shares of a datasheet's peaks that are reached, each in (0, 1].

    Attributes
    ----------
    compute
        Of the arithmetic, while reading a prompt.
    bandwidth
        Of the memory's bandwidth, while writing.
    source
        Where they are from.
    """

    compute: Span
    bandwidth: Span
    source: str

    def __post_init__(self) -> None:
        for name in ("compute", "bandwidth"):
            span: Span = getattr(self, name)
            if not (math.isfinite(span.high) and span.low > 0 and span.high <= 1):
                raise ConfigError(f"the share of {name} must be above 0 and at most 1", given=str(span))


ASSUMED = Efficiency(
    compute=Span(0.3, 0.5, 0.75),
    bandwidth=Span(0.35, 0.6, 0.8),
    source=(
        "assumed: 30 to 75 % of peak arithmetic (arXiv:2211.05102 reaches 76 %), 35 to 80 % of peak bandwidth "
        "(gpt-fast's published runs: 42 to 69 %)"
    ),
)
"""Defaults. An assumption, not a measurement of the machine in question: give a calibration to replace it.

Pope et al. reach 76 % with large batches of long prompts; short prompts reach less. gpt-fast's published runs on
A100 and MI250X reach 42 % (4-bit) to 69 % (16-bit) of the bandwidth; llama.cpp on an M1 processor 78 %."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a machine reaches.

    Attributes
    ----------
    bytes_per_second
        While writing a token.
    flop_per_second
        While reading a prompt; ``None`` where the machine's arithmetic is unknown.
    layer_seconds
        Time that each layer of each pass takes besides: starts of kernels, the framework. 0 from a datasheet.
    element_seconds
        Time per number of the residual stream (tokens times layers times width) for norms, positions,
        activations and the like. 0 from a datasheet.
    compute
        The number format that the arithmetic runs in.
    source
        Where from, for people.
    is_measured
        Whether a calibration on the machine stands behind it.
    is_overlapping
        Whether arithmetic and memory traffic go on at once, as on accelerators; on a processor with an eager
        framework one waits for the other.
    """

    bytes_per_second: Span
    flop_per_second: Span | None
    layer_seconds: Span
    element_seconds: Span
    compute: str
    source: str
    is_measured: bool
    is_overlapping: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    def split_over(self, n_devices: int) -> Rates:
        """Of `n_devices` that share every layer: more than one lose :data:`SPLIT` to the traffic between them."""
        if n_devices == 1:
            return self
        flop = self.flop_per_second
        return replace(
            self,
            bytes_per_second=_split(self.bytes_per_second, n_devices),
            flop_per_second=None if flop is None else _split(flop, n_devices),
            source=f"{self.source}; {SPLIT_SOURCE}",
        )


SPLIT = Span(0.4, 0.7, 1.0)
SPLIT_SOURCE = "assumed: 40 to 100 % of the sum of several devices (gpt-fast's published runs on 2 to 8 A100: 39 to 89 %)"
"""What several devices that share every layer reach of their sum. Grows with the model and the batch."""


def _split(rate: Span, n_devices: int) -> Span:
    low, typical, high = (getattr(rate, name) * n_devices for name in ("low", "typical", "high"))
    return Span(low * SPLIT.low, typical * SPLIT.typical, high * SPLIT.high)


def rates_of(device: Device, compute: str, efficiency: Efficiency = ASSUMED) -> Rates:
    """Rates from a datasheet's peaks.

    Parameters
    ----------
    compute
        The format of the arithmetic; the device's next wider one is taken where it has no rate for it.

    Raises
    ------
    ConfigError
        If the device's bandwidth is unknown: nothing can then be said about its speed.
    """
    if device.bandwidth_bytes_per_second is None:
        raise ConfigError(
            f"the bandwidth of {device.id} is unknown",
            todo="give bandwidth_bytes_per_second, or a calibration file",
        )
    peak = device.bandwidth_bytes_per_second
    found = device.rate(compute)
    flop, runs_in = None, compute
    if found is not None:
        rate, runs_in = found
        flop = efficiency.compute.map(lambda share: share * rate)
    return Rates(
        efficiency.bandwidth.map(lambda share: share * peak),
        flop,
        layer_seconds=Span.exact(0.0),
        element_seconds=Span.exact(0.0),
        compute=runs_in,
        source=efficiency.source,
        is_measured=False,
        is_overlapping=True,
    )
