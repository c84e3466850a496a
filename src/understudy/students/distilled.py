"""Rung `distilled`: a tuned encoder with fewer layers, taught by the whole one. Half the time per answer.

Needs the fitted `tuned` rung, or trains one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.runtime.prediction import FieldPrediction
from understudy.students.base import Student
from understudy.students.targets import Targets, as_inputs, as_targets
from understudy.students.tuned import TunedStudent
from understudy.task.problem import ProblemMode

__all__ = ["DistilledStudent"]


class DistilledStudent(Student):
    """A shortened, taught encoder.

    Parameters
    ----------
    tuned
        The teacher: a :class:`TunedStudent`, fitted on the same fields or to be fitted first; ``None`` for
        one with default settings.
    layers
        Transformer layers to keep, evenly spaced.
    epochs, batch_size
        Of the training loop; ``None`` chooses by the number of rows (``training.recipe``).
    encoder_rate, head_rate
        Of the training loop.
    temperature, label_share, vector_weight
        How much each lesson counts; see ``training.distil.DistilSettings``.
    max_seconds
        Time limit of distillation (not of a teacher that must be trained first), or ``None``.
    seed
        Of order and dropout.
    checkpoint
        File that a killed training resumes from, or ``None``.
    on_progress
        Called with step, steps and loss.
    """

    rung: ClassVar[str] = "distilled"
    modes: ClassVar[frozenset[ProblemMode]] = TunedStudent.modes
    can_refit: ClassVar[bool] = False
    made_from: ClassVar[str | None] = "tuned"

    def __init__(
        self,
        tuned: TunedStudent | None = None,
        layers: int = 3,
        epochs: float | None = None,
        batch_size: int | None = None,
        encoder_rate: float = 2e-4,
        head_rate: float = 1e-3,
        temperature: float = 2.0,
        label_share: float = 0.3,
        vector_weight: float = 1.0,
        max_seconds: float | None = None,
        seed: int = 0,
        checkpoint: Path | None = None,
        on_progress: Callable[[int, int, float], None] | None = None,
    ) -> None:
        self.tuned = tuned
        self.layers = layers
        self.epochs = epochs
        self.batch_size = batch_size
        self.encoder_rate = encoder_rate
        self.head_rate = head_rate
        self.temperature = temperature
        self.label_share = label_share
        self.vector_weight = vector_weight
        self.max_seconds = max_seconds
        self.seed = seed
        self.checkpoint = checkpoint
        self.on_progress = on_progress

    def fit(
        self,
        inputs: Sequence[str | InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        *,
        sample_weight: npt.NDArray[np.float64] | None = None,
    ) -> Self:
        """Learn from the tuned student and from the labels.

        Raises
        ------
        DataError
            If a field has no value that can be learnt from.
        ConfigError
            If the tuned student answers other fields.
        """
        from understudy.training.distil import DistilSettings, distil_encoder
        from understudy.training.loop import LoopSettings
        from understudy.training.recipe import batch_size_for, epochs_for

        rows, wanted = as_inputs(inputs), as_targets(targets)
        tuned = self.tuned or TunedStudent(seed=self.seed, on_progress=self.on_progress)
        if not hasattr(tuned, "fitted_"):
            tuned.fit(rows, wanted, sample_weight=sample_weight)
        batch_size = self.batch_size or batch_size_for(len(rows))
        settings = LoopSettings(
            epochs=self.epochs or epochs_for(len(rows), batch_size),
            batch_size=batch_size,
            encoder_rate=self.encoder_rate,
            head_rate=self.head_rate,
            seed=self.seed,
            max_seconds=self.max_seconds,
        )
        distil = DistilSettings(self.layers, self.temperature, self.label_share, self.vector_weight)
        self.fitted_ = distil_encoder(
            tuned.fitted_,
            rows,
            wanted,
            settings,
            distil,
            sample_weight=sample_weight,
            on_progress=self.on_progress,
            checkpoint=self.checkpoint,
        )
        self.problems_ = self.fitted_.problems
        self.record_ = self.fitted_.record
        return self

    def predict_fields(self, inputs: Sequence[str | InputParts]) -> list[FieldPrediction]:
        """Predictions of the float network."""
        return self.fitted_.predict(as_inputs(inputs))

    def export(self, folder: Path) -> None:
        """Write encoder and heads as one int8 graph."""
        self.fitted_.export(folder)
