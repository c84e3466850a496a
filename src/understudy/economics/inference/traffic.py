"""Bytes that have to be read from memory for one pass.

A pass reads every weight that takes part once, however many sequences are in the batch, and every
sequence's own cache. Writing (one token's keys and values) and activations are left out: they are a thousandth
of it. Caches of a processor are left out too, so a model small enough to stay in them is faster than told.
"""

from __future__ import annotations

from understudy.economics.transformer.memory import PAPER, CachePolicy, kv_cache_bytes
from understudy.economics.transformer.parameters import (
    attention_parameters,
    count_parameters,
    expert_parameters,
)
from understudy.economics.transformer.precision import Precision
from understudy.economics.transformer.shape import ModelShape

__all__ = ["cache_traffic_bytes", "expected_experts", "weight_traffic_bytes"]


def expected_experts(n_experts: int, n_active: int, n_tokens: float) -> float:
    """Expected number of different experts that `n_tokens` tokens visit: ``E (1 - (1 - k/E)^n)``.

    Each token picks `n_active` of `n_experts` evenly and independently; the linearity of expectation gives
    the formula. Routers are trained towards even use (load-balancing losses, Fedus et al.,
    arXiv:2101.03961); uneven or correlated picks visit fewer.
    """
    if not n_experts:
        return 0.0
    missed: float = (1.0 - n_active / n_experts) ** n_tokens
    return n_experts * (1.0 - missed)


def weight_traffic_bytes(shape: ModelShape, weights: Precision, n_tokens: int) -> float:
    """Bytes of weights that a pass over `n_tokens` tokens in all reads.

    The table of tokens is looked up, one row per token; the head is read whole. With a mixture of experts,
    only experts that some token visits are read.
    """
    counts = count_parameters(shape)
    visited = expected_experts(shape.n_experts, shape.n_active_experts, n_tokens)
    more = visited - shape.n_active_experts if shape.is_mixture else 0.0
    numbers = counts.multiplied + more * shape.n_mixture_layers * expert_parameters(shape)
    if shape.attention == "mixture":
        whole, active = attention_parameters(shape)
        per_expert = (whole - active) / max(1, shape.n_experts - shape.n_active_experts)
        numbers += more * shape.n_layers * per_expert
    numbers += min(n_tokens, shape.n_vocab) * shape.d_model
    return numbers * weights.bytes_per_number


def cache_traffic_bytes(
    shape: ModelShape, cache: Precision, *, batch: int, context: float, policy: CachePolicy = PAPER
) -> float:
    """Bytes of key-value cache that one step of `batch` sequences reads: all that is kept."""
    return kv_cache_bytes(shape, batch=batch, context=context, precision=cache, policy=policy)
