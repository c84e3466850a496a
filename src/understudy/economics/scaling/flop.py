"""FLOP of training and of answering: 6 and 2 per parameter and token.

Source: Kaplan et al., "Scaling laws for neural language models" (arXiv 2001.08361), section 2.1: 2 per weight
for the forward pass (a multiplication and an addition), twice that for the backward pass. It leaves out
attention over the context and whatever is recomputed, and holds where the context is short beside the width;
for a mixture of experts the parameters are the active ones.
"""

from __future__ import annotations

import math

from understudy.errors import ConfigError

__all__ = [
    "INFERENCE_FLOP",
    "TRAINING_FLOP",
    "check_positive",
    "inference_flops",
    "matching_inference_tokens",
    "training_flops",
]

TRAINING_FLOP = 6.0
"""FLOP per parameter and token trained on."""
INFERENCE_FLOP = 2.0
"""FLOP per parameter and token read or written."""


def check_positive(name: str, value: float, *, is_zero_allowed: bool = False) -> float:
    """`value` if it is finite and above 0 (or 0, where that `is_zero_allowed`).

    Raises
    ------
    ConfigError
        Otherwise; it names the field.
    """
    if (
        isinstance(value, int | float)
        and math.isfinite(value)
        and (value > 0 or (is_zero_allowed and value == 0))
    ):
        return float(value)
    limits = "0 or more" if is_zero_allowed else "above 0"
    raise ConfigError(f"{name} must be a finite number {limits}", given=repr(value))


def training_flops(parameters: float, tokens: float) -> float:
    """``6 N D``."""
    return TRAINING_FLOP * check_positive("parameters", parameters) * check_positive("tokens", tokens)


def inference_flops(parameters: float, tokens: float) -> float:
    """``2 N D`` for `tokens` read and written together."""
    size = check_positive("parameters", parameters)
    return INFERENCE_FLOP * size * check_positive("tokens", tokens, is_zero_allowed=True)


def matching_inference_tokens(training_tokens: float) -> float:
    """Tokens of inference past which it has cost more FLOP than training: three times those of training."""
    return TRAINING_FLOP / INFERENCE_FLOP * check_positive("training_tokens", training_tokens)
