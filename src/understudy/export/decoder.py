"""Writes a language model for the ONNX engine: the graph's files, and the settings that the runtime needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import ConfigError
from understudy.export.decoder_graph import causal_shape, draw_causal
from understudy.export.decoder_pen import DecoderPen
from understudy.export.decoder_t5 import draw_decoder_step, draw_t5_encoder, t5_shape

__all__ = ["MOST_CONTEXT_TOKENS", "export_decoder"]

MOST_CONTEXT_TOKENS = 8192
"""Longest sequence exported unless asked for more: positions have a row each in the file."""
_MODEL_FILE = "model.onnx"
_ENCODER_FILE = "encoder.onnx"
_T5_CONTEXT_TOKENS = 1024
"""A T5's positions are relative, and it has no limit of its own."""
_PRECISIONS = ("float32", "int8", "int4")


def export_decoder(
    model: Any,
    folder: Path,
    *,
    precision: str = "int8",
    most_context_tokens: int = MOST_CONTEXT_TOKENS,
) -> dict[str, Any]:
    """Write `model` as ONNX.

    Parameters
    ----------
    model
        A model of transformers: Llama, Mistral, Qwen2 or Qwen3, dense, or T5.
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
    arrays = {
        name: np.asarray(tensor.detach().float().cpu().numpy(), dtype=np.float32)
        for name, tensor in model.state_dict().items()
    }
    export = _export_t5 if model.config.model_type == "t5" else _export_causal
    return {
        "engine": "onnx",
        "model": _MODEL_FILE,
        "precision": precision,
        **export(model.config, arrays, folder, precision, most_context_tokens),
    }


def _export_causal(
    config: Any, arrays: dict[str, Any], folder: Path, precision: str, most_context_tokens: int
) -> dict[str, Any]:
    shape = causal_shape(config, most_context_tokens)
    pen = DecoderPen(precision)
    draw_causal(pen, shape, arrays)
    pen.write(folder / _MODEL_FILE)
    return {
        "kind": "causal",
        "vocab_size": shape.vocab_size,
        "context_tokens": shape.context_tokens,
        "layers": shape.layers,
        "kv_heads": shape.kv_heads,
        "head_width": shape.cache_width,
    }


def _export_t5(
    config: Any, arrays: dict[str, Any], folder: Path, precision: str, most_context_tokens: int
) -> dict[str, Any]:
    shape = t5_shape(config, min(most_context_tokens, _T5_CONTEXT_TOKENS))
    for file, draw in ((_ENCODER_FILE, draw_t5_encoder), (_MODEL_FILE, draw_decoder_step)):
        pen = DecoderPen(precision)
        draw(pen, shape, arrays)
        pen.write(folder / file)
    return {
        "kind": "encoder-decoder",
        "encoder": _ENCODER_FILE,
        "first_token": config.decoder_start_token_id
        if config.decoder_start_token_id is not None
        else config.pad_token_id,
        "vocab_size": shape.vocab_size,
        "context_tokens": shape.context_tokens,
        "layers": shape.decoder_layers,
        "kv_heads": shape.heads,
        "head_width": shape.head_width,
    }
