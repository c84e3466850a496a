"""Density before and after pruning, distilling or quantising: did the compression keep what a parameter carries?

Pruning and distilling an existing model usually lowers density against training a small one from scratch (Xiao et
al., "Densing law of LLMs", arXiv 2412.04315), so it is measured. Two densities, since quantising leaves the
parameters and shrinks the bytes: effective parameters per parameter, and per two bytes of the file (what a
parameter takes at 16 bits), so that both are equal for an unquantised model. It knows nothing of speed.

The ratio of after to before is taken draw by draw under the same ruler, so what both share (most of a ruler's
error) falls out of its interval. Without the benchmark's number of questions the interval is of the ruler alone.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.density.measure import Measurement, effective_draws, measure
from understudy.density.ruler import Ruler
from understudy.errors import DataError

__all__ = ["BYTES_PER_PARAMETER", "CompressionCheck", "ModelVersion", "Ratio", "compress_check"]

BYTES_PER_PARAMETER = 2.0
"""Of an uncompressed model: 16-bit weights, as large models are released."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model.

    Attributes
    ----------
    score, loss
        One of them, measured as the ruler's was.
    n_parameters
        Above 0. Of a pruned model: those left.
    size_bytes
        Of the weights; ``None`` for 16 bits per parameter.
    """

    n_parameters: float
    score: float | None = None
    loss: float | None = None
    size_bytes: float | None = None

    def __post_init__(self) -> None:
        if self.size_bytes is not None and not (math.isfinite(self.size_bytes) and self.size_bytes > 0):
            raise DataError("size_bytes must be above 0", given=repr(self.size_bytes))

    @property
    def weight_bytes(self) -> float:
        """Bytes of the weights."""
        return BYTES_PER_PARAMETER * self.n_parameters if self.size_bytes is None else self.size_bytes


@dataclass(frozen=True, slots=True)
class Ratio:
    """Density after over density before.

    Attributes
    ----------
    value, lower, upper
        ``None`` where unknown.
    verdict
        ``risen``, ``fallen``, ``not distinguishable`` (the interval holds 1) or ``unknown``.
    """

    value: float | None
    lower: float | None
    upper: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class CompressionCheck:
    """Both measurements and what changed.

    Attributes
    ----------
    before, after
        Measurements at `n_tokens`.
    rho_bytes_before, rho_bytes_after
        Effective parameters per two bytes of weights; ``None`` where unknown.
    per_parameter, per_byte, effective
        Ratios after / before: density per parameter, per byte, and effective size.
    size_ratio
        Bytes after / before.
    reason
        Why a ratio is unknown.
    """

    before: Measurement
    after: Measurement
    n_tokens: float
    rho_bytes_before: float | None
    rho_bytes_after: float | None
    per_parameter: Ratio
    per_byte: Ratio
    effective: Ratio
    size_ratio: float
    confidence: float
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def compress_check(
    ruler: Ruler,
    before: ModelVersion,
    after: ModelVersion,
    *,
    n_tokens: float,
    n_items: int | None = None,
    confidence: float = 0.9,
    seed: int = 0,
) -> CompressionCheck:
    """Compare a model before and after compression.

    Parameters
    ----------
    n_tokens
        Tokens that the reference is trained on, the same for both: the original's own, or a fixed count.
    n_items
        Questions of the benchmark. Their noise is taken as independent in both versions, which is too wide where
        both answered the same questions.
    confidence
        Of the intervals.

    Raises
    ------
    DataError, ConfigError
        As :func:`~understudy.density.measure.measure`.
    """
    found = [
        measure(
            ruler,
            n_parameters=one.n_parameters,
            score=one.score,
            loss=one.loss,
            n_items=n_items,
            reference_tokens=n_tokens,
            confidence=confidence,
            name=name,
            seed=seed,
        )
        for name, one in (("before", before), ("after", after))
    ]
    sizes = [one.reference.n_effective for one in found]
    reason = next(
        (f"{one.name}: {one.reference.reason}" for one in found if one.reference.n_effective is None), None
    )
    draws = [
        effective_draws(
            ruler, n_tokens=n_tokens, score=one.score, loss=one.loss, n_items=n_items, seed=seed + 1 + at
        )
        for at, one in enumerate((before, after))
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = draws[1] / draws[0]
    value = None if sizes[0] is None or sizes[1] is None else sizes[1] / sizes[0]
    size_ratio = after.weight_bytes / before.weight_bytes

    def ratio(scale: float) -> Ratio:
        return _ratio(value, ratios, scale, confidence)

    per_bytes = [
        None if size is None else size / (one.weight_bytes / BYTES_PER_PARAMETER)
        for size, one in zip(sizes, (before, after), strict=True)
    ]
    return CompressionCheck(
        found[0],
        found[1],
        n_tokens,
        per_bytes[0],
        per_bytes[1],
        ratio(before.n_parameters / after.n_parameters),
        ratio(1 / size_ratio),
        ratio(1.0),
        size_ratio,
        confidence,
        reason,
    )


def _ratio(value: float | None, draws: np.ndarray[Any, Any], scale: float, confidence: float) -> Ratio:
    if value is None:
        return Ratio(None, None, None, "unknown")
    known = draws[~np.isnan(draws)] * scale
    if len(known) < 20:
        return Ratio(value * scale, None, None, "unknown")
    tail = (1 - confidence) / 2
    low, high = (float(one) for one in np.quantile(known, [tail, 1 - tail], method="inverted_cdf"))
    low, high = min(low, value * scale), max(high, value * scale)
    verdict = "risen" if low > 1 else "fallen" if high < 1 else "not distinguishable"
    return Ratio(value * scale, low if low > 0 else None, high if math.isfinite(high) else None, verdict)
