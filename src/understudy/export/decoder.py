"""Writes a language model for the ONNX engine: the graph's files, and the settings that the runtime needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import ConfigError
from understudy.export.decoder_graph import causal_shape, draw_causal
from understudy.export.decoder_pen import DecoderPen, Precision

__all__ = ["MOST_CONTEXT_TOKENS", "export_decoder"]

MOST_CONTEXT_TOKENS = 8192
"""Longest sequence exported unless asked for more: positions have a row each in the file."""
_MODEL_FILE = "model.onnx"
_PRECISIONS = ("float32", "int8", "int4")


def export_decoder(
    model: Any,
    folder: Path,
    *,
    precision: Precision = "int8",
    most_context_tokens: int = MOST_CONTEXT_TOKENS,
) -> dict[str, Any]:
    """Write `model` as ONNX.

    Parameters
    ----------
    model
        A model of transformers: Llama, Mistral, Qwen2 or Qwen3, dense.
    folder
        Where the files go; it exists.
    precision
        ``float32``, or weights in blocks of 8 or 4 bits (``int8``, ``int4``) with embedding and output matrix.
    most_context_tokens
        Upper limit of the context, if the model's own is longer.

    Returns
    -------
    dict
        Settings for ``runtime.engines.load_engine``.

    Raises
    ------
    ConfigError
        If the model is of a kind that has no graph here.
    """
    if precision not in _PRECISIONS:
        raise ConfigError(
            "unknown precision of a decoder",
            given=repr(precision),
            todo=f"use one of {', '.join(_PRECISIONS)}",
        )
    shape = causal_shape(model.config, most_context_tokens)
    arrays = {
        name: np.asarray(tensor.detach().float().cpu().numpy(), dtype=np.float32)
        for name, tensor in model.state_dict().items()
    }
    pen = DecoderPen(precision)
    draw_causal(pen, shape, arrays)
    pen.write(folder / _MODEL_FILE)
    return {
        "engine": "onnx",
        "kind": "causal",
        "model": _MODEL_FILE,
        "precision": precision,
        "vocab_size": shape.vocab_size,
        "context_tokens": shape.context_tokens,
        "layers": shape.layers,
        "kv_heads": shape.kv_heads,
        "head_width": shape.cache_width,
    }
