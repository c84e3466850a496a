"""Draws a causal decoder (Llama, Mistral, Qwen2, Qwen3) as an ONNX graph of onnxruntime's fused operators.

The graph reads some tokens per sequence, adds their keys and values to a cache that the caller holds, and
scores the token after the last. Shapes: b sequences, t new tokens, c places of the cache, d width of a head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.errors import ConfigError
from understudy.export.decoder_pen import DecoderPen
from understudy.export.graph import CONTRIB
from understudy.export.head_padding import padded_columns, padded_rows, padded_width

__all__ = ["CausalShape", "causal_shape", "draw_causal"]

FloatArray = npt.NDArray[np.float32]
_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_EMBEDDING = "model.embed_tokens"
_HEAD = "lm_head"


@dataclass(frozen=True, slots=True)
class CausalShape:
    """Sizes of a causal decoder.

    Attributes
    ----------
    layers, width, heads, kv_heads, head_width, vocab_size
        As in the config of the checkpoint.
    context_tokens
        Longest sequence that is read.
    norm_epsilon, rope_theta
        Constants of the norms and of the rotary positions.
    is_tied
        Whether the output matrix is the embedding.
    has_head_norms
        Whether queries and keys are normalised per head (Qwen3).
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    vocab_size: int
    context_tokens: int
    norm_epsilon: float
    rope_theta: float
    is_tied: bool
    has_head_norms: bool

    @property
    def cache_width(self) -> int:
        """Width of a head in the graph, where heads are filled up with zeros."""
        return padded_width(self.head_width)


def causal_shape(config: Any, most_context_tokens: int) -> CausalShape:
    """Read the config of a transformers model.

    Raises
    ------
    ConfigError
        If the model is of another family, or has rotary positions that are scaled.
    """
    family = config.model_type
    if family not in _FAMILIES:
        is_mixture = getattr(config, "experts", None) is not None or hasattr(config, "num_experts")
        raise ConfigError(
            "a mixture of experts cannot be exported" if is_mixture else "this decoder cannot be exported",
            given=f"model_type = {family}",
            todo=f"use a dense base of one of these types: {', '.join(_FAMILIES)} or t5",
        )
    rope = config.rope_parameters
    if rope["rope_type"] != "default" or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise ConfigError(
            "a decoder with scaled or partial rotary positions cannot be exported",
            given=f"rope_parameters = {dict(rope)}",
            todo="use a base with plain rotary positions",
        )
    if config.hidden_act != "silu":
        raise ConfigError("a decoder's activation must be silu", given=f"hidden_act = {config.hidden_act}")
    window = getattr(config, "sliding_window", None)
    contexts = [config.max_position_embeddings, most_context_tokens, *([window] if window else [])]
    return CausalShape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_width=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        vocab_size=config.vocab_size,
        # Within one window a sliding window hides nothing.
        context_tokens=min(contexts),
        norm_epsilon=config.rms_norm_eps,
        rope_theta=float(rope["rope_theta"]),
        is_tied=bool(config.tie_word_embeddings),
        has_head_norms=family == "qwen3",
    )


def draw_causal(pen: DecoderPen, shape: CausalShape, arrays: Mapping[str, FloatArray]) -> None:
    """Draw the whole decoder.

    Parameters
    ----------
    pen
        Collects the graph. Inputs: ``ids`` (b, t), ``lengths`` (b,) tokens of each sequence with the new ones,
        less one, ``longest`` () the largest number of tokens, and per layer the cache ``past.<i>.key`` and
        ``past.<i>.value`` (b, kv_heads, c, d). Outputs: ``logits`` (b, vocab_size) and the grown cache
        ``present.<i>...``.
    arrays
        The weights by their names in the checkpoint.
    """
    pen.given("ids", "int64", ["b", "t"])
    pen.given("lengths", "int32", ["b"])
    pen.given("longest", "int32", [])
    pen.result("logits", "float32", ["b", shape.vocab_size])
    _draw_rotations(pen, shape)
    pen.table(_EMBEDDING, arrays[f"{_EMBEDDING}.weight"])
    stream, change = pen.look_up(_EMBEDDING, "ids", shape.width), ""
    for layer in range(shape.layers):
        name = f"model.layers.{layer}"
        stream, normed = _norm(pen, shape, stream, change, arrays, f"{name}.input_layernorm")
        mixed = _attention(pen, shape, arrays, normed, layer)
        stream, normed = _norm(pen, shape, stream, mixed, arrays, f"{name}.post_attention_layernorm")
        change = _feed_forward(pen, arrays, normed, f"{name}.mlp")
    # Only the last token's states are scored.
    stream, change = (pen.node("Gather", [one, pen.integers([-1])], axis=1) for one in (stream, change))
    _, normed = _norm(pen, shape, stream, change, arrays, "model.norm")
    last = pen.node("Squeeze", [normed, pen.integers([1])])
    head = _EMBEDDING if shape.is_tied else _HEAD
    pen.table(head, arrays[f"{head}.weight"])
    pen.score(head, last, (shape.vocab_size, shape.width), "logits")


def _draw_rotations(pen: DecoderPen, shape: CausalShape) -> None:
    """Cosines and sines, shape (context_tokens, d / 2), in float32 as transformers computes them.

    Places added to a head turn by some angle too; they are 0.
    """
    exponents = np.arange(0, shape.head_width, 2, dtype=np.float32) / np.float32(shape.head_width)
    frequencies = (1.0 / np.power(np.float32(shape.rope_theta), exponents)).astype(np.float32)
    angles = np.arange(shape.context_tokens, dtype=np.float32)[:, None] * frequencies
    angles = np.pad(angles, ((0, 0), (0, (shape.cache_width - shape.head_width) // 2)))
    pen.weight("cos", np.cos(angles))
    pen.weight("sin", np.sin(angles))


def _norm(
    pen: DecoderPen,
    shape: CausalShape,
    stream: str,
    change: str,
    arrays: Mapping[str, FloatArray],
    name: str,
) -> tuple[str, str]:
    """``stream + change`` and its RMS norm."""
    gain = pen.weight(f"{name}.weight", arrays[f"{name}.weight"])
    if not change:
        normed = pen.node("SimplifiedLayerNormalization", [stream, gain], axis=-1, epsilon=shape.norm_epsilon)
        return stream, normed
    normed, _, _, total = pen.named(
        "SkipSimplifiedLayerNormalization",
        [stream, change, gain],
        [f"{name}.normed", "", "", f"{name}.total"],
        domain=CONTRIB,
        epsilon=shape.norm_epsilon,
    )
    return total, normed


def _attention(
    pen: DecoderPen, shape: CausalShape, arrays: Mapping[str, FloatArray], normed: str, layer: int
) -> str:
    name = f"model.layers.{layer}.self_attn"
    width = shape.cache_width
    parts = [padded_rows(arrays[f"{name}.{part}_proj.weight"], shape.head_width) for part in "qkv"]
    weights = np.concatenate(parts)
    bias = None
    if f"{name}.q_proj.bias" in arrays:
        biases = [padded_rows(arrays[f"{name}.{part}_proj.bias"], shape.head_width) for part in "qkv"]
        bias = np.concatenate(biases)
    joint = pen.matrix(f"{name}.qkv", normed, weights, bias)
    queries = [joint, "", ""]
    if shape.has_head_norms:
        counts = [shape.heads, shape.kv_heads, shape.kv_heads]
        sizes = pen.integers([count * width for count in counts])
        query, key, value = pen.nodes("Split", [joint, sizes], 3, axis=-1)
        queries = [
            _head_norm(pen, shape, query, shape.heads, arrays, f"{name}.q_norm"),
            _head_norm(pen, shape, key, shape.kv_heads, arrays, f"{name}.k_norm"),
            value,
        ]
    cache: list[int | str] = ["b", shape.kv_heads, "c", width]
    past = [pen.given(f"past.{layer}.{part}", "float32", cache) for part in ("key", "value")]
    mixed, key, value = pen.named(
        "GroupQueryAttention",
        [*queries, *past, "lengths", "longest", "cos", "sin"],
        [f"mixed.{layer}", f"present.{layer}.key", f"present.{layer}.value"],
        domain=CONTRIB,
        num_heads=shape.heads,
        kv_num_heads=shape.kv_heads,
        do_rotary=1,
        scale=shape.head_width**-0.5,
    )
    for one in (key, value):
        pen.result(one, "float32", cache)
    output = f"{name}.o_proj"
    columns = padded_columns(arrays[f"{output}.weight"], shape.head_width)
    return pen.matrix(output, mixed, columns, arrays.get(f"{output}.bias"))


def _head_norm(
    pen: DecoderPen,
    shape: CausalShape,
    states: str,
    heads: int,
    arrays: Mapping[str, FloatArray],
    name: str,
) -> str:
    width = shape.cache_width
    split = pen.node("Reshape", [states, pen.integers([0, 0, heads, width])])
    # The mean of squares is taken over the added zeros too: it comes out smaller by `share`.
    share = shape.head_width / width
    gain = pen.weight(
        f"{name}.weight", padded_rows(arrays[f"{name}.weight"] * np.float32(share**0.5), shape.head_width)
    )
    normed = pen.node(
        "SimplifiedLayerNormalization", [split, gain], axis=-1, epsilon=shape.norm_epsilon * share
    )
    return pen.node("Reshape", [normed, pen.integers([0, 0, heads * width])])


def _feed_forward(pen: DecoderPen, arrays: Mapping[str, FloatArray], normed: str, name: str) -> str:
    def linear(part: str, states: str) -> str:
        own = f"{name}.{part}_proj"
        return pen.matrix(own, states, arrays[f"{own}.weight"], arrays.get(f"{own}.bias"))

    gate = pen.node("QuickGelu", [linear("gate", normed)], domain=CONTRIB, alpha=1.0)
    return linear("down", pen.node("Mul", [gate, linear("up", normed)]))
