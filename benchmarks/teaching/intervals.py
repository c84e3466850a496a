"""Differences between two arms over seeds, with intervals. Standard library and scipy."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import numpy as np
from scipy.stats import t as student_t

__all__ = ["mean_interval", "paired_bootstrap"]


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> dict[str, float]:
    """Mean over seeds with Student's t interval; for a difference give the seeds' differences.

    With three seeds the factor is 4.3: wide on purpose, for three numbers say little about their spread.
    """
    mean, n = fmean(values), len(values)
    if n < 2:
        return {"mean": mean, "n": n}
    half = float(student_t.ppf(0.5 + confidence / 2, n - 1)) * stdev(values) / sqrt(n)
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def paired_bootstrap(
    ours: Sequence[Sequence[Any]],
    others: Sequence[Sequence[Any]],
    *,
    draws: int = 2_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, float]:
    """Mean difference over seeds and test items, both drawn anew: a percentile interval (Efron 1979).

    Parameters
    ----------
    ours, others
        One row per seed, one value per test item; the same seeds and items in both.
    """
    gaps = np.asarray(ours, float) - np.asarray(others, float)
    dice = np.random.default_rng(seed)
    n_seeds, n_items = gaps.shape
    means = []
    for _ in range(draws):
        seeds, items = dice.integers(n_seeds, size=n_seeds), dice.integers(n_items, size=n_items)
        means.append(gaps[seeds].mean(0)[items].mean())
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return {"mean": float(gaps.mean()), "low": float(low), "high": float(high), "n": n_seeds}
