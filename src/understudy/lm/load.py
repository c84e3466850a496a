"""How busy experts are, and how far the gates have moved: figures for the record of each step.

Only measures; what changes the load is in :mod:`understudy.lm.balance`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn import functional

__all__ = ["LayerLoad", "gate_drift", "layer_load"]


@dataclass(frozen=True, slots=True)
class LayerLoad:
    """The load of one layer's experts over one step.

    Attributes
    ----------
    counts
        Assignments per expert, before any are dropped.
    n_dropped
        Assignments dropped for want of capacity.
    entropy
        Of the shares of load, over its largest value ``log E``: 1 is even, 0 is one expert doing all; 1 by
        convention where there is one expert.
    n_dead
        Experts without a single token.
    busiest_to_mean
        Load of the busiest expert over the mean: 1 to E.
    gate_cosine
        Mean cosine between the router's rows now and at the start: 1 has not turned; ``None`` if not given.
    """

    counts: tuple[int, ...]
    n_dropped: int
    entropy: float
    n_dead: int
    busiest_to_mean: float
    gate_cosine: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return asdict(self)


def layer_load(counts: Sequence[int], *, n_dropped: int = 0, gate_cosine: float | None = None) -> LayerLoad:
    """Measure the load `counts`, assignments per expert with at least one in all."""
    total = sum(counts)
    assert total > 0, "a load without assignments"
    shares = [count / total for count in counts]
    entropy = -sum(share * math.log(share) for share in shares if share)
    return LayerLoad(
        counts=tuple(counts),
        n_dropped=n_dropped,
        entropy=entropy / math.log(len(counts)) if len(counts) > 1 else 1.0,
        n_dead=sum(count == 0 for count in counts),
        busiest_to_mean=max(shares) * len(counts),
        gate_cosine=gate_cosine,
    )


def gate_drift(now_ED: torch.Tensor, start_ED: torch.Tensor) -> float:  # noqa: N803
    """Mean over experts of the cosine between router rows now and at the start, in [-1, 1]."""
    return float(functional.cosine_similarity(now_ED.detach().float(), start_ED.float(), dim=-1).mean())
