"""Parameters, weight bytes and cache bytes, against what `transformers` allocates."""

from __future__ import annotations

from typing import Any

import pytest

from economics.transformer.tiny_models import CONFIGS, build
from understudy.economics.transformer.from_config import MODEL_TYPES, shape_from_config
from understudy.economics.transformer.memory import (
    LATENT_EXPANDED,
    TRANSFORMERS,
    kv_cache_bytes,
    weight_bytes,
)
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.precision import parse_precision

FP32, BF16 = parse_precision("fp32"), parse_precision("bf16")
CONTEXTS = (1, 5, 7, 8, 9, 20)


def held_bytes(cache: Any) -> int:
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def test_every_model_type_is_checked() -> None:
    assert {build(name)[1]["model_type"] for name in CONFIGS} == set(MODEL_TYPES)


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_and_weight_bytes_are_those_of_the_modules(name: str) -> None:
    model, config = build(name)
    shape = shape_from_config(config)
    parameters = list(model.parameters())
    assert count_parameters(shape).total == sum(one.numel() for one in parameters)
    assert weight_bytes(shape, FP32) == sum(one.numel() * one.element_size() for one in parameters)
    model.bfloat16()
    half = sum(one.numel() * one.element_size() for one in model.parameters())
    assert weight_bytes(shape, BF16) == half


@pytest.mark.parametrize("name", CONFIGS)
def test_cache_bytes_are_those_of_the_cache(name: str) -> None:
    import torch

    model, config = build(name)
    shape = shape_from_config(config)
    for batch in (1, 3):
        for context in CONTEXTS:
            tokens = torch.randint(3, 97, (batch, context))
            with torch.no_grad():
                cache = model(input_ids=tokens, use_cache=True).past_key_values
            said = kv_cache_bytes(shape, batch=batch, context=context, precision=FP32, policy=TRANSFORMERS)
            assert said == held_bytes(cache), (name, batch, context)


@pytest.mark.parametrize("name", ["sliding", "gemma3"])
def test_cache_bytes_stay_right_while_writing(name: str) -> None:
    import torch

    model, config = build(name)
    shape = shape_from_config(config)
    cache = None
    with torch.no_grad():
        for context in range(1, 13):
            cache = model(input_ids=torch.tensor([[5]]), cache=cache, use_cache=True).past_key_values
            said = kv_cache_bytes(shape, batch=1, context=context, precision=FP32, policy=TRANSFORMERS)
            assert said == held_bytes(cache)


@pytest.mark.parametrize("name", ["deepseek-v2", "deepseek-v3", "minicpm3"])
def test_expanded_latent_cache_is_what_attention_is_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys and values of every head: their sizes where `transformers` expands them for one step."""
    import torch

    model, config = build(name)
    shape = shape_from_config(config)
    attention = type(model.model.layers[0].self_attn)
    expand, seen = attention.expand_kv, []

    def watched(*args: Any, **kwargs: Any) -> Any:
        found = expand(*args, **kwargs)
        seen.extend(found)
        return found

    monkeypatch.setattr(attention, "expand_kv", watched)
    with torch.no_grad():
        model(input_ids=torch.randint(3, 97, (2, 9)))
    said = kv_cache_bytes(shape, batch=2, context=9, precision=FP32, policy=LATENT_EXPANDED)
    assert said == sum(tensor.numel() * tensor.element_size() for tensor in seen)
