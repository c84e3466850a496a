"""Bytes of weights and cache: published figures, windows, number formats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.transformer.catalogue import find_model
from understudy.economics.transformer.memory import (
    LATENT_EXPANDED,
    TRANSFORMERS,
    kv_bytes_per_token,
    kv_cache_bytes,
    kv_numbers_per_token,
    weight_bytes,
)
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.precision import Precision, parse_precision
from understudy.errors import ConfigError

BF16 = parse_precision("bf16")


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("fp32", 32),
        ("bf16", 16),
        ("fp8", 8),
        ("int8", 8.5),
        ("int4", 4.5),
        ("int4-g128", 4.125),
        ("int4-g0", 4),
    ],
)
def test_bits_of_a_number_include_its_scale(name: str, bits: float) -> None:
    assert parse_precision(name).bits_per_number == bits
    shape = find_model("llama-2-7b").shape
    assert weight_bytes(shape, parse_precision(name)) == count_parameters(shape).total * bits / 8


@pytest.mark.parametrize("name", ["", "int9", "int1", "q4", "int4-g", "fp4", "int4-g-1"])
def test_an_unknown_format_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="one of fp32"):
        parse_precision(name)


def test_four_bits_are_a_quarter_of_sixteen_only_without_scales() -> None:
    # Published figure 14: "4-bit weights shrink it by 75 %".
    shape = find_model("minicpm-2b").shape
    whole = weight_bytes(shape, BF16)
    assert 1 - weight_bytes(shape, parse_precision("int4-g0")) / whole == 0.75
    assert 1 - weight_bytes(shape, parse_precision("int4")) / whole == pytest.approx(0.71875)


def test_tables_may_keep_another_format() -> None:
    shape = find_model("llama-3.2-1b").shape
    counts = count_parameters(shape)
    mixed = weight_bytes(shape, parse_precision("int4-g0"), embedding=BF16)
    assert mixed == counts.non_embedding / 2 + counts.embedding * 2


def test_published_cache_sizes() -> None:
    # Llama 2 7B: half a megabyte a token; grouped queries take an eighth of what 64 heads would.
    assert kv_bytes_per_token(find_model("llama-2-7b").shape, BF16) == 2 * 2 * 32 * 4096
    assert kv_bytes_per_token(find_model("llama-2-70b").shape, BF16) == 2 * 2 * 80 * 1024
    # DeepSeek-V2, section 2.1.4: the cache equals that of grouped queries with 2.25 groups.
    shape = find_model("deepseek-v2").shape
    assert kv_numbers_per_token(shape) == 512 + 64
    assert kv_numbers_per_token(shape) / (2 * 128) == 2.25
    # "Reduces the KV cache by 93.3 %" (abstract): 6 bits a number (section 3.2.3) against DeepSeek 67B in 16 bits,
    # 95 layers with 8 groups of 128.
    assert pytest.approx(0.933, abs=5e-4) == 1 - 60 * 576 * 6 / (95 * 2 * 8 * 128 * 16)
    assert kv_numbers_per_token(shape, LATENT_EXPANDED) == 128 * (128 + 64 + 128)


@given(st.integers(0, 20_000), st.integers(1, 8))
def test_sliding_layers_hold_no_more_than_their_window(context: int, batch: int) -> None:
    shape = find_model("gemma-3-4b").shape
    assert (shape.n_window_layers, shape.n_full_layers, shape.window) == (29, 5, 1024)
    per_layer = 2 * 4 * 256 * 2
    held = batch * per_layer * (5 * context + 29 * min(context, 1024))
    assert kv_cache_bytes(shape, batch=batch, context=context, precision=BF16) == held
    engine = kv_cache_bytes(shape, batch=batch, context=context, precision=BF16, policy=TRANSFORMERS)
    assert held - engine == (batch * per_layer * 29 if context >= 1024 else 0)


def test_a_quantised_cache_takes_its_scales_too() -> None:
    shape = find_model("llama-3.1-8b").shape
    whole = kv_cache_bytes(shape, batch=2, context=100, precision=BF16)
    assert (
        kv_cache_bytes(shape, batch=2, context=100, precision=Precision("int8", 8, 64)) == whole * 8.25 / 16
    )


@pytest.mark.parametrize(("batch", "context"), [(0, 10), (1, -1), (1, float("nan"))])
def test_nonsense_is_refused(batch: int, context: float) -> None:
    with pytest.raises(ConfigError, match=r"batch|context"):
        kv_cache_bytes(find_model("gpt2").shape, batch=batch, context=context, precision=BF16)
