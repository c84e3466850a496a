"""A plausible shape for a number of parameters, where only that number is known.

It follows published dense families in proportion and in nothing else; loss depends on the total far more
than on the proportions (Kaplan et al., arXiv:2001.08361, section 3.1: within 3 % over a factor of 40 in
``d_model / n_layers``).
"""

from __future__ import annotations

import math
from typing import Any

from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = ["shape_for"]

_SMALLEST, _LARGEST = 1e5, 1e14
_GOOD_ENOUGH = 0.02
_WIDTH_STEP = 64
_WIDE = 2048
"""From this width on, only widths of whole groups of query heads are taken."""
_FEED_FORWARD_RATIO = 3.5
"""``d_ff / d_model``: the median of the catalogue's dense models with a gate (Llama 3 8B, Mistral 7B)."""


def shape_for(
    n_parameters: float,
    *,
    n_vocab: int = 32_000,
    is_tied: bool | None = None,
    aspect_ratio: float = 100.0,
    kv_share: int = 4,
) -> ModelShape:
    """A Llama-like shape with about `n_parameters` weights, embeddings included.

    Width is a multiple of 64, from 2,048 on of `kv_share` heads; heads are 128 wide (64 below a width of 1,024); the feed-forward is 3.5 times
    as wide, in multiples of 64. Of all widths whose whole number of layers comes within 2 % of the target, the one nearest the
    aspect ratio is taken; if none does, the one nearest the target.

    Parameters
    ----------
    n_parameters
        From 1e6 to 1e14.
    n_vocab
        Rows of the embedding.
    is_tied
        Whether the head is the embedding; by default below 4e9 parameters, as in Llama 3.2, Qwen2.5 and SmolLM2.
    aspect_ratio
        ``d_model / n_layers`` to aim at; the catalogue's dense models have a median of 102, and eight in ten
        lie between 37 and 128.
    kv_share
        Query heads per key-value head to aim at; 4 in Llama 3 8B and Mistral 7B.

    Raises
    ------
    ConfigError
        If a value is out of range, or the vocabulary alone is larger than the model.
    """
    limits = {
        "n_parameters": (n_parameters, _SMALLEST, _LARGEST),
        "n_vocab": (n_vocab, 1, 10_000_000),
        "aspect_ratio": (aspect_ratio, 1, 10_000),
        "kv_share": (kv_share, 1, 1024),
    }
    for name, (value, least, most) in limits.items():
        if not (math.isfinite(value) and least <= value <= most):
            raise ConfigError(f"{name} must be from {least:g} to {most:g}", given=repr(value))
    tied = n_parameters < 4e9 if is_tied is None else is_tied
    best: tuple[float, ModelShape] | None = None
    for width in _widths(n_parameters, aspect_ratio, kv_share):
        one = _of_width(width, n_vocab, tied, kv_share, n_parameters)
        if one is None:
            continue
        miss = abs(count_parameters(one).total / n_parameters - 1)
        skew = abs(math.log(one.d_model / one.n_layers / aspect_ratio))
        score = skew if miss <= _GOOD_ENOUGH else 100 + miss
        if best is None or score < best[0]:
            best = (score, one)
    if best is None:
        raise ConfigError(
            "n_parameters must be larger than the vocabulary's tables",
            given=f"{n_parameters:g} with n_vocab {n_vocab:,}",
            todo="give a smaller n_vocab",
        )
    return best[1]


def _widths(n_parameters: float, aspect_ratio: float, kv_share: int) -> list[int]:
    """Widths around the one that the aspect ratio asks for: ``12 L d^2`` weights at ``d = aspect * L``."""
    middle = (n_parameters * aspect_ratio / 12) ** (1 / 3)
    low, high = int(middle / 4), int(middle * 3) + _WIDTH_STEP
    whole_groups = 128 * kv_share
    first = -(-_WIDE // whole_groups) * whole_groups
    widths = [*range(_WIDTH_STEP, _WIDE, _WIDTH_STEP), *range(first, high + 1, whole_groups)]
    return [width for width in widths if low <= width <= high]


def _of_width(
    width: int, n_vocab: int, is_tied: bool, kv_share: int, n_parameters: float
) -> ModelShape | None:
    d_head = 128 if width >= 1024 and width % 128 == 0 else 64
    n_heads = width // d_head
    share = max(one for one in range(1, kv_share + 1) if n_heads % one == 0)
    sizes: dict[str, Any] = {
        "d_model": width,
        "n_heads": n_heads,
        "n_kv_heads": n_heads // share,
        "d_head": d_head,
        "d_ff": _WIDTH_STEP * round(_FEED_FORWARD_RATIO * width / _WIDTH_STEP),
        "n_vocab": n_vocab,
    }
    one_layer = count_parameters(ModelShape(n_layers=1, is_tied=is_tied, **sizes))
    two_layers = count_parameters(ModelShape(n_layers=2, is_tied=is_tied, **sizes))
    per_layer = two_layers.total - one_layer.total
    n_layers = round((n_parameters - one_layer.total) / per_layer) + 1
    return ModelShape(n_layers=n_layers, is_tied=is_tied, **sizes) if n_layers >= 1 else None
