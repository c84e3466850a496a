"""Writes an encoder component: graph, tokenizer, description, and a probe that shows another machine's
rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.runtime.component import write_component_file
from understudy.runtime.encoder import EncoderComponent
from understudy.runtime.heads import Head
from understudy.runtime.onnx_model import OnnxModel
from understudy.runtime.tokens import Tokeniser
from understudy.task.problem import Problem

__all__ = ["PROBE_TEXTS", "export_encoder"]

_MODEL_FILE = "model.onnx"
_TOKENIZER_FILE = "tokenizer.json"
_PROBE_DIGITS = 9

PROBE_TEXTS = (
    "Where is my order A-10293? It should have been here on Monday.",
    "请把 35.50 元退到我的卡上,谢谢。",
    "y",
    "A long and winding complaint, " * 8 + "and then a question: can you call me back?",
)
"""Fixed texts of several lengths and scripts; what they mean does not matter."""


def export_encoder(
    folder: Path,
    model: bytes,
    tokeniser: Tokeniser,
    problems: Sequence[Problem],
    heads: Sequence[Head],
    *,
    parts_per_input: int,
    base: Mapping[str, Any],
) -> None:
    """Write an encoder component into the empty `folder`.

    Parameters
    ----------
    folder
        Where to.
    model
        The serialised graph.
    tokeniser
        As used in learning.
    problems, heads
        What the outputs mean.
    parts_per_input
        How many texts an input has (the probe has as many).
    base
        Provenance of the base encoder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MODEL_FILE).write_bytes(model)
    (folder / _TOKENIZER_FILE).write_text(tokeniser.to_json(), encoding="utf-8")
    component = EncoderComponent(problems, heads, tokeniser, OnnxModel(model, threads=1))
    write_component_file(
        folder,
        "encoder",
        problems,
        model=_MODEL_FILE,
        tokenizer=_TOKENIZER_FILE,
        frame=tokeniser.frame.to_dict(),
        max_tokens=tokeniser.max_tokens,
        heads=[head.to_dict() for head in heads],
        base=dict(base),
        probe=_probe(component, parts_per_input),
    )


def _probe(component: EncoderComponent, parts_per_input: int) -> dict[str, Any]:
    count = max(parts_per_input, 1)
    inputs = [
        tuple(PROBE_TEXTS[(at + part) % len(PROBE_TEXTS)] for part in range(count))
        for at in range(len(PROBE_TEXTS))
    ]
    outputs = []
    for parts in inputs:
        _, row, token = component.outputs(parts)
        # Per-token outputs can be long; the short texts are enough to show a difference.
        outputs.append({"row": _rounded(row.tolist()), "token": _rounded(token.ravel().tolist())})
    return {"inputs": [list(parts) for parts in inputs], "outputs": outputs}


def _rounded(values: list[float]) -> list[float]:
    # Nine significant digits identify a float32 exactly.
    return [float(f"{value:.{_PROBE_DIGITS}g}") for value in values]
