"""Names, shapes and values of a transformers model as llama.cpp expects them in a GGUF file.

Knows neither the file's layout nor quantisation. The correspondence is that of llama.cpp's
``convert_hf_to_gguf.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.errors import ConfigError

__all__ = ["GgufModel", "gguf_model"]

_ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
_GLOBAL = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_IN_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")
_ROPE_FACTORS = "rope_freqs.weight"

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GgufModel:
    """What of a model goes into a file.

    Attributes
    ----------
    architecture
        llama.cpp's name for what is computed.
    vocab_size, context_tokens
        Columns of the scores; longest sequence.
    keys
        Metadata by their full names.
    shapes
        Shapes (rows first) by tensor name, in the order of the file.
    """

    architecture: str
    vocab_size: int
    context_tokens: int
    keys: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    sources: dict[str, str]
    state: Mapping[str, Any]
    heads: dict[str, int]
    rope_factors: FloatArray | None

    def read(self, name: str) -> FloatArray:
        """Values of the tensor `name`, float32 and contiguous."""
        if name == _ROPE_FACTORS:
            assert self.rope_factors is not None
            return self.rope_factors
        values: FloatArray = self.state[self.sources[name]].detach().float().cpu().numpy()
        n_heads = self.heads.get(name.split(".")[-2])
        return np.ascontiguousarray(values if n_heads is None else _interleaved(values, n_heads))


def gguf_model(model: Any) -> GgufModel:
    """Describe `model`, a causal model of transformers.

    Raises
    ------
    ConfigError
        If llama.cpp could not compute what it does.
    """
    config = model.config
    architecture = _ARCHITECTURES.get(config.model_type)
    if architecture is None:
        raise ConfigError(
            f"GGUF is written for models of type {', '.join(_ARCHITECTURES)}",
            given=f"a model of type {config.model_type}",
            todo="export it as ONNX",
        )
    _check(config)
    state = model.state_dict()
    sources = _sources(state, is_tied=bool(config.tie_word_embeddings))
    shapes = {name: tuple(state[source].shape) for name, source in sources.items()}
    factors = _rope_factors(model, architecture)
    if factors is not None:
        shapes[_ROPE_FACTORS] = factors.shape
    # llama.cpp turns neighbouring pairs of a head in this architecture, and halves in the others, as
    # transformers does in all.
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    context = _context_tokens(config)
    return GgufModel(
        architecture=architecture,
        vocab_size=shapes["token_embd.weight"][0],
        context_tokens=context,
        keys=_keys(config, architecture, context, shapes["token_embd.weight"][0]),
        shapes=shapes,
        sources=sources,
        state=state,
        heads=heads if architecture == "llama" else {},
        rope_factors=factors,
    )


def _check(config: Any) -> None:
    act = config.hidden_act
    if act not in ("silu", "swish"):
        raise ConfigError(
            "llama.cpp computes SwiGLU here", given=f"hidden_act = {act!r}", todo="export as ONNX"
        )
    if getattr(config, "mlp_bias", False):
        raise ConfigError(
            "llama.cpp has no biases in the feed-forward part", given="mlp_bias = True", todo="export as ONNX"
        )


def _context_tokens(config: Any) -> int:
    """Longest sequence; never beyond a sliding window, which the file does not have."""
    context = int(config.max_position_embeddings)
    window = getattr(config, "sliding_window", None)
    if window is None or not getattr(config, "use_sliding_window", True):
        return context
    return min(context, int(window))


def _sources(state: Mapping[str, Any], *, is_tied: bool) -> dict[str, str]:
    """The model's names by the file's."""
    sources = {}
    for source in state:
        if source == "lm_head.weight" and is_tied:
            continue
        found = _LAYER.fullmatch(source)
        if found is not None and found[2] in _IN_LAYER:
            sources[f"blk.{found[1]}.{_IN_LAYER[found[2]]}.{found[3]}"] = source
        elif source in _GLOBAL:
            sources[_GLOBAL[source]] = source
        else:
            raise ConfigError(
                "the model has a weight that has no place in a GGUF file",
                given=source,
                todo="merge adapters and undo quantisation first",
            )
    return sources


def _keys(config: Any, architecture: str, context: int, vocab_size: int) -> dict[str, Any]:
    width = _head_width(config)
    keys = {
        "vocab_size": vocab_size,
        "context_length": context,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "rope.dimension_count": width,
        "rope.freq_base": float(config.rope_parameters["rope_theta"]),
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": width,
        "attention.value_length": width,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
    }
    return {f"{architecture}.{key}": value for key, value in keys.items()}


def _head_width(config: Any) -> int:
    width = getattr(config, "head_dim", None)
    return int(config.hidden_size // config.num_attention_heads if width is None else width)


def _rope_factors(model: Any, architecture: str) -> FloatArray | None:
    """What the rotary frequencies are divided by; ``None`` for plain ones."""
    config = model.config
    kind = config.rope_parameters.get("rope_type", "default")
    if kind == "default":
        return None
    if kind not in ("linear", "llama3") or architecture != "llama":
        raise ConfigError(
            "GGUF is written with plain rotary positions, or for llama with linear or llama3 scaling",
            given=f"rope_type = {kind!r} in a model of type {config.model_type}",
            todo="export it as ONNX",
        )
    width = _head_width(config)
    theta = float(config.rope_parameters["rope_theta"])
    plain = theta ** -(np.arange(0, width, 2, dtype=np.float64) / width)
    scaled = model.model.rotary_emb.inv_freq.double().cpu().numpy()
    factors: FloatArray = (plain / scaled).astype(np.float32)
    return factors


def _interleaved(values: FloatArray, n_heads: int) -> FloatArray:
    """Rows of each head reordered from (first halves, second halves) to pairs."""
    halves = values.reshape(n_heads, 2, values.shape[0] // n_heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)
