"""A trained encoder on disk and back, for a later rung or a later run. Tensors as safetensors, the rest as JSON.

What ships is never this but the ONNX export.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from understudy.runtime.heads import Head
from understudy.task.problem import Problem
from understudy.training.base_encoder import BaseEncoder
from understudy.training.fit_encoder import FittedEncoder
from understudy.training.loop import TrainingRecord
from understudy.training.network import build_network

__all__ = ["load_fitted", "save_fitted"]

_TENSORS, _REST = "network.safetensors", "network.json"


def save_fitted(fitted: FittedEncoder, folder: Path) -> None:
    """Write network, heads and record into `folder`."""
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous().clone() for name, tensor in fitted.network.state_dict().items()}
    save_file(tensors, folder / _TENSORS)
    rest = {
        "problems": [problem.to_dict() for problem in fitted.problems],
        "heads": [head.to_dict() for head in fitted.heads],
        "parts_per_input": fitted.parts_per_input,
        "record": asdict(fitted.record),
    }
    (folder / _REST).write_text(json.dumps(rest, ensure_ascii=False), encoding="utf-8")


def load_fitted(
    base: BaseEncoder, folder: Path, *, max_tokens: int | None, seed: int
) -> FittedEncoder | None:
    """What :func:`save_fitted` wrote for the same base, or ``None`` if `folder` holds none."""
    if not (folder / _TENSORS).is_file() or not (folder / _REST).is_file():
        return None
    from safetensors.torch import load_file

    rest = json.loads((folder / _REST).read_text(encoding="utf-8"))
    tensors = load_file(folder / _TENSORS)
    widths = tensors["row_weight"].shape[0], tensors["token_weight"].shape[0]
    network = build_network(base, *widths, 0.0, seed)
    network.load_state_dict(tensors)
    network.eval()
    return FittedEncoder(
        base,
        network,
        base.tokeniser(max_tokens),
        tuple(Problem.from_dict(problem) for problem in rest["problems"]),
        tuple(Head.from_dict(head) for head in rest["heads"]),
        rest["parts_per_input"],
        TrainingRecord(**rest["record"]),
    )
