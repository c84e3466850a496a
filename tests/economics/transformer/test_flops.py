"""Arithmetic of a token, against torch's own counter and published formulas."""

from __future__ import annotations

import pytest

from economics.transformer.tiny_models import build
from understudy.economics.transformer.catalogue import find_model
from understudy.economics.transformer.flops import (
    attention_flop_per_context_token,
    decode_flop_per_token,
    prefill_flop,
    training_flop_per_token,
)
from understudy.economics.transformer.from_config import shape_from_config
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

# Norm vectors count as multiplied parameters, but torch counts products of matrices only: the test takes them off.
EXACT = ["multi-head", "grouped-query", "multi-query", "sliding", "gemma2", "olmo", "qwen3"]


def vectors(shape: ModelShape) -> int:
    """Parameters that are no matrices."""
    per_norm = 0 if shape.norm == "none" else 1
    count = per_norm * shape.d_model * (shape.n_layers * shape.norms_per_layer + 1)
    return count + (2 * shape.d_head * shape.n_layers if shape.qk_norm == "head" else 0)


@pytest.mark.parametrize("name", EXACT)
def test_prefill_is_what_torch_counts(name: str) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model, config = build(name)
    model.set_attn_implementation("eager")
    shape = shape_from_config(config)
    n_tokens = 11
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(input_ids=torch.randint(3, 97, (1, n_tokens)), use_cache=False)
    said = prefill_flop(shape, n_tokens, is_causal=False, has_all_logits=True)
    assert said - 2 * vectors(shape) * n_tokens == counter.get_total_flops()


def test_training_is_three_times_the_forward_pass_as_torch_counts_it() -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model, _ = build("grouped-query")
    model.set_attn_implementation("eager")
    model.train()
    tokens = torch.randint(3, 97, (1, 16))

    def counted(*, has_backward: bool) -> int:
        counter = FlopCounterMode(display=False)
        with counter:
            loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
            if has_backward:
                loss.backward()
        return counter.get_total_flops()

    assert counted(has_backward=True) == pytest.approx(3 * counted(has_backward=False), rel=0.01)


def test_training_is_the_formula_of_palm() -> None:
    # 6 N + 12 L H Q T, arXiv:2204.02311, appendix B.
    shape = find_model("llama-2-7b").shape
    n = count_parameters(shape).multiplied
    said = training_flop_per_token(shape, 2048, is_causal=False)
    assert said == 6 * n + 12 * shape.n_layers * shape.n_heads * shape.d_head * 2048
    # The causal half, with the diagonal.
    causal = training_flop_per_token(shape, 2048) - 6 * n
    assert causal == pytest.approx((said - 6 * n) / 2, rel=1e-3)
    assert training_flop_per_token(shape, 1) / decode_flop_per_token(shape, 1) == pytest.approx(3)


def test_reading_token_by_token_is_reading_at_once() -> None:
    for name in ("llama-3.1-8b", "gemma-3-4b", "mixtral-8x7b"):
        shape = find_model(name).shape
        one_by_one = sum(decode_flop_per_token(shape, context) for context in range(1, 1201))
        assert prefill_flop(shape, 1200, has_all_logits=True) == pytest.approx(one_by_one, rel=1e-12)


def test_only_the_last_token_needs_the_head() -> None:
    shape = find_model("llama-3.2-1b").shape
    saved = prefill_flop(shape, 100, has_all_logits=True) - prefill_flop(shape, 100)
    assert saved == 2 * 99 * shape.n_vocab * shape.d_model


def test_latent_attention_costs_more_per_context_token_in_the_compressed_space() -> None:
    shape = find_model("deepseek-v2").shape
    assert attention_flop_per_context_token(shape) == 2 * 128 * (128 + 64 + 128)
    assert attention_flop_per_context_token(shape, is_absorbed=True) == 2 * 128 * (2 * 512 + 64)


def test_a_mixture_has_the_arithmetic_of_its_active_experts() -> None:
    mixture = find_model("mixtral-8x7b")
    assert decode_flop_per_token(mixture.shape, 1) == pytest.approx(2 * 12.75e9, rel=0.01)


@pytest.mark.parametrize("wrong", [0, -5])
def test_no_tokens_are_refused(wrong: int) -> None:
    shape = find_model("gpt2").shape
    with pytest.raises(ConfigError, match="n_tokens"):
        prefill_flop(shape, wrong)
    with pytest.raises(ConfigError, match="sequence_length"):
        training_flop_per_token(shape, wrong)
    with pytest.raises(ConfigError, match="context"):
        decode_flop_per_token(shape, -1)
