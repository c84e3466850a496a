"""Shapes by name, each a mixture of experts; :meth:`DecoderConfig.dense_twin` gives their dense counterparts.

The mixtures follow DeepSeekMoE (Dai et al. 2024): many narrow experts, one of them shared. Sizes are chosen for
time: ``tiny`` trains fifty steps in about a minute on two cores.
"""

from __future__ import annotations

from understudy.errors import ConfigError
from understudy.lm.config import DecoderConfig, ExpertsConfig

__all__ = ["PRESETS", "preset"]

PRESETS = {
    "tiny": DecoderConfig(
        vocab_size=1024,
        d_model=96,
        n_layers=3,
        n_heads=6,
        n_kv_heads=2,
        d_ff=256,
        context_tokens=1024,
        experts=ExpertsConfig(n_experts=8, n_active=2, d_expert=96, n_shared=1),
    ),
    "small": DecoderConfig(
        vocab_size=2048,
        d_model=256,
        n_layers=6,
        n_heads=8,
        n_kv_heads=4,
        d_ff=704,
        context_tokens=2048,
        experts=ExpertsConfig(n_experts=16, n_active=2, d_expert=256, n_shared=1),
    ),
    "base": DecoderConfig(
        vocab_size=8192,
        d_model=512,
        n_layers=12,
        n_heads=8,
        n_kv_heads=4,
        d_ff=1376,
        context_tokens=4096,
        experts=ExpertsConfig(n_experts=32, n_active=4, d_expert=352, n_shared=1),
    ),
}


def preset(name: str) -> DecoderConfig:
    """Give the shape called `name`.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset must be one of {', '.join(PRESETS)}", given=f"preset = {name!r}")
    return PRESETS[name]
