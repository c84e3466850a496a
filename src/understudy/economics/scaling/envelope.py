"""Approach 1: the best run in each bin of training FLOP, and a power law through those.

Source: Hoffmann et al. 2022 (arXiv 2203.15556), section 3.1, there over whole training curves; here over
finished runs, so a bin holds only what was run in it. The best of few runs lies above the true frontier by an
unknown amount and jumps between the sizes that were tried: the interval of the exponent is the scatter of
those best runs around the line, and does not know of that bias. Prefer ``isoflop`` or ``parametric``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.economics.scaling.power import PowerLaw, fit_power_law
from understudy.economics.scaling.runs import TrainingRuns
from understudy.errors import ConfigError, DataError

__all__ = ["EnvelopeFit", "EnvelopePoint", "fit_envelope"]


@dataclass(frozen=True, slots=True)
class EnvelopePoint:
    """The best run of one bin: its row among the runs given, its size, data, FLOP and loss."""

    row: int
    parameters: float
    tokens: float
    training_flops: float
    loss: float


@dataclass(frozen=True, slots=True)
class EnvelopeFit:
    """The frontier.

    Attributes
    ----------
    points
        Best runs, by FLOP.
    parameters_law, tokens_law
        ``N ~ C**a`` and ``D ~ C**b`` through them; a + b = 1, for C = 6 N D.
    n_bins
        Bins asked for; those without a run, or whose best run an earlier bin's beats, give no point.
    """

    points: tuple[EnvelopePoint, ...]
    parameters_law: PowerLaw
    tokens_law: PowerLaw
    n_bins: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "points": [
                {name: getattr(point, name) for name in EnvelopePoint.__slots__} for point in self.points
            ],
            "parameters_law": self.parameters_law.to_dict(), "tokens_law": self.tokens_law.to_dict(),
            "bins": self.n_bins,
        }  # fmt: skip


def fit_envelope(runs: TrainingRuns, *, n_bins: int = 20, confidence: float = 0.9) -> EnvelopeFit:
    """Find the frontier and fit it.

    Parameters
    ----------
    runs
        Finished runs.
    n_bins
        Bins of equal width in log FLOP, 3 or more.
    confidence
        Of the intervals.

    Raises
    ------
    ConfigError
        If `n_bins` is below 3.
    DataError
        If fewer than 3 bins give a point.
    """
    if n_bins < 3:
        raise ConfigError("n_bins of an envelope must be 3 or more", given=repr(n_bins))
    if not len(runs):
        raise DataError("an envelope needs runs", given="none")
    log_flops = np.log(runs.flops)
    edges = np.linspace(log_flops.min(), log_flops.max(), n_bins + 1)
    places = np.clip(np.searchsorted(edges, log_flops, side="right") - 1, 0, n_bins - 1)
    points: list[EnvelopePoint] = []
    for place in range(n_bins):
        rows = np.flatnonzero(places == place)
        if not rows.size:
            continue
        row = int(rows[np.argmin(runs.loss[rows])])
        if points and runs.loss[row] >= points[-1].loss:
            continue
        columns = (runs.parameters, runs.tokens, runs.flops, runs.loss)
        points.append(EnvelopePoint(row, *(float(column[row]) for column in columns)))
    if len(points) < 3:
        raise DataError(
            "the frontier has fewer than 3 points",
            given=f"{len(points)} from {len(runs)} runs in {n_bins} bins",
            todo="give runs over a wider range of training FLOP",
        )
    flops = [point.training_flops for point in points]
    return EnvelopeFit(
        tuple(points),
        fit_power_law(flops, [point.parameters for point in points], confidence=confidence),
        fit_power_law(flops, [point.tokens for point in points], confidence=confidence),
        n_bins,
    )
