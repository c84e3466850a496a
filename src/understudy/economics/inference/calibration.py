"""A machine measured instead of assumed: arithmetic, bandwidth, and what the engine takes besides, in a JSON file.

Arithmetic and bandwidth are timed directly (a matrix product, a matrix times a vector; see
:mod:`~understudy.economics.inference.machine`); what the engine takes besides is fitted to timed passes of one
model. A calibration holds for one machine, one number format, one number of threads and one engine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from understudy.economics.inference.rates import Rates, Span
from understudy.economics.inference.roofline import Formats, PassTime, decode_pass, prefill_pass
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = ["Calibration", "TimedPass", "calibrate", "read_calibration", "write_calibration"]

FloatArray = npt.NDArray[np.float64]

_FORMAT = 1
_ZERO = Span.exact(0.0)
_LEAST_DOUBT = 0.1
"""No fit is trusted to better than this: timings of one model stand for all."""


@dataclass(frozen=True, slots=True)
class TimedPass:
    """One measured pass.

    Attributes
    ----------
    shape, formats
        The model.
    phase
        ``prefill`` of `n_tokens` tokens, or ``decode`` of one token at a context of `n_tokens`.
    seconds
        What it took.
    batch
        Sequences at once.
    """

    shape: ModelShape
    formats: Formats
    phase: Literal["prefill", "decode"]
    n_tokens: int
    seconds: float
    batch: int = 1

    def predicted(self, rates: Rates) -> PassTime:
        """What the roofline says of this pass."""
        if self.phase == "prefill":
            return prefill_pass(self.shape, rates, self.formats, n_tokens=self.n_tokens, batch=self.batch)
        return decode_pass(self.shape, rates, self.formats, context=self.n_tokens, batch=self.batch)

    @property
    def n_elements(self) -> float:
        """Numbers in the residual stream of all layers: tokens of the pass, times layers, times width."""
        n_tokens = self.batch * (self.n_tokens if self.phase == "prefill" else 1)
        return float(n_tokens * self.shape.n_layers * self.shape.d_model)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a machine was measured to reach.

    Attributes
    ----------
    machine
        In words: processor, threads, engine.
    compute
        The number format that was measured.
    flop_per_second, bytes_per_second
        Of large matrices, with limits.
    layer_seconds, element_seconds
        What the engine takes besides: per layer of a pass, and per number of the residual stream.
    how
        How it was measured.
    """

    machine: str
    compute: str
    flop_per_second: Span
    bytes_per_second: Span
    layer_seconds: Span
    element_seconds: Span
    how: str

    def rates(self) -> Rates:
        """As rates for the roofline."""
        return Rates(
            self.bytes_per_second,
            self.flop_per_second,
            layer_seconds=self.layer_seconds,
            element_seconds=self.element_seconds,
            compute=self.compute,
            source=f"measured on {self.machine}: {self.how}",
            is_measured=True,
            is_overlapping=False,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"format": _FORMAT, **asdict(self)}


def calibrate(
    passes: Sequence[TimedPass],
    *,
    flop_per_second: float,
    bytes_per_second: float,
    machine: str,
    compute: str,
) -> Calibration:
    """Fit what an engine takes besides arithmetic and memory traffic to timed passes of one model.

    ``seconds = flop / F + bytes / B + layers * t + elements * e``; F and B are given, t and e are fitted by least
    squares of relative errors, neither below 0. (Not fitted themselves: within one model, traffic grows with
    layers, and arithmetic with elements.) The limits of all four are the worst relative error of the fit, at
    least 10 %.

    Parameters
    ----------
    passes
        Two or more, of different numbers of tokens, prefill and decode.
    flop_per_second, bytes_per_second
        Timed on large matrices, with the same engine and threads.

    Raises
    ------
    ConfigError
        If there are too few passes, or a time or a rate is not above 0.
    """
    if len(passes) < 2 or len({one.phase for one in passes}) < 2:
        raise ConfigError("a calibration needs timed passes of both prefill and decode")
    for name, value in (("flop_per_second", flop_per_second), ("bytes_per_second", bytes_per_second)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be above 0", given=repr(value))
    times = np.array([one.seconds for one in passes], dtype=np.float64)
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise ConfigError("a timed pass must take more than 0 seconds")
    bare = Calibration(
        machine, compute, Span.exact(flop_per_second), Span.exact(bytes_per_second), _ZERO, _ZERO, "bare"
    )
    known = [one.predicted(bare.rates()) for one in passes]
    explained = np.array([one.seconds.typical for one in known if one.seconds is not None])
    columns = np.array([[float(one.shape.n_layers), one.n_elements] for one in passes])
    layer, element = _least_squares(columns / times[:, None], 1.0 - explained / times)
    fitted = explained + columns @ np.array([layer, element])
    worst = float(np.abs(times / fitted - 1).max())
    doubt = min(0.9, max(_LEAST_DOUBT, worst))

    def rate(value: float) -> Span:
        return Span(value / (1 + doubt), value, value / (1 - doubt))

    def besides(value: float) -> Span:
        return Span(value * (1 - doubt), value, value * (1 + doubt))

    how = f"{len(passes)} timed passes; worst relative error of the fit {100 * worst:.0f} %"
    rates = rate(flop_per_second), rate(bytes_per_second)
    return Calibration(machine, compute, *rates, besides(layer), besides(element), how)


def _least_squares(rows: FloatArray, target: FloatArray) -> tuple[float, float]:
    """Solve ``rows @ (a, b) = target`` for a and b of 0 or more: the best of all subsets of the two."""
    scale = np.where(rows.max(axis=0) > 0, rows.max(axis=0), 1.0)
    scaled = rows / scale
    best, best_error = np.zeros(2), float((target**2).sum())
    for kept in ([0], [1], [0, 1]):
        part, *_ = np.linalg.lstsq(scaled[:, kept], target, rcond=None)
        error = float(((scaled[:, kept] @ part - target) ** 2).sum())
        if (part >= 0).all() and error < best_error:
            best, best_error = np.zeros(2), error
            best[kept] = part
    return float(best[0] / scale[0]), float(best[1] / scale[1])


def write_calibration(calibration: Calibration, path: str | Path) -> None:
    """Write a calibration as JSON.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    text = json.dumps(calibration.to_dict(), ensure_ascii=False, indent=1)
    Path(path).write_text(text + "\n", encoding="utf-8")


def read_calibration(path: str | Path) -> Calibration:
    """Read a calibration.

    Raises
    ------
    ConfigError
        If the file is missing, no calibration, of a newer format, or a rate in it is impossible.
    """
    todo = "write one with `understudy plan device --measure --out FILE`"
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = "a calibration file cannot be read"
        raise ConfigError(what, given=f"{path}: {error.__class__.__name__}", todo=todo) from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        given = found.get("format") if isinstance(found, dict) else type(found).__name__
        raise ConfigError(f"{path} is no calibration of format {_FORMAT}", given=repr(given), todo=todo)
    machine, compute, how = (str(found.get(name, "unknown")) for name in ("machine", "compute", "how"))
    flop, traffic = _span(found, "flop_per_second"), _span(found, "bytes_per_second")
    layer, element = _span(found, "layer_seconds"), _span(found, "element_seconds")
    return Calibration(machine, compute, flop, traffic, layer, element, how)


def _span(found: dict[str, Any], name: str) -> Span:
    value = found.get(name)
    given = value if isinstance(value, dict) else {}
    parts = [given.get(end) for end in ("low", "typical", "high")]
    ends = [float(one) for one in parts if isinstance(one, int | float) and math.isfinite(one)]
    if len(ends) < 3:
        raise ConfigError(
            f"{name} of a calibration must have numbers low, typical and high", given=repr(value)
        )
    if sorted(ends) != ends or ends[0] < 0 or (ends[0] == 0 and name.endswith("per_second")):
        raise ConfigError(f"{name} of a calibration must run from low to high, above 0", given=repr(value))
    return Span(*ends)
