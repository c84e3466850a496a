"""A small pen for ONNX graphs: names nodes and weights, and writes linear layers in float or int8.

Int8 weights are symmetric per output channel. They use 7 of the 8 bits: on processors without VNNI, two
products of full-range bytes overflow the 16-bit sums of the older multiply-add and saturate, silently; with 7
bits the integer sums are the same on every processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CONTRIB", "EMBEDDING_LEVELS", "WEIGHT_LEVELS", "GraphPen", "quantise_rows"]

CONTRIB = "com.microsoft"
"""Domain of onnxruntime's fused operators."""
WEIGHT_LEVELS = 63
EMBEDDING_LEVELS = 127
"""Embedding rows are looked up and never multiplied as bytes, so they can use all the bits."""

FloatArray = npt.NDArray[np.float32]
_OPSET = 18
_IR_VERSION = 10


def quantise_rows(
    weights: npt.NDArray[np.floating[Any]], levels: int
) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """Integers in [-levels, levels] and a scale per row: shapes (n, k) to (n, k) and (n,).

    What is lost: each weight is off by at most half its row's scale, ``max|row| / levels / 2``.
    """
    scale = np.abs(weights).max(axis=1, initial=0.0) / levels
    scale = np.where(scale > 0, scale, 1.0)
    rounded = np.clip(np.rint(weights / scale[:, None]), -levels, levels)
    return rounded.astype(np.int8), scale.astype(np.float32)


class GraphPen:
    """Collects nodes and weights of one graph.

    Parameters
    ----------
    is_quantised
        Whether :meth:`linear` and :meth:`embedding` write int8.
    """

    def __init__(self, *, is_quantised: bool) -> None:
        self.is_quantised = is_quantised
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def weight(self, name: str, values: npt.NDArray[Any]) -> str:
        """Store a constant."""
        from onnx import numpy_helper

        self._weights.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def node(
        self, kind: str, inputs: Sequence[str], *, domain: str = "", name: str = "", **settings: Any
    ) -> str:
        """Add a node with one output; return the output's name."""
        return self.nodes(kind, inputs, 1, domain=domain, name=name, **settings)[0]

    def nodes(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: int,
        *,
        domain: str = "",
        name: str = "",
        **settings: Any,
    ) -> list[str]:
        """Add a node with several outputs; return their names."""
        from onnx import helper

        own = name or f"{kind}_{len(self._nodes)}"
        names = [own if outputs == 1 else f"{own}_{at}" for at in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, name=own, domain=domain, **settings))
        return names

    def embedding(self, name: str, table: FloatArray, ids: str) -> str:
        """Rows of `table` (rows, width) by `ids` (1, t): a tensor (1, t, width)."""
        from onnx import TensorProto

        if not self.is_quantised:
            return self.node("Gather", [self.weight(f"{name}.table", table), ids])
        rows, scale = quantise_rows(table, EMBEDDING_LEVELS)
        picked = self.node("Gather", [self.weight(f"{name}.rows", rows), ids])
        scales = self.node("Gather", [self.weight(f"{name}.scale", scale[:, None]), ids])
        return self.node("Mul", [self.node("Cast", [picked], to=TensorProto.FLOAT), scales])

    def small_table(self, name: str, table: FloatArray) -> str:
        """A constant table, int8 with a scale per row in the file; made float32 once, when the model is loaded."""
        from onnx import TensorProto

        if not self.is_quantised:
            return self.weight(name, table)
        rows, scale = quantise_rows(table, EMBEDDING_LEVELS)
        grown = self.node("Cast", [self.weight(f"{name}.rows", rows)], to=TensorProto.FLOAT)
        return self.node("Mul", [grown, self.weight(f"{name}.scale", scale[:, None])])

    def small_weight(self, name: str, values: FloatArray) -> str:
        """A constant, float16 in the file (11 bits of precision, sizes up to 65,504); float32 once loaded."""
        from onnx import TensorProto

        if not self.is_quantised:
            return self.weight(name, values)
        return self.node("Cast", [self.weight(name, values.astype(np.float16))], to=TensorProto.FLOAT)

    def linear(self, name: str, given: str, weights: FloatArray, bias: FloatArray) -> str:
        """``given @ weights.T + bias``, `weights` of shape (out, in)."""
        if not self.is_quantised:
            product = self.node("MatMul", [given, self.weight(f"{name}.weight", weights.T)])
            return self.node("Add", [product, self.weight(f"{name}.bias", bias)])
        rows, scale = quantise_rows(weights, WEIGHT_LEVELS)
        inputs = [
            given,
            self.weight(f"{name}.rows", rows.T),
            self.weight(f"{name}.scale", scale),
            self.weight(f"{name}.zero", np.zeros(len(rows), dtype=np.int8)),
            self.weight(f"{name}.bias", bias),
        ]
        return self.node("DynamicQuantizeMatMul", inputs, domain=CONTRIB)

    def finish(self, inputs: Sequence[str], outputs: dict[str, list[int | str]]) -> bytes:
        """The serialised model; `inputs` are (1, t) int64, `outputs` name the shapes."""
        from onnx import TensorProto, checker, helper

        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info(name, TensorProto.INT64, [1, "t"]) for name in inputs],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            self._weights,
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        checker.check_model(model)
        serialised: bytes = model.SerializeToString()
        return serialised
