"""A known law and runs that it gives, for tests of what fits should find."""

from __future__ import annotations

import numpy as np

from understudy.economics.scaling.law import ScalingLaw
from understudy.economics.scaling.runs import TrainingRuns

TRUTH = ScalingLaw(1.82, 482.0, 2085.0, 0.348, 0.366)


def grid_runs(law: ScalingLaw, side: int, noise: float = 0.0, seed: int = 0) -> TrainingRuns:
    """`side` sizes times `side` amounts of data, with log-normal noise of the loss."""
    parameters, tokens = np.meshgrid(np.geomspace(5e7, 1e10, side), np.geomspace(1e9, 3e11, side))
    rng = np.random.default_rng(seed)
    loss = law.loss(parameters, tokens) * np.exp(noise * rng.standard_normal(parameters.shape))
    return TrainingRuns(parameters.ravel(), tokens.ravel(), loss.ravel())
