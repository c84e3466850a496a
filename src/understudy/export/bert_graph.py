"""Draws an encoder of the BERT family as an ONNX graph of onnxruntime's fused operators, pooling and heads
inside.

One text per run, so there is no padding and no attention mask in it. Written by hand because the general
exporters leave attention unfused here (measured in ``docs/decisions/0002-encoder-export.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from understudy.export.encoder_weights import EncoderWeights
from understudy.export.graph import CONTRIB, WEIGHT_LEVELS, GraphPen, quantise_rows

__all__ = ["Pooling", "ReadOut", "draw_encoder"]

FloatArray = npt.NDArray[np.float32]
Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, slots=True)
class ReadOut:
    """What is computed from the hidden states.

    Attributes
    ----------
    pooling
        How a layer's token states become one vector.
    layers
        Which layers are pooled and laid side by side; 0 is the embedding layer.
    is_normalised
        Whether each pooled layer is scaled to length 1.
    hidden
        Weights (h, features) and bias (h,) of a hidden layer (GELU) between features and ``row``, or ``None``.
    row
        Weights (r, w) and bias (r,) of the output ``row`` (1, r), on the features or, where there is a hidden
        layer, on that (w = h) or on both side by side (w = features + h); ``None`` makes the features themselves
        the output ``row``.
    token
        Weights (k, width) and bias (k,) of the output ``token`` (1, t, k), from the last layer's states.
    """

    pooling: Pooling
    layers: tuple[int, ...]
    is_normalised: bool = False
    hidden: tuple[FloatArray, FloatArray] | None = None
    row: tuple[FloatArray, FloatArray] | None = None
    token: tuple[FloatArray, FloatArray] | None = None


def draw_encoder(
    weights: EncoderWeights, read_out: ReadOut, *, is_quantised: bool, max_tokens: int | None = None
) -> bytes:
    """The serialised model, in int8 or in float32.

    Parameters
    ----------
    weights, read_out
        The encoder and what is computed from it.
    is_quantised
        Whether weights are int8 (heads float16) or float32.
    max_tokens
        Longest input it will be given; position rows beyond are left out.
    """
    pen = GraphPen(is_quantised=is_quantised)
    states = [_embed(pen, weights, max_tokens)]
    for layer in range(weights.shape.layers):
        states.append(_layer(pen, weights, states[-1], f"encoder.layer.{layer}"))
    pooled = [_pool(pen, states[layer], read_out) for layer in read_out.layers]
    features = pooled[0] if len(pooled) == 1 else pen.node("Concat", pooled, axis=1)
    outputs: dict[str, list[int | str]] = {}
    if read_out.row is None:
        pen.node("Identity", [features], name="row")
        outputs["row"] = [1, weights.shape.width * len(read_out.layers)]
    elif len(read_out.row[1]):
        row_weights, bias = read_out.row
        if read_out.hidden is not None:
            features = _hidden(
                pen, features, *read_out.hidden, is_beside=row_weights.shape[1] > len(read_out.hidden[1])
            )
        inputs = [features, pen.small_weight("row.weight", row_weights), pen.weight("row.bias", bias)]
        pen.node("Gemm", inputs, name="row", transB=1)
        outputs["row"] = [1, len(bias)]
    if read_out.token is not None and len(read_out.token[1]):
        token_weights, bias = read_out.token
        product = pen.node("MatMul", [states[-1], pen.small_weight("token.weight", token_weights.T)])
        pen.node("Add", [product, pen.weight("token.bias", bias)], name="token")
        outputs["token"] = [1, "t", len(bias)]
    return pen.finish(["ids", "types"] if weights.has_types else ["ids"], outputs)


def _hidden(pen: GraphPen, features: str, weights: FloatArray, bias: FloatArray, *, is_beside: bool) -> str:
    # Int8 in the file only: one row of half a million products takes hundredths of a millisecond in float.
    inputs = [features, pen.small_table("hidden.weight", weights), pen.weight("hidden.bias", bias)]
    inner = pen.node("Gelu", [pen.node("Gemm", inputs, transB=1)], domain=CONTRIB)
    return pen.node("Concat", [features, inner], axis=1) if is_beside else inner


def _embed(pen: GraphPen, weights: EncoderWeights, max_tokens: int | None) -> str:
    arrays, shape = weights.arrays, weights.shape
    words = pen.embedding("words", arrays["embeddings.word_embeddings.weight"], "ids")
    table = arrays["embeddings.position_embeddings.weight"][shape.first_position :][:max_tokens]
    count = pen.node("Shape", ["ids"], start=1, end=2)
    zero = pen.weight("zero", np.array([0], dtype=np.int64))
    places = pen.node("Slice", [pen.small_table("positions", table), zero, count])
    total = pen.node("Add", [words, places])
    if weights.has_types:
        types = pen.weight("types.table", arrays["embeddings.token_type_embeddings.weight"])
        total = pen.node("Add", [total, pen.node("Gather", [types, "types"])])
    gain, offset = weights.pair("embeddings.LayerNorm")
    inputs = [total, pen.weight("embed.norm.weight", gain), pen.weight("embed.norm.bias", offset)]
    return pen.node("LayerNormalization", inputs, axis=-1, epsilon=shape.norm_epsilon)


def _layer(pen: GraphPen, weights: EncoderWeights, given: str, name: str) -> str:
    shape = weights.shape
    context = _attention(pen, weights, given, name)
    mixed = pen.linear(f"{name}.mix", context, *weights.pair(f"{name}.attention.output.dense"))
    after = _add_and_norm(pen, weights, mixed, given, f"{name}.attention.output.LayerNorm")
    inner = pen.linear(f"{name}.inner", after, *weights.pair(f"{name}.intermediate.dense"))
    domain = "" if shape.activation == "Relu" else CONTRIB
    inner = pen.node(shape.activation, [inner], domain=domain)
    outer = pen.linear(f"{name}.outer", inner, *weights.pair(f"{name}.output.dense"))
    return _add_and_norm(pen, weights, outer, after, f"{name}.output.LayerNorm")


def _attention(pen: GraphPen, weights: EncoderWeights, given: str, name: str) -> str:
    pairs = [weights.pair(f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
    joint = np.concatenate([weight for weight, _ in pairs])
    bias = pen.weight(f"{name}.qkv.bias", np.concatenate([bias for _, bias in pairs]))
    heads = weights.shape.heads
    if not pen.is_quantised:
        inputs = [given, pen.weight(f"{name}.qkv.weight", joint.T), bias]
        return pen.node("Attention", inputs, domain=CONTRIB, num_heads=heads)
    rows, scale = quantise_rows(joint, WEIGHT_LEVELS)
    data, data_scale, data_zero = pen.nodes("DynamicQuantizeLinear", [given], 3)
    inputs = [
        data,
        pen.weight(f"{name}.qkv.rows", rows.T),
        bias,
        data_scale,
        pen.weight(f"{name}.qkv.scale", scale),
        "",
        data_zero,
        pen.weight(f"{name}.qkv.zero", np.zeros(len(rows), dtype=np.int8)),
    ]
    return pen.node("QAttention", inputs, domain=CONTRIB, num_heads=heads)


def _add_and_norm(pen: GraphPen, weights: EncoderWeights, given: str, skipped: str, name: str) -> str:
    gain, offset = weights.pair(name)
    inputs = [given, skipped, pen.weight(f"{name}.weight", gain), pen.weight(f"{name}.bias", offset)]
    return pen.node("SkipLayerNormalization", inputs, domain=CONTRIB, epsilon=weights.shape.norm_epsilon)


def _pool(pen: GraphPen, states: str, read_out: ReadOut) -> str:
    if read_out.pooling == "mean":
        axis = pen.weight(f"{states}.pool", np.array([1], dtype=np.int64))
        pooled = pen.node("ReduceMean", [states, axis], keepdims=0)
    else:
        first = pen.weight(f"{states}.pool", np.array(0, dtype=np.int64))
        pooled = pen.node("Gather", [states, first], axis=1)
    return pen.node("LpNormalization", [pooled], axis=1, p=2) if read_out.is_normalised else pooled
