"""A decoder's graph computes what transformers computes, for every family that can be exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers import PreTrainedModel
from transformers.models.t5.modeling_t5 import T5Attention

from lm.tiny_decoder import DENSE, MIXTURE
from understudy.errors import ConfigError
from understudy.export.decoder import export_decoder
from understudy.export.decoder_pen import BLOCK, quantise_blocks
from understudy.export.decoder_t5 import distance_buckets
from understudy.lm.decoder import build_decoder
from understudy.runtime.engines import load_engine
from understudy.runtime.generate import generate

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


def build_t5(activation: str) -> PreTrainedModel:
    torch.manual_seed(5)
    config = transformers.T5Config(
        vocab_size=80,
        d_model=32,
        d_kv=12,
        d_ff=48,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=2,
        feed_forward_proj=activation,
        decoder_start_token_id=0,
    )
    model = transformers.T5ForConditionalGeneration(config)
    with torch.no_grad():
        for weights in model.parameters():
            centre, spread = (1.0, 0.2) if weights.ndim == 1 else (0.0, 0.3)
            weights.copy_(centre + spread * torch.randn_like(weights))
    return model.eval()


@pytest.mark.parametrize("activation", ["relu", "gated-gelu"])
def test_the_graphs_of_a_t5_equal_transformers(activation: str, tmp_path: Path) -> None:
    model = build_t5(activation)
    prompt = [at * 7 % 80 for at in range(150)]
    answer = [at * 11 % 80 for at in range(40)]
    decoder = load_engine(tmp_path, export_decoder(model, tmp_path, precision="float32"))
    decoding = decoder.start([prompt, PROMPT])
    found = [decoding.logits[:1], *(decoding.step([0], [token]) for token in answer)]
    with torch.no_grad():
        wanted = model(
            input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[0, *answer]])
        ).logits[0]
    np.testing.assert_allclose(np.concatenate(found), wanted.numpy(), atol=1e-4)
    assert np.ptp(wanted.numpy()) > 1
    (written,) = generate(decoder, [PROMPT], end_ids=[1], max_new_tokens=12)
    with torch.no_grad():
        whole = model.generate(torch.tensor([PROMPT]), max_new_tokens=12, do_sample=False, use_cache=False)[
            0
        ].tolist()
    assert whole == [0, *written.tokens, *([1] if written.is_finished else [])]


def test_a_t5_in_integers_is_near(tmp_path: Path) -> None:
    model = build_t5("relu")
    decoder = load_engine(tmp_path, export_decoder(model, tmp_path, precision="int8"))
    with torch.no_grad():
        wanted = (
            model(input_ids=torch.tensor([PROMPT]), decoder_input_ids=torch.tensor([[0]])).logits[0].numpy()
        )
    assert (decoder.start([PROMPT]).logits - wanted).std() < 0.08 * wanted.std()


def test_distances_are_put_into_t5s_buckets() -> None:
    distances = np.arange(-700, 700)
    for is_two_sided in (True, False):
        wanted = T5Attention._relative_position_bucket(torch.from_numpy(distances), is_two_sided, 32, 128)
        found = distance_buckets(distances, 32, 128, is_two_sided=is_two_sided)
        np.testing.assert_array_equal(found, wanted.numpy())


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
