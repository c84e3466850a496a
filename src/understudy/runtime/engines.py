"""Loads the language model behind a writer: which engine reads which files. An engine is imported when named."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.errors import ArtefactError
from understudy.runtime.decoder import Decoder

__all__ = ["ENGINES", "load_engine"]

ENGINES = {
    "gguf": ("understudy.runtime.gguf_decoder", "GgufDecoder"),
    "onnx": ("understudy.runtime.onnx_decoder", "OnnxDecoder"),
}
"""Module and class of each engine; the class has ``load(folder, settings)``."""
_ENCODER_DECODER = ("understudy.runtime.onnx_encoder_decoder", "OnnxEncoderDecoder")


def load_engine(folder: Path, settings: Mapping[str, Any]) -> Decoder:
    """Load the decoder whose files lie in `folder`.

    Parameters
    ----------
    folder
        A component's folder.
    settings
        What the export returned: ``engine`` (one of :data:`ENGINES`) and that engine's own.

    Raises
    ------
    ArtefactError
        If the engine is unknown, or its files or settings are missing or damaged.
    """
    engine = settings.get("engine")
    if engine not in ENGINES:
        raise ArtefactError(
            "this artefact needs an engine that this version does not have",
            given=f"engine = {engine!r}; known: {', '.join(ENGINES)}",
            todo="install a newer version of understudy",
        )
    is_pair = engine == "onnx" and settings.get("kind") == "encoder-decoder"
    module_name, class_name = _ENCODER_DECODER if is_pair else ENGINES[engine]
    kind: Any = getattr(importlib.import_module(module_name), class_name)
    decoder: Decoder = kind.load(folder, settings)
    return decoder
