"""Arithmetic of a token: reading (prefill), writing (decode), training.

A multiplication and an addition count as two. Outside attention a token costs twice the parameters that it
is multiplied with (Kaplan et al., arXiv:2001.08361, section 2.1); attention adds a term in the context.
Norms, activations, softmax and rotary positions are left out: below 1 % from a width of about 1,000 on.
Training costs three times the forward pass, since the backward pass is twice it (same source): ``6 N`` and
the attention term; recomputed activations are not in it.
"""

from __future__ import annotations

import math

from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = [
    "attention_flop_per_context_token",
    "decode_flop_per_token",
    "prefill_flop",
    "training_flop_per_token",
]


def attention_flop_per_context_token(shape: ModelShape, *, is_absorbed: bool = False) -> int:
    """FLOP of one layer for one query token and one token of its context: scores, and the weighted sum.

    ``2 * n_heads * (d_qk + d_v)``, which is ``4 * n_heads * d_head`` where all heads are alike.

    Parameters
    ----------
    is_absorbed
        For latent attention: whether scores are taken in the compressed space, as in decoding
        (DeepSeek-V2, section 2.1.2): more arithmetic per context token, no expansion of the cache.
    """
    if shape.attention != "latent":
        return 4 * shape.n_heads * shape.d_head
    if is_absorbed:
        return 2 * shape.n_heads * (2 * shape.kv_lora_rank + shape.qk_rope_head_dim)
    return 2 * shape.n_heads * (shape.qk_nope_head_dim + shape.qk_rope_head_dim + shape.v_head_dim)


def _seen_tokens(shape: ModelShape, n_tokens: int, *, is_causal: bool) -> float:
    """Context tokens seen by `n_tokens` queries that start a sequence, summed over layers."""
    whole = n_tokens * (n_tokens + 1) / 2 if is_causal else float(n_tokens * n_tokens)
    seen = shape.n_full_layers * whole
    if shape.window is not None:
        if not is_causal or n_tokens <= shape.window:
            seen += shape.n_window_layers * whole
        else:
            window = shape.window
            within = window * (window + 1) / 2 + (n_tokens - window) * window
            seen += shape.n_window_layers * within
    return seen


def prefill_flop(
    shape: ModelShape, n_tokens: int, *, is_causal: bool = True, has_all_logits: bool = False
) -> float:
    """FLOP to read `n_tokens` of one sequence.

    Parameters
    ----------
    is_causal
        Count only the scores below the diagonal, as flash kernels do; otherwise the whole square, windows
        ignored, as a plain implementation with a mask does (and as PaLM, arXiv:2204.02311, appendix B
        counts).
    has_all_logits
        Whether the head runs on every token (as in training) or only on the last one (as engines do).

    Raises
    ------
    ConfigError
        If `n_tokens` is below 1.
    """
    _check_tokens("n_tokens", n_tokens, least=1)
    head = shape.n_vocab * shape.d_model + (shape.n_vocab if shape.has_head_bias else 0)
    body = count_parameters(shape).multiplied - head
    n_logits = n_tokens if has_all_logits else 1
    linear = 2.0 * (body * n_tokens + head * n_logits)
    return linear + attention_flop_per_context_token(shape) * _seen_tokens(
        shape, n_tokens, is_causal=is_causal
    )


def decode_flop_per_token(shape: ModelShape, context: float) -> float:
    """FLOP to write one token whose context, itself included, is `context` tokens.

    Latent attention is counted in the compressed space.
    """
    if not (math.isfinite(context) and context >= 0):
        raise ConfigError("context must be 0 tokens or more", given=str(context))
    seen = shape.n_full_layers * context
    if shape.window is not None:
        seen += shape.n_window_layers * min(context, shape.window)
    per_seen = attention_flop_per_context_token(shape, is_absorbed=True)
    return 2.0 * count_parameters(shape).multiplied + per_seen * seen


def training_flop_per_token(shape: ModelShape, sequence_length: int, *, is_causal: bool = True) -> float:
    """FLOP to train on one token of sequences of `sequence_length`: three forward passes.

    With ``is_causal=False`` it is PaLM's ``6 N + 12 L H Q T`` (arXiv:2204.02311, appendix B), N without the
    tables that are only looked up.
    """
    _check_tokens("sequence_length", sequence_length, least=1)
    forward = prefill_flop(shape, sequence_length, is_causal=is_causal, has_all_logits=True)
    return 3.0 * forward / sequence_length


def _check_tokens(name: str, value: int, *, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} must be {least} or more", given=str(value))
