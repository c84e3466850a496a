"""Scales and ticks of charts: pure arithmetic from data to pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Scale", "fit_linear", "fit_log", "linear_ticks", "log_ticks"]

_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A map from values to pixels.

    Attributes
    ----------
    low, high
        Values at the two ends; ``low < high``, both positive if `is_log`.
    start, end
        Pixels at the two ends (``start > end`` for an axis that grows upwards).
    is_log
        Whether equal ratios are equal distances.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Pixel of `value`; values beyond the ends are drawn at the end."""
        kept = min(max(value, self.low), self.high)
        if self.is_log:
            share = math.log(kept / self.low) / math.log(self.high / self.low)
        else:
            share = (kept - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values inside the scale."""
        return (log_ticks if self.is_log else linear_ticks)(self.low, self.high, most)


def linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` + 1 round values in [low, high]."""
    raw = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * power for nice in _NICE_STEPS if nice * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(step * at, 12) for at in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Powers of ten in [low, high], thinned to `most`; with 2 and 5 between where few powers fit."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = range(first, last + 1)
    wide = [10.0**power for power in powers]
    fine = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    inside = [value for value in wide if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    if len(inside) < 3:
        inside = [value for value in fine if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    stride = max(1, math.ceil(len(inside) / max(most, 1)))
    return inside[::stride]


def fit_linear(
    values: Sequence[float],
    start: float,
    end: float,
    *,
    least: float | None = None,
    most: float | None = None,
) -> Scale:
    """A linear scale around `values` with round ends, kept within [least, most]."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.05 * max(abs(low), 1.0), high + 0.05 * max(abs(high), 1.0)
    step = [*linear_ticks(low, high, 5), high][:2]
    width = abs(step[1] - step[0]) or (high - low)
    low, high = math.floor(low / width + 1e-9) * width, math.ceil(high / width - 1e-9) * width
    low = low if least is None else max(low, least)
    high = high if most is None else min(high, most)
    return Scale(low, high, start, end) if low < high else Scale(low, low + 1.0, start, end)


def fit_log(values: Sequence[float], start: float, end: float, *, pad: float = 1.6) -> Scale:
    """A logarithmic scale around the positive ones of `values`, with a factor `pad` of room on each side."""
    known = [value for value in values if value > 0]
    low, high = (min(known), max(known)) if known else (1.0, 10.0)
    return Scale(low / pad, high * pad, start, end, is_log=True)
