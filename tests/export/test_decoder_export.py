"""A decoder's graph computes what transformers computes, for every family that can be exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers import PreTrainedModel

from lm.tiny_decoder import DENSE, MIXTURE
from understudy.errors import ConfigError
from understudy.export.decoder import export_decoder
from understudy.export.decoder_pen import BLOCK, quantise_blocks
from understudy.lm.decoder import build_decoder
from understudy.runtime.engines import load_engine

SIZES = {
    "vocab_size": 80,
    "hidden_size": 32,
    "intermediate_size": 44,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
PROMPT = [5, 9, 2, 71, 33, 8, 8]
MORE = [4, 60, 17]


def build(family: str) -> PreTrainedModel:
    """A model whose scores differ widely, norms and biases included."""
    torch.manual_seed(3)
    if family == "ours":
        model = build_decoder(DENSE, seed=1)
    elif family == "llama":
        model = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(**SIZES, tie_word_embeddings=False, attention_bias=True, mlp_bias=True)
        )
    elif family == "mistral":
        model = transformers.MistralForCausalLM(transformers.MistralConfig(**SIZES, head_dim=16))
    elif family == "qwen2":
        model = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**SIZES))
    else:
        model = transformers.Qwen3ForCausalLM(
            transformers.Qwen3Config(**SIZES, head_dim=12, tie_word_embeddings=True)
        )
    with torch.no_grad():
        for weights in model.parameters():
            centre, spread = (1.0, 0.2) if weights.ndim == 1 else (0.0, 0.3)
            weights.copy_(centre + spread * torch.randn_like(weights))
    return model.eval()


def wanted_scores(model: PreTrainedModel) -> np.ndarray:
    with torch.no_grad():
        scores = model(torch.tensor([PROMPT + MORE])).logits[0]
    return scores[len(PROMPT) - 1 :].numpy()


def served_scores(model: PreTrainedModel, folder: Path, precision: str) -> np.ndarray:
    decoder = load_engine(folder, export_decoder(model, folder, precision=precision))
    decoding = decoder.start([PROMPT])
    return np.concatenate([decoding.logits, *(decoding.step([0], [token]) for token in MORE)])


@pytest.mark.parametrize("family", ["ours", "llama", "mistral", "qwen2", "qwen3"])
def test_float_graphs_equal_transformers(family: str, tmp_path: Path) -> None:
    model = build(family)
    found, wanted = served_scores(model, tmp_path, "float32"), wanted_scores(model)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.ptp(wanted) > 3


@pytest.mark.parametrize(("precision", "most"), [("int8", 0.06), ("int4", 0.45)])
@pytest.mark.parametrize("family", ["ours", "qwen3"])
def test_integer_graphs_are_near(family: str, precision: str, most: float, tmp_path: Path) -> None:
    model = build(family)
    wanted = wanted_scores(model)
    error = served_scores(model, tmp_path, precision) - wanted
    assert error.std() < most * wanted.std()
    float_bytes = sum(weights.numel() * 4 for weights in model.parameters())
    assert (tmp_path / "model.onnx").stat().st_size < float_bytes


def test_blocks_are_rounded_to_the_nearest() -> None:
    weights = np.random.default_rng(0).normal(size=(3, 70)).astype(np.float32)
    for bits in (8, 4):
        stored, scale = quantise_blocks(weights, bits)
        integers = stored.astype(np.int64)
        if bits == 4:
            integers = np.stack([integers & 15, integers >> 4], axis=-1).reshape(3, 3, BLOCK)
        assert scale.shape == (3, 3)
        grown = ((integers - 2 ** (bits - 1)) * scale[..., None]).reshape(3, -1)
        assert not grown[:, 70:].any()
        widest = np.abs(np.pad(weights, ((0, 0), (0, 26)))).reshape(3, 3, BLOCK).max(axis=2)
        error = np.abs(grown[:, :70] - weights).reshape(3, -1)
        assert (np.abs(scale) <= widest / 2 ** (bits - 1) * 1.001).all()
        assert np.median(error) < np.median(np.abs(scale)) / 2
    assert quantise_blocks(np.zeros((1, 4), dtype=np.float32), 4)[0].tolist() == [[[0x88] * 16]]


def test_a_mixture_of_experts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mixture of experts"):
        export_decoder(build_decoder(MIXTURE, seed=0), tmp_path)


def test_scaled_positions_are_refused(tmp_path: Path) -> None:
    model = build_decoder(replace(DENSE, context_tokens=32), seed=0)
    model.config.rope_parameters = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    with pytest.raises(ConfigError, match="rotary"):
        export_decoder(model, tmp_path)


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="float32, int8, int4"):
        export_decoder(build_decoder(DENSE, seed=0), tmp_path, precision="int2")
