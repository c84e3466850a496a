"""Draws a T5 as two ONNX graphs: the encoder with what cross-attention needs of it, and one step of the decoder.

One sequence per run. Shapes: t tokens of the input, c places of the decoder's cache, h heads, d width of a head.
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

__all__ = ["T5Shape", "distance_buckets", "draw_decoder_step", "draw_t5_encoder", "t5_shape"]

FloatArray = npt.NDArray[np.float32]
_ACTIVATIONS = {"relu": ("Relu", ""), "gelu_new": ("FastGelu", CONTRIB), "gelu": ("Gelu", CONTRIB)}
_TO_THE_END = 2**31 - 1


@dataclass(frozen=True, slots=True)
class T5Shape:
    """Sizes of a T5.

    Attributes
    ----------
    layers, decoder_layers, width, heads, head_width, vocab_size
        As in the config.
    context_tokens
        Longest input, and longest answer.
    buckets, most_distance
        Of the relative positions.
    norm_epsilon, activation, is_gated
        Of norms and feed-forward parts.
    is_scaled
        Whether the decoder's states are divided by the root of the width before they are scored.
    """

    layers: int
    decoder_layers: int
    width: int
    heads: int
    head_width: int
    vocab_size: int
    context_tokens: int
    buckets: int
    most_distance: int
    norm_epsilon: float
    activation: str
    is_gated: bool
    is_scaled: bool


def t5_shape(config: Any, context_tokens: int) -> T5Shape:
    """Read the config of a T5.

    Raises
    ------
    ConfigError
        If its activation is unknown.
    """
    if config.dense_act_fn not in _ACTIVATIONS:
        raise ConfigError(
            "this T5's activation cannot be exported",
            given=f"dense_act_fn = {config.dense_act_fn}",
            todo=f"use a base with one of {', '.join(_ACTIVATIONS)}",
        )
    return T5Shape(
        layers=config.num_layers,
        decoder_layers=config.num_decoder_layers,
        width=config.d_model,
        heads=config.num_heads,
        head_width=config.d_kv,
        vocab_size=config.vocab_size,
        context_tokens=context_tokens,
        buckets=config.relative_attention_num_buckets,
        most_distance=config.relative_attention_max_distance,
        norm_epsilon=config.layer_norm_epsilon,
        activation=config.dense_act_fn,
        is_gated=config.is_gated_act,
        is_scaled=config.scale_decoder_outputs,
    )


def distance_buckets(
    distances: npt.NDArray[np.int64], buckets: int, most_distance: int, *, is_two_sided: bool
) -> npt.NDArray[np.int64]:
    """The bucket of each distance (key's place less query's), as T5 counts them: exact ones near, logarithmic far.

    Raffel et al. 2020, section 2.1, with the rounding of transformers (float32).
    """
    found = np.zeros_like(distances)
    if is_two_sided:
        buckets //= 2
        found += np.where(distances > 0, buckets, 0)
        sizes = np.abs(distances)
    else:
        sizes = -np.minimum(distances, 0)
    exact = buckets // 2
    share = np.log(np.maximum(sizes, 1).astype(np.float32) / np.float32(exact))
    share = share / np.float32(np.log(most_distance / exact)) * np.float32(buckets - exact)
    far = np.minimum(exact + share.astype(np.int64), buckets - 1)
    result: npt.NDArray[np.int64] = found + np.where(sizes < exact, sizes, far)
    return result


def draw_t5_encoder(pen: DecoderPen, shape: T5Shape, arrays: Mapping[str, FloatArray]) -> None:
    """Input ``ids`` (1, t); outputs per layer of the decoder ``cross.<i>.key`` and ``.value`` (1, h, t, d)."""
    pen.given("ids", "int64", [1, "t"])
    pen.table("shared", arrays["shared.weight"])
    stream = pen.look_up("shared", "ids", shape.width)
    bias = _two_sided_bias(pen, shape, arrays)
    for layer in range(shape.layers):
        name = f"encoder.block.{layer}.layer"
        normed = _norm(pen, shape, arrays, stream, f"{name}.0.layer_norm")
        own = f"{name}.0.SelfAttention"
        keys = [_heads(pen, shape, _linear(pen, arrays, f"{own}.{part}", normed)) for part in "kv"]
        stream = _attend(pen, shape, arrays, stream, normed, keys, bias, own)
        stream = _feed_forward(pen, shape, arrays, stream, f"{name}.1")
    states = _norm(pen, shape, arrays, stream, "encoder.final_layer_norm")
    for layer in range(shape.decoder_layers):
        for part, word in (("k", "key"), ("v", "value")):
            own = f"decoder.block.{layer}.layer.1.EncDecAttention.{part}"
            split = _heads(pen, shape, _linear(pen, arrays, own, states))
            pen.node("Identity", [split], name=f"cross.{layer}.{word}")
            pen.result(f"cross.{layer}.{word}", "float32", [1, shape.heads, "t", shape.head_width])


def draw_decoder_step(pen: DecoderPen, shape: T5Shape, arrays: Mapping[str, FloatArray]) -> None:
    """Inputs ``ids`` (1, 1), the encoder's outputs and the cache ``past.<i>...`` (1, h, c, d); outputs ``logits``
    (1, vocab_size) and the cache with one place more, ``present.<i>...``.
    """
    pen.given("ids", "int64", [1, 1])
    words = ("key", "value")
    for layer in range(shape.decoder_layers):
        for word in words:
            pen.given(f"past.{layer}.{word}", "float32", [1, shape.heads, "c", shape.head_width])
            pen.given(f"cross.{layer}.{word}", "float32", [1, shape.heads, "t", shape.head_width])
    pen.table("shared", arrays["shared.weight"])
    stream = pen.look_up("shared", "ids", shape.width)
    bias = _one_sided_bias(pen, shape, arrays)
    for layer in range(shape.decoder_layers):
        name = f"decoder.block.{layer}.layer"
        normed = _norm(pen, shape, arrays, stream, f"{name}.0.layer_norm")
        own = f"{name}.0.SelfAttention"
        grown = []
        for part, word in zip("kv", words, strict=True):
            new = _heads(pen, shape, _linear(pen, arrays, f"{own}.{part}", normed))
            present = f"present.{layer}.{word}"
            grown.append(pen.node("Concat", [f"past.{layer}.{word}", new], axis=2, name=present))
            pen.result(present, "float32", [1, shape.heads, "grown", shape.head_width])
        stream = _attend(pen, shape, arrays, stream, normed, grown, bias, own)
        normed = _norm(pen, shape, arrays, stream, f"{name}.1.layer_norm")
        cross = [f"cross.{layer}.{word}" for word in words]
        stream = _attend(pen, shape, arrays, stream, normed, cross, "", f"{name}.1.EncDecAttention")
        stream = _feed_forward(pen, shape, arrays, stream, f"{name}.2")
    states = pen.node(
        "Squeeze",
        [_norm(pen, shape, arrays, stream, "decoder.final_layer_norm"), pen.integers([1])],
    )
    if shape.is_scaled:
        scale = pen.weight("scale", np.array(shape.width**-0.5, dtype=np.float32))
        states = pen.node("Mul", [states, scale])
    head = "shared" if np.array_equal(arrays["lm_head.weight"], arrays["shared.weight"]) else "lm_head"
    pen.table(head, arrays[f"{head}.weight"])
    pen.score(head, states, (shape.vocab_size, shape.width), "logits")
    pen.result("logits", "float32", [1, shape.vocab_size])


def _linear(pen: DecoderPen, arrays: Mapping[str, FloatArray], name: str, states: str) -> str:
    return pen.matrix(name, states, arrays[f"{name}.weight"])


def _norm(pen: DecoderPen, shape: T5Shape, arrays: Mapping[str, FloatArray], states: str, name: str) -> str:
    gain = pen.weight(f"{name}.weight", arrays[f"{name}.weight"])
    return pen.node("SimplifiedLayerNormalization", [states, gain], axis=-1, epsilon=shape.norm_epsilon)


def _heads(pen: DecoderPen, shape: T5Shape, states: str) -> str:
    """(1, n, h * d) to (1, h, n, d)."""
    split = pen.node("Reshape", [states, pen.integers([0, 0, shape.heads, shape.head_width])])
    return pen.node("Transpose", [split], perm=[0, 2, 1, 3])


def _attend(
    pen: DecoderPen,
    shape: T5Shape,
    arrays: Mapping[str, FloatArray],
    stream: str,
    normed: str,
    keys_values: list[str],
    bias: str,
    name: str,
) -> str:
    """The stream and what attention adds to it; T5 does not scale the products."""
    queries = _heads(pen, shape, _linear(pen, arrays, f"{name}.q", normed))
    turned = pen.node("Transpose", [keys_values[0]], perm=[0, 1, 3, 2])
    scores = pen.node("MatMul", [queries, turned])
    if bias:
        scores = pen.node("Add", [scores, bias])
    mixed = pen.node("MatMul", [pen.node("Softmax", [scores], axis=-1), keys_values[1]])
    joined = pen.node("Transpose", [mixed], perm=[0, 2, 1, 3])
    joined = pen.node("Reshape", [joined, pen.integers([0, 0, shape.heads * shape.head_width])])
    return pen.node("Add", [stream, _linear(pen, arrays, f"{name}.o", joined)])


def _feed_forward(
    pen: DecoderPen, shape: T5Shape, arrays: Mapping[str, FloatArray], stream: str, name: str
) -> str:
    normed = _norm(pen, shape, arrays, stream, f"{name}.layer_norm")
    own = f"{name}.DenseReluDense"
    kind, domain = _ACTIVATIONS[shape.activation]
    first = f"{own}.wi_0" if shape.is_gated else f"{own}.wi"
    inner = pen.node(kind, [_linear(pen, arrays, first, normed)], domain=domain)
    if shape.is_gated:
        inner = pen.node("Mul", [inner, _linear(pen, arrays, f"{own}.wi_1", normed)])
    return pen.node("Add", [stream, _linear(pen, arrays, f"{own}.wo", inner)])


def _bias_table(
    shape: T5Shape, arrays: Mapping[str, FloatArray], part: str, distances: npt.NDArray[np.int64]
) -> FloatArray:
    """Shape (len(distances), h)."""
    table = arrays[f"{part}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    is_two_sided = part == "encoder"
    return table[distance_buckets(distances, shape.buckets, shape.most_distance, is_two_sided=is_two_sided)]


def _two_sided_bias(pen: DecoderPen, shape: T5Shape, arrays: Mapping[str, FloatArray]) -> str:
    """Bias of each head for each pair of places: (1, h, t, t)."""
    farthest = shape.context_tokens - 1
    distances = np.arange(-farthest, farthest + 1)
    table = pen.weight("distances", _bias_table(shape, arrays, "encoder", distances))
    count = pen.node("Squeeze", [pen.node("Shape", ["ids"], start=1, end=2)])
    zero, one = (pen.weight(f"number_{at}", np.array(at, dtype=np.int64)) for at in (0, 1))
    places = pen.node("Range", [zero, count, one])
    rows = pen.node("Unsqueeze", [places, pen.integers([1])])
    shifted = pen.node("Add", [pen.node("Sub", [places, rows]), pen.integers([farthest])])
    turned = pen.node("Transpose", [pen.node("Gather", [table, shifted])], perm=[2, 0, 1])
    return pen.node("Unsqueeze", [turned, pen.integers([0])])


def _one_sided_bias(pen: DecoderPen, shape: T5Shape, arrays: Mapping[str, FloatArray]) -> str:
    """Bias of each head for the places up to the new token's: (1, h, 1, c + 1)."""
    distances = np.arange(-(shape.context_tokens - 1), 1)
    table = pen.weight("distances", _bias_table(shape, arrays, "decoder", distances))
    count = pen.node("Add", [pen.node("Shape", ["past.0.key"], start=2, end=3), pen.integers([1])])
    ends = [pen.node("Neg", [count]), pen.integers([_TO_THE_END]), pen.integers([0])]
    turned = pen.node("Transpose", [pen.node("Slice", [table, *ends])], perm=[1, 0])
    return pen.node("Unsqueeze", [turned, pen.integers([0, 2])])
