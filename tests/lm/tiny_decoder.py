"""Shapes small enough that a step takes milliseconds."""

from dataclasses import replace

from understudy.lm.config import DecoderConfig, ExpertsConfig

DENSE = DecoderConfig(
    vocab_size=80, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, d_ff=48, context_tokens=64
)
MIXTURE = replace(DENSE, experts=ExpertsConfig(4, 2, 16, n_shared=1))
