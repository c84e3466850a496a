"""Keeps the weights of the step at which held-out rows were written best, also over a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from understudy.lm.adapters import trained_weights
from understudy.lm.pace import Pace
from understudy.lm.record import StepRecord

__all__ = ["BestWeights"]

_WEIGHTS, _FACTS = "best.safetensors", "best.json"


class BestWeights:
    """Called after each step, with its record; what it keeps lies in `folder`.

    A run that is resumed measures again what it had measured, and finds the same; so what a killed run kept stays
    true.

    Parameters
    ----------
    model
        The model that is trained in place.
    folder
        Where to keep them.
    on_step
        Called with step and loss after each step, or ``None``.
    """

    def __init__(
        self, model: torch.nn.Module, folder: Path, on_step: Callable[[int, float], None] | None = None
    ) -> None:
        self._model, self._folder, self._on_step = model, folder, on_step

    def __call__(self, record: StepRecord, _pace: Pace) -> None:
        """Keep the weights if they are the best so far."""
        if record.valid_loss is not None and (self._facts() is None or record.valid_loss < self.loss):
            self._folder.mkdir(parents=True, exist_ok=True)
            save_file(trained_weights(self._model), self._folder / f"{_WEIGHTS}.part")
            (self._folder / f"{_WEIGHTS}.part").replace(self._folder / _WEIGHTS)
            text = json.dumps({"step": record.step, "loss": record.valid_loss})
            (self._folder / _FACTS).write_text(text, encoding="utf-8")
        if self._on_step is not None:
            self._on_step(record.step, record.loss)

    @property
    def loss(self) -> float:
        """Lowest held-out loss, nats per token; infinite before the first measurement."""
        facts = self._facts()
        return float("inf") if facts is None else facts["loss"]

    @property
    def step(self) -> int | None:
        """Step of the lowest held-out loss; ``None`` before the first measurement."""
        facts = self._facts()
        return None if facts is None else int(facts["step"])

    def put_back(self) -> None:
        """Give the model the best weights; without any measurement, those that it has."""
        if self._facts() is not None:
            self._model.load_state_dict(load_file(self._folder / _WEIGHTS), strict=False)

    def _facts(self) -> dict[str, float] | None:
        try:
            found: dict[str, float] = json.loads((self._folder / _FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found
