"""What a family says of a larger model: the law of its losses, and a forecast to be held against what comes.

The law and its draws are those of a ruler (:mod:`understudy.density`), so that a forecast and a ruler from the same
table agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.density.family import FamilyPoint
from understudy.density.fit import fit_ruler
from understudy.density.ruler import Ruler

__all__ = ["Forecast", "fit_family", "forecast_loss"]

_NOISE_DRAWS = 50


@dataclass(frozen=True, slots=True)
class Forecast:
    """The loss that a member should have.

    Attributes
    ----------
    loss
        By the fitted law, in nats per token.
    low, high
        Ends of the interval for one new model.
    confidence
        Of the interval.
    n_members
        That the law was fitted on.
    """

    loss: float
    low: float
    high: float
    confidence: float
    n_members: int

    def holds(self, loss: float) -> bool:
        """Whether a measured loss lies in the interval."""
        return self.low <= loss <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return asdict(self)


def fit_family(rows: Sequence[Mapping[str, Any]], *, n_draws: int = 200, seed: int = 0) -> Ruler:
    """Fit the law ``A / N^alpha + B / D^beta + E`` on rows with ``parameters``, ``tokens`` and ``loss``.

    Raises
    ------
    DataError
        If they are too few, or do not differ enough.
    """
    points = [
        FamilyPoint(
            float(row["parameters"]), float(row["tokens"]), float(row["loss"]), name=str(row["model"])
        )
        for row in rows
    ]
    return fit_ruler(points, name="lm family", n_draws=n_draws, seed=seed)


def forecast_loss(
    ruler: Ruler, n_parameters: int, n_tokens: int, *, confidence: float = 0.9, seed: int = 0
) -> Forecast:
    """Forecast the loss of a model that the law was not fitted on.

    The interval holds both what the law leaves open (its draws) and how single models scatter around it: each draw
    of the law is joined with errors of log loss by Student's t, of the family's own spread, widened for the
    parameters spent on the fit.
    """
    draws = np.asarray(ruler.draws)
    a, alpha, b, beta, e = draws[:, :5].T
    lines = a * n_parameters**-alpha + b * n_tokens**-beta + e
    fitted = 5 if ruler.law.e else 4
    freedom = max(ruler.n_points - fitted, 1)
    spread = (ruler.rms_log_loss or 0.0) * (ruler.n_points / freedom) ** 0.5
    noise = spread * np.random.default_rng(seed).standard_t(freedom, (len(lines), _NOISE_DRAWS))
    low, high = np.quantile(lines[:, None] * np.exp(noise), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Forecast(
        loss=ruler.predict_loss(n_parameters, n_tokens),
        low=float(low),
        high=float(high),
        confidence=confidence,
        n_members=ruler.n_points,
    )
