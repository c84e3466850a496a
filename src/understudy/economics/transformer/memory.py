"""Bytes of weights and of the key-value cache.

Plain formats are exact to the byte and checked against the tensors that `transformers` allocates. What a
framework takes besides (activations, fragmentation, its own code) is not here: see
:mod:`understudy.economics.inference.memory`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.precision import Precision
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = [
    "LATENT_EXPANDED",
    "PAPER",
    "TRANSFORMERS",
    "CachePolicy",
    "kv_bytes_per_token",
    "kv_cache_bytes",
    "kv_numbers_per_token",
    "weight_bytes",
]


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What an engine keeps.

    Attributes
    ----------
    is_latent_expanded
        Whether latent attention keeps the keys and values of all heads instead of the compressed vector.
    window_margin
        How many tokens fewer than the window a sliding layer keeps between steps.
    """

    is_latent_expanded: bool = False
    window_margin: int = 0


PAPER = CachePolicy()
"""The compressed vector and the shared rotary key (DeepSeek-V2, section 2.1.3), and whole windows."""

TRANSFORMERS = CachePolicy(window_margin=1)
"""The dynamic cache of `transformers` 5: compressed latents, and one token less than the window, because the
next token brings its own."""

LATENT_EXPANDED = CachePolicy(is_latent_expanded=True)
"""Engines without a kernel for latent attention: keys and values of every head."""


def weight_bytes(shape: ModelShape, precision: Precision, *, embedding: Precision | None = None) -> float:
    """Bytes of all weights.

    Parameters
    ----------
    precision
        Of the weights.
    embedding
        Of token table, position table and head, where it differs: quantisers often leave those at 16 bits.

    Notes
    -----
    Quantised formats are applied to every weight; norms and biases, which stay at 16 bits in practice, are
    under 0.1 % of a model.
    """
    counts = count_parameters(shape)
    table = precision if embedding is None else embedding
    return counts.non_embedding * precision.bytes_per_number + counts.embedding * table.bytes_per_number


def kv_numbers_per_token(shape: ModelShape, policy: CachePolicy = PAPER) -> int:
    """Numbers that one layer keeps for one token.

    Full: ``2 * n_kv_heads * d_head`` (Shazeer, arXiv:1911.02150; Ainslie et al., arXiv:2305.13245). Latent:
    ``kv_lora_rank + qk_rope_head_dim`` (DeepSeek-V2, arXiv:2405.04434, table 1), or expanded
    ``n_heads * (qk_nope_head_dim + qk_rope_head_dim + v_head_dim)``.
    """
    if shape.attention != "latent":
        return 2 * shape.n_kv_heads * shape.d_head
    if policy.is_latent_expanded:
        return shape.n_heads * (shape.qk_nope_head_dim + shape.qk_rope_head_dim + shape.v_head_dim)
    return shape.kv_lora_rank + shape.qk_rope_head_dim


def kv_bytes_per_token(shape: ModelShape, precision: Precision, policy: CachePolicy = PAPER) -> float:
    """Bytes that all layers keep for one more token while no window is full."""
    return shape.n_layers * kv_numbers_per_token(shape, policy) * precision.bytes_per_number


def kv_cache_bytes(
    shape: ModelShape,
    *,
    batch: int,
    context: float,
    precision: Precision,
    policy: CachePolicy = PAPER,
) -> float:
    """Bytes of the key-value cache of `batch` sequences of `context` tokens each.

    Sliding layers keep ``min(window, context)`` tokens, less the policy's margin once the window is full.

    Raises
    ------
    ConfigError
        If `batch` is below 1, or `context` below 0 or not finite.
    """
    if batch < 1:
        raise ConfigError("batch must be 1 or more", given=str(batch))
    if not (math.isfinite(context) and context >= 0):
        raise ConfigError("context must be 0 tokens or more", given=str(context))
    layer_tokens = shape.n_full_layers * context
    if shape.window is not None:
        layer_tokens += shape.n_window_layers * min(context, max(0, shape.window - policy.window_margin))
    return batch * layer_tokens * kv_numbers_per_token(shape, policy) * precision.bytes_per_number
