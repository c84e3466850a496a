"""Any Hugging Face encoder as an ONNX graph, through torch's exporter: for families that ``bert_graph`` does
not draw.

Slower to export and to run than the hand-drawn graph (attention stays unfused), equal in what it computes.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from understudy.export.bert_graph import ReadOut

__all__ = ["trace_encoder"]


class _Traced(nn.Module):
    """Encoder, pooling and heads on one unpadded input."""

    def __init__(self, encoder: nn.Module, read_out: ReadOut) -> None:
        super().__init__()
        self.encoder, self.read_out = encoder, read_out
        for name in ("row", "token"):
            weights = getattr(read_out, name)
            if weights is not None:
                self.register_buffer(f"{name}_weight", torch.from_numpy(np.array(weights[0])))
                self.register_buffer(f"{name}_bias", torch.from_numpy(np.array(weights[1])))

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        states = self.encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        pooled = states[:, 0] if self.read_out.pooling == "cls" else states.mean(1)
        made = []
        if self.read_out.row is not None and len(self.read_out.row[1]):
            made.append(nn.functional.linear(pooled, self.row_weight, self.row_bias))  # type: ignore[arg-type]
        if self.read_out.token is not None and len(self.read_out.token[1]):
            made.append(nn.functional.linear(states, self.token_weight, self.token_bias))  # type: ignore[arg-type]
        return tuple(made)


def trace_encoder(encoder: Any, read_out: ReadOut, *, is_quantised: bool) -> bytes:
    """The serialised model, in int8 or float32; its only input is ``ids`` (1, t)."""
    names = [
        name for name in ("row", "token") if (pair := getattr(read_out, name)) is not None and len(pair[1])
    ]
    module = _Traced(encoder, read_out).eval()
    example = torch.tensor([[5, 6, 7, 8, 9]])
    with tempfile.TemporaryDirectory() as scratch, _quiet(), torch.no_grad():
        path = Path(scratch) / "float.onnx"
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["ids"],
            output_names=names,
            dynamic_shapes={"ids": {1: torch.export.Dim("t", min=2, max=4096)}},
            dynamo=True,
            verbose=False,
        )
        if program is None:
            raise AssertionError("torch's exporter returned no program")
        program.save(path)
        if is_quantised:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            small = Path(scratch) / "int8.onnx"
            quantize_dynamic(path, small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
            path = small
        return path.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' notes about themselves from users."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
