"""Invented reference families with a known truth."""

from __future__ import annotations

import numpy as np

from understudy.density.family import FamilyPoint
from understudy.density.loss_law import LossLaw
from understudy.density.sigmoid import Sigmoid

LAW = LossLaw(78.0, 0.28, 78.0, 0.22, 0.5)
SIGMOID = Sigmoid(0.262, 1.0, 5.2, 0.64)
SIZES = (190e6, 370e6, 760e6, 1.3e9)
TOKENS_PER_PARAMETER = (20, 40, 100, 200)


def family(
    rng: np.random.Generator | None = None, *, log_loss_noise: float = 0.008, score_noise: float = 0.004
) -> list[FamilyPoint]:
    """Sixteen models; without a generator they lie on the law and the sigmoid exactly."""
    points = []
    for n in SIZES:
        for ratio in TOKENS_PER_PARAMETER:
            loss = LAW.loss(n, n * ratio)
            if rng is not None:
                loss *= float(np.exp(log_loss_noise * rng.normal()))
            score = SIGMOID.score(loss)
            if rng is not None:
                score = float(np.clip(score + score_noise * rng.normal(), 0, 1))
            points.append(FamilyPoint(n, n * ratio, loss, score))
    return points
