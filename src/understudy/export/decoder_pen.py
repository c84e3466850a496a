"""The pen for decoder graphs: weights in float32, or as block-wise integers of 8 or 4 bits.

Only weights are rounded in the file. A block of BLOCK weights along the input shares one scale, so that one
large weight does not cost its whole row the precision. In the product onnxruntime rounds the activations to 8
bits too, per row and block: what a sequence gets does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.export.graph import CONTRIB, GraphPen

__all__ = ["BLOCK", "DecoderPen", "quantise_blocks"]

BLOCK = 32
"""Weights that share a scale."""
_BITS = {"float32": 32, "int8": 8, "int4": 4}
_INTEGER_PRODUCTS = 4
"""onnxruntime's accuracy level with 8-bit activations; the others grow the weights back to float first."""
_TRIED_SHARES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
_MOST_INLINE_BYTES = 1_900_000_000
"""A protocol buffer holds 2 GB at most; larger weights go to a file beside it."""
_OPSET = 21
_IR_VERSION = 10

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]


def quantise_blocks(weights: FloatArray, bits: int) -> tuple[ByteArray, FloatArray]:
    """Round to nearest, symmetric per block: shapes (n, k) to (n, k / BLOCK, BLOCK * bits / 8) and (n, k / BLOCK).

    `k` is filled up with zeros to whole blocks. An integer `q` stands for ``(q - 2 ** (bits - 1)) * scale``.
    The scale is signed, so that the weight of largest size falls on the end of the range that has one integer
    more; with 4 bits smaller scales are tried too, which cut that weight off where this makes the block's sum of
    squared errors smaller. What is lost: a weight is off by at most half a scale, or by what is cut off, where
    ``scale <= max|block| / 2 ** (bits - 1)``.
    """
    n, k = weights.shape
    blocks = -(-k // BLOCK)
    filled = np.zeros((n, blocks * BLOCK), dtype=np.float32)
    filled[:, :k] = weights
    grid = filled.reshape(n, blocks, BLOCK)
    middle = 1 << (bits - 1)
    at = np.abs(grid).argmax(axis=2)[..., None]
    scale = np.take_along_axis(grid, at, axis=2) / -middle
    widest = np.where(scale == 0, np.float32(1), scale)
    best, integers = widest, _round(grid, widest, middle)
    if bits == 4:
        least = _squared_error(grid, integers, best, middle)
        for share in _TRIED_SHARES:
            tried = widest * np.float32(share)
            rounded = _round(grid, tried, middle)
            error = _squared_error(grid, rounded, tried, middle)
            is_better = error < least
            least = np.where(is_better, error, least)
            best, integers = np.where(is_better, tried, best), np.where(is_better, rounded, integers)
        integers = np.bitwise_or(integers[..., 0::2], integers[..., 1::2] * np.uint8(16))
    return np.ascontiguousarray(integers), best[..., 0].astype(np.float32)


def _round(grid: FloatArray, scale: FloatArray, middle: int) -> ByteArray:
    rounded: ByteArray = np.clip(np.rint(grid / scale) + middle, 0, 2 * middle - 1).astype(np.uint8)
    return rounded


def _squared_error(grid: FloatArray, integers: ByteArray, scale: FloatArray, middle: int) -> FloatArray:
    off = (integers.astype(np.float32) - np.float32(middle)) * scale - grid
    summed: FloatArray = np.square(off).sum(axis=2, keepdims=True)
    return summed


class DecoderPen(GraphPen):
    """Collects nodes and weights of a decoder's graph.

    Parameters
    ----------
    precision
        How matrices are stored: ``float32``, ``int8`` or ``int4``.
    """

    def __init__(self, precision: str) -> None:
        super().__init__(is_quantised=precision != "float32")
        self._bits = _BITS[precision]
        # The embedding and the output matrix suffer most from 4 bits.
        self._table_bits = max(self._bits, 8)
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._tables: dict[str, tuple[str, str]] = {}

    def given(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """Declare an input; `kind` is ``int32``, ``int64`` or ``float32``."""
        self._inputs.append(_declare(name, kind, shape))
        return name

    def result(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """Declare an output."""
        self._outputs.append(_declare(name, kind, shape))
        return name

    def named(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str, **settings: Any
    ) -> list[str]:
        """Add a node whose outputs have the given names; "" leaves one out."""
        from onnx import helper

        self._nodes.append(
            helper.make_node(kind, list(inputs), list(outputs), name=outputs[0], domain=domain, **settings)
        )
        return list(outputs)

    def integers(self, values: Sequence[int]) -> str:
        """A constant list of int64; equal lists are stored once."""
        name = "integers_" + "_".join(str(value) for value in values)
        if name not in self._tables:
            self.weight(name, np.array(values, dtype=np.int64))
            self._tables[name] = (name, "")
        return name

    def table(self, name: str, weights: FloatArray) -> None:
        """Store a matrix (rows, width) that is both looked up and multiplied with."""
        if name in self._tables:
            return
        if self._table_bits == 32:
            self._tables[name] = (self.weight(f"{name}.weight", weights), "")
            return
        rows, scale = quantise_blocks(weights, self._table_bits)
        flat = rows.reshape(len(rows), -1)
        self._tables[name] = (
            self.weight(f"{name}.rows", flat),
            self.weight(f"{name}.scale", scale),
        )

    def look_up(self, name: str, ids: str, width: int) -> str:
        """Rows of a stored table: `ids` (b, t) to (b, t, width)."""
        rows, scale = self._tables[name]
        if self._table_bits == 32:
            return self.node("Gather", [rows, ids])
        inputs = [rows, ids, scale]
        found = self.node(
            "GatherBlockQuantized",
            inputs,
            domain=CONTRIB,
            bits=self._table_bits,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )
        if width % BLOCK == 0:
            return found
        ends = [self.integers([0]), self.integers([width]), self.integers([2])]
        return self.node("Slice", [found, *ends])

    def score(self, name: str, states: str, shape: tuple[int, int], output: str) -> str:
        """``states @ table.T`` (b, rows) of a stored table of `shape` (rows, width)."""
        rows, scale = self._tables[name]
        if self._table_bits == 32:
            return self.node("Gemm", [states, rows], name=output, transB=1)
        n, k = shape
        blocks = -(-k // BLOCK)
        grid = self.node("Reshape", [rows, self.integers([n, blocks, BLOCK * self._table_bits // 8])])
        return self._product(states, grid, scale, (n, k, self._table_bits), "", output)

    def matrix(self, name: str, states: str, weights: FloatArray, bias: FloatArray | None = None) -> str:
        """``states @ weights.T + bias``; `weights` of shape (out, in)."""
        stored_bias = "" if bias is None else self.weight(f"{name}.bias", bias)
        if self._bits == 32:
            product = self.node("MatMul", [states, self.weight(f"{name}.weight", weights.T)])
            return self.node("Add", [product, stored_bias]) if stored_bias else product
        rows, scale = quantise_blocks(weights, self._bits)
        n, k = weights.shape
        inputs = (self.weight(f"{name}.rows", rows), self.weight(f"{name}.scale", scale))
        return self._product(states, *inputs, (n, k, self._bits), stored_bias, "")

    def _product(
        self, states: str, rows: str, scale: str, shape: tuple[int, int, int], bias: str, output: str
    ) -> str:
        n, k, bits = shape
        inputs = [states, rows, scale, *(("", "", bias) if bias else ())]
        return self.node(
            "MatMulNBits",
            inputs,
            domain=CONTRIB,
            name=output,
            K=k,
            N=n,
            bits=bits,
            block_size=BLOCK,
            accuracy_level=_INTEGER_PRODUCTS,
        )

    def write(self, path: Path) -> None:
        """Write the graph to `path`; weights over 1.9 GB go to ``<path>.data`` beside it."""
        import onnx
        from onnx import helper

        graph = helper.make_graph(self._nodes, "decoder", self._inputs, self._outputs, self._weights)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        size_bytes = sum(len(weight.raw_data) for weight in self._weights)
        if size_bytes <= _MOST_INLINE_BYTES:
            onnx.save_model(model, str(path))
        else:
            onnx.save_model(model, str(path), save_as_external_data=True, location=f"{path.name}.data")


def _declare(name: str, kind: str, shape: Sequence[int | str]) -> Any:
    from onnx import TensorProto, helper

    kinds = {"int32": TensorProto.INT32, "int64": TensorProto.INT64, "float32": TensorProto.FLOAT}
    return helper.make_tensor_value_info(name, kinds[kind], list(shape))
