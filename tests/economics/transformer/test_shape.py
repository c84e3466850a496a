"""Shapes: what is refused, and configurations that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.transformer.from_config import shape_from_config
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

SIZES: dict[str, Any] = {
    "n_layers": 4,
    "d_model": 64,
    "n_heads": 8,
    "n_kv_heads": 2,
    "d_head": 8,
    "d_ff": 128,
    "n_vocab": 100,
}
EXPERTS: dict[str, Any] = {"n_experts": 8, "n_active_experts": 2, "d_expert_ff": 32}
LATENT: dict[str, Any] = {
    "attention": "latent",
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_layers": 0}, "n_layers must be a whole number, 1 or more"),
        ({"d_model": -64}, "d_model must be"),
        ({"n_vocab": 3.5}, "n_vocab must be a whole number"),
        ({"n_heads": True}, "n_heads must be"),
        ({"n_kv_heads": 3}, "n_kv_heads must divide n_heads (8)"),
        ({"n_kv_heads": 16}, "n_kv_heads must divide n_heads (8)"),
        ({"attention": "sparse"}, "attention must be full or latent or mixture"),
        ({"is_gated": "yes"}, "is_gated must be true or false"),
        ({"norm": "batch"}, "norm must be rms or layer or none"),
        ({"window": 128}, "n_window_layers must be from 1 to n_layers (4)"),
        ({"window": 128, "n_window_layers": 5}, "n_window_layers must be from 1 to n_layers (4)"),
        ({"window": 0, "n_window_layers": 2}, "window must be a whole number, 1 or more"),
        ({"n_window_layers": 2}, "n_window_layers must be 0 without a window"),
        ({**EXPERTS, "n_active_experts": 9}, "n_active_experts must be from 1 to n_experts (8)"),
        ({**EXPERTS, "n_active_experts": 0}, "n_active_experts must be from 1"),
        ({**EXPERTS, "n_dense_layers": 4}, "n_dense_layers must be from 0 to n_layers - 1 (3)"),
        ({**EXPERTS, "d_expert_ff": 0}, "d_expert_ff must be 1 or more"),
        ({**EXPERTS, "n_shared_experts": 1}, "n_shared_experts and d_shared_ff"),
        ({"n_active_experts": 2}, "n_active_experts must be 0 without experts"),
        ({"has_shared_gate": True}, "has_shared_gate must be false"),
        ({**LATENT, "kv_lora_rank": 0}, "kv_lora_rank must be 1 or more where attention is latent"),
        ({"kv_lora_rank": 16}, "kv_lora_rank must be 0 unless attention is latent"),
        ({**EXPERTS, "attention": "mixture"}, "n_heads must be n_active_experts times n_kv_heads"),
    ],
)
def test_impossible_sizes_are_refused_by_field(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ModelShape(**{**SIZES, **changes})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "model_type is missing"),
        ({"model_type": "lama"}, "did you mean llama?"),
        ({"model_type": "mamba"}, "known: deepseek_v2"),
        ({"model_type": "llama", "hidden_size": 64}, "num_attention_heads is missing"),
        ({"model_type": "llama", "hidden_size": "64"}, "hidden_size must be a whole number"),
        ({"model_type": "llama", "hidden_size": 64, "num_attention_heads": 0}, "must be 1 or more"),
    ],
)
def test_a_configuration_that_cannot_be_read_says_why(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        shape_from_config(config)
    assert words in str(caught.value)


def test_the_text_part_of_a_model_with_a_vision_tower_is_read() -> None:
    # As google/gemma-3-4b-it's file: sizes that equal the class's defaults are left out.
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}
    shape = shape_from_config({"model_type": "gemma3", "text_config": text, "vision_config": {}})
    assert (shape.n_heads, shape.n_kv_heads, shape.d_head) == (8, 4, 256)
    assert (shape.window, shape.n_window_layers) == (1024, 29)


@given(
    n_experts=st.integers(2, 64),
    n_dense=st.integers(0, 3),
    shared=st.integers(0, 2),
    data=st.data(),
)
def test_counts_add_up(n_experts: int, n_dense: int, shared: int, data: st.DataObject) -> None:
    n_active = data.draw(st.integers(1, n_experts))
    shape = ModelShape(
        **SIZES,
        n_experts=n_experts,
        n_active_experts=n_active,
        d_expert_ff=32,
        n_dense_layers=n_dense,
        n_shared_experts=shared,
        d_shared_ff=32 if shared else 0,
    )
    counts = count_parameters(shape)
    assert counts.total == counts.embedding + counts.non_embedding
    assert counts.total - counts.active == shape.n_mixture_layers * (n_experts - n_active) * counts.expert
    assert (counts.active == counts.total) == (n_active == n_experts)


def test_a_model_of_experts_has_the_arithmetic_of_its_active_ones() -> None:
    dense = count_parameters(ModelShape(**SIZES))
    mixture = count_parameters(ModelShape(**{**SIZES, **EXPERTS, "d_expert_ff": SIZES["d_ff"] // 2}))
    routers = SIZES["n_layers"] * SIZES["d_model"] * EXPERTS["n_experts"]
    assert mixture.active - routers == dense.active
    assert mixture.total > 2 * dense.total
