"""GGUF files hold the model's weights, and llama.cpp computes with them what transformers does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from tiny_gguf import CLASSES, tiny_causal, tiny_tokeniser
from understudy.errors import ConfigError, MissingDependencyError
from understudy.export.gguf_file import export_gguf
from understudy.lm.config import DecoderConfig, ExpertsConfig
from understudy.lm.decoder import build_decoder
from understudy.lm.tokeniser import end_id
from understudy.runtime.gguf_decoder import GgufDecoder

TOKENISER = tiny_tokeniser()
END = end_id(TOKENISER)
PROMPT = [5, 71, 300, 9, 9, 123, 64, 200, 11]
has_llama = pytest.mark.usefixtures("llama")


@pytest.fixture(scope="session")
def llama() -> None:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (the extra gguf)")


def stored(path: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def gap(model: Any, folder: Path, settings: dict[str, Any]) -> float:
    """Length of the difference of scores to transformers', over the scores' length."""
    with torch.no_grad():
        expected = model(torch.tensor([PROMPT])).logits[0, -1].numpy()
    found = GgufDecoder.load(folder, settings).start([PROMPT]).logits[0]
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_halves_are_the_models_weights_with_heads_in_pairs(tmp_path: Path) -> None:
    model = tiny_causal()
    settings = export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="f16")
    found = stored(tmp_path / "model.gguf")
    assert "output.weight" not in found  # tied: llama.cpp takes the embedding
    state = model.state_dict()
    embedding = state["model.embed_tokens.weight"].half().numpy()
    assert np.array_equal(found["token_embd.weight"].data, embedding)
    queries = state["model.layers.1.self_attn.q_proj.weight"].half().numpy()
    written = found["blk.1.attn_q.weight"].data
    assert np.array_equal(written[0], queries[0])
    assert np.array_equal(written[1], queries[32])  # half a head of 64 further down
    assert np.array_equal(written[64], queries[64])
    assert np.array_equal(
        found["blk.0.ffn_norm.weight"].data, state["model.layers.0.post_attention_layernorm.weight"]
    )
    parameters = sum(values.numel() for values in model.parameters())
    assert sum(one["parameters"] for one in settings["types"].values()) == parameters
    assert settings["size_bytes"] == (tmp_path / "model.gguf").stat().st_size
    assert settings["vocab_size"] == 320
    assert settings["context_tokens"] == 1024


def test_untied_output_is_written(tmp_path: Path) -> None:
    model = tiny_causal(tie_word_embeddings=False)
    export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="f32")
    assert np.array_equal(
        stored(tmp_path / "model.gguf")["output.weight"].data, model.lm_head.weight.detach()
    )


def test_rows_that_blocks_do_not_divide_stay_halves(tmp_path: Path) -> None:
    model = tiny_causal(hidden_size=40, num_attention_heads=2, num_key_value_heads=1, head_dim=20)
    settings = export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="q8_0")
    kinds = {name: tensor.tensor_type.name for name, tensor in stored(tmp_path / "model.gguf").items()}
    assert kinds["blk.0.attn_q.weight"] == "F16"
    assert kinds["blk.0.ffn_down.weight"] == "Q8_0"
    assert set(settings["types"]) == {"F32", "F16", "Q8_0"}


@pytest.mark.parametrize("kind", CLASSES)
@has_llama
def test_llama_computes_what_transformers_does(kind: str, tmp_path: Path) -> None:
    model = tiny_causal(kind)
    settings = export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="f32")
    assert gap(model, tmp_path, settings) < 2e-3  # llama.cpp's cache is of halves


@pytest.mark.parametrize(
    "changes",
    [
        {"attention_bias": True},
        {"head_dim": 32},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}},
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ],
    ids=["biases", "narrow heads", "linear", "llama3"],
)
@has_llama
def test_llama_computes_variants(changes: dict[str, Any], tmp_path: Path) -> None:
    model = tiny_causal(**changes)
    settings = export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="f32")
    assert gap(model, tmp_path, settings) < 2e-3


@pytest.mark.parametrize(
    ("quantisation", "most"), [("f16", 3e-3), ("q8_0", 0.05), ("q6_k", 0.1), ("q4_k_m", 0.35), ("q4_0", 0.5)]
)
@has_llama
def test_fewer_bits_are_close_and_smaller(quantisation: str, most: float, tmp_path: Path) -> None:
    model = tiny_causal()
    settings = export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation=quantisation)
    assert gap(model, tmp_path, settings) < most
    assert not list(tmp_path.glob("*.f32"))
    if quantisation == "q4_k_m":
        assert {"Q4_K", "Q6_K"} <= set(settings["types"])
        matrices = [one for kind, one in settings["types"].items() if kind != "F32"]
        assert sum(one["bytes"] for one in matrices) < 0.4 * 2 * sum(one["parameters"] for one in matrices)


@has_llama
def test_narrow_models_report_what_they_got_instead(tmp_path: Path) -> None:
    config = DecoderConfig(
        vocab_size=320, d_model=96, n_layers=1, n_heads=3, n_kv_heads=3, d_ff=128, context_tokens=64
    )
    model = build_decoder(config, seed=0)
    types = export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="q4_k_m")["types"]
    assert "Q4_K" not in types
    assert "Q5_0" in types


def test_what_llama_cannot_compute_is_refused(tmp_path: Path) -> None:
    shape = DecoderConfig(
        vocab_size=320,
        d_model=32,
        n_layers=1,
        n_heads=2,
        n_kv_heads=2,
        d_ff=32,
        context_tokens=64,
        experts=ExpertsConfig(n_experts=2, n_active=1, d_expert=32),
    )
    with pytest.raises(ConfigError, match="models of type llama"):
        export_gguf(build_decoder(shape, seed=0), TOKENISER, tmp_path, end_id=END, quantisation="f16")
    with pytest.raises(ConfigError, match="SwiGLU"):
        export_gguf(tiny_causal(hidden_act="gelu"), TOKENISER, tmp_path, end_id=END, quantisation="f16")
    yarn = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 2.0, "original_max_position_embeddings": 64}
    with pytest.raises(ConfigError, match="rotary"):
        export_gguf(tiny_causal(rope_parameters=yarn), TOKENISER, tmp_path, end_id=END, quantisation="f16")


def test_mistakes_are_named(tmp_path: Path) -> None:
    model = tiny_causal()
    with pytest.raises(ConfigError, match="quantisation must be one of f32"):
        export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="q4")
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = 1e5
    with pytest.raises(ConfigError, match="too large for f16"):
        export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="f16")
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(ConfigError, match="no number"):
        export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="q8_0")


def test_a_sliding_window_bounds_the_context(tmp_path: Path) -> None:
    model = tiny_causal("mistral", sliding_window=128)
    settings = export_gguf(model, TOKENISER, tmp_path, end_id=END, quantisation="f16")
    assert settings["context_tokens"] == 128


def test_without_the_package_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'understudy\[gguf\]'"):
        export_gguf(tiny_causal(), TOKENISER, tmp_path, end_id=END, quantisation="f16")
