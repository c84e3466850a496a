"""One version of a model on its way through compression, and what is measured of it; knows no step.

What a figure is of: bytes are those of the files that would be served; speed is that of the exported decoder; loss is
that of the exported decoder too, for weights of fewer bits (a float32 export computes what torch does).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.density.compress import CompressionCheck, ModelVersion, compress_check
from understudy.density.ruler import Ruler
from understudy.lm.quality import MeanLoss, SequenceLosses, loss_change, mean_loss
from understudy.lm.speed import WritingSpeed

__all__ = ["NO_RULER", "DensityChange", "Version", "density_change", "describe"]

NO_RULER = "no ruler: `understudy lm family` and `understudy density fit-ruler` make one on this text, --ruler takes it"


@dataclass(frozen=True, slots=True)
class DensityChange:
    """Capability density of a version, before its step and after.

    Attributes
    ----------
    rho_before, rho
        Effective parameters per parameter; ``None`` is unknown.
    rho_bytes
        Effective parameters per two bytes of the files (per parameter for float weights, which are served at 16
        bits as well); ``None`` is unknown.
    check
        The whole comparison, with intervals; ``None`` without a ruler.
    reason
        Why something is unknown; ``None`` where nothing is.
    """

    rho_before: float | None
    rho: float | None
    rho_bytes: float | None
    check: CompressionCheck | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "rho_before": self.rho_before,
            "rho": self.rho,
            "rho_bytes": self.rho_bytes,
            "check": None if self.check is None else self.check.to_dict(),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Version:
    """What came of one step.

    Attributes
    ----------
    step
        ``original``, ``prune``, ``distil``, ``int8`` ...
    made_from
        The step whose version it was made from; ``None`` for the original.
    folder
        Where it lies.
    n_parameters
        All that are left, however many bits they take.
    is_float
        Whether its weights are floats (files of 4 bytes per parameter).
    size_bytes, speed
        Of the exported files; ``None`` where `reason` says why.
    loss, change
        Held-out loss, and its paired difference to the original's; ``None`` likewise.
    density
        See :class:`DensityChange`.
    reason
        Why figures are missing; ``None`` where none is.
    """

    step: str
    made_from: str | None
    folder: Path
    n_parameters: int
    is_float: bool
    size_bytes: int | None
    speed: WritingSpeed | None
    loss: MeanLoss | None
    change: MeanLoss | None
    density: DensityChange
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "step": self.step,
            "made_from": self.made_from,
            "folder": str(self.folder),
            "parameters": self.n_parameters,
            "is_float": self.is_float,
            "size_bytes": self.size_bytes,
            "speed": None if self.speed is None else self.speed.to_dict(),
            "loss": None if self.loss is None else self.loss.to_dict(),
            "change": None if self.change is None else self.change.to_dict(),
            "density": self.density.to_dict(),
            "reason": self.reason,
        }


def describe(
    losses: SequenceLosses | None, original: SequenceLosses | None, confidence: float
) -> tuple[MeanLoss | None, MeanLoss | None]:
    """Give the loss, and its change against the original (``None`` for the original itself)."""
    if losses is None:
        return None, None
    change = None if original is None else loss_change(losses, original, confidence=confidence)
    return mean_loss(losses, confidence=confidence), change


def density_change(
    ruler: Ruler | None,
    before: tuple[int, float | None, int | None] | None,
    after: tuple[int, float | None, int | None],
    *,
    n_tokens: float | None,
) -> DensityChange:
    """Measure density before and after by one ruler.

    Parameters
    ----------
    ruler
        ``None``: everything is unknown.
    before, after
        Parameters, loss, and bytes (``None``: 16 bits per parameter); `before` ``None`` for the original.
    n_tokens
        Tokens of the reference; ``None``: the most that the ruler's family had.
    """
    if ruler is None:
        return DensityChange(None, None, None, None, NO_RULER)
    if after[1] is None or (before is not None and before[1] is None):
        return DensityChange(None, None, None, None, "a loss is missing")
    check = compress_check(
        ruler,
        _version(after if before is None else before),
        _version(after),
        n_tokens=ruler.token_range[1] if n_tokens is None else n_tokens,
    )
    found = check.after.reference
    return DensityChange(
        None if before is None else check.before.reference.rho,
        found.rho,
        check.rho_bytes_after,
        check,
        check.reason,
    )


def _version(given: tuple[int, float | None, int | None]) -> ModelVersion:
    n_parameters, loss, size_bytes = given
    return ModelVersion(n_parameters, loss=loss, size_bytes=size_bytes)
