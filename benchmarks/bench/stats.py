"""Intervals for shares and for micro F1. Standard library only."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

__all__ = ["Counts", "count_entities", "f1_interval", "micro_f1", "share_interval"]

Counts = tuple[int, int, int]
"""True positives, false positives, false negatives of one record."""


def share_interval(hits: int, n: int, confidence: float = 0.95) -> dict[str, float] | None:
    """A share with Wilson's score interval; ``None`` without trials."""
    if not n:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return {"share": share, "low": middle - half, "high": middle + half, "n": n}


def count_entities(found: Mapping[str, Any], truth: Mapping[str, Any], names: Sequence[str]) -> Counts:
    """Entities of one record over its own attributes; a missing key and null both mean "no such entity"."""
    hits = extra = missed = 0
    for name in names:
        said, right = found.get(name), truth.get(name)
        if said is not None and said == right:
            hits += 1
            continue
        extra += said is not None
        missed += right is not None
    return hits, extra, missed


def micro_f1(counts: Sequence[Counts]) -> float | None:
    """F1 over all records together; ``None`` where there is no entity at all."""
    hits, extra, missed = (sum(part) for part in zip(*counts, strict=True))
    return 2 * hits / (2 * hits + extra + missed) if hits + extra + missed else None


def f1_interval(counts: Sequence[Counts], draws: int = 2_000, seed: int = 0) -> dict[str, float] | None:
    """Micro F1 with a 95 % percentile bootstrap over records (Efron 1979)."""
    whole = micro_f1(counts)
    if whole is None:
        return None
    dice = random.Random(seed)
    drawn = sorted(micro_f1(dice.choices(counts, k=len(counts))) or 0.0 for _ in range(draws))
    return {
        "share": whole,
        "low": drawn[int(0.025 * draws)],
        "high": drawn[int(0.975 * draws) - 1],
        "n": len(counts),
    }
