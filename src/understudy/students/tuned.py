"""Rung `tuned`: the whole encoder trained for the task, one head per field. The student for pairs and spans.

Takes minutes on two cores. All four modes; several fields share one pass.
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
from understudy.task.problem import ProblemMode
from understudy.training.base_encoder import DEFAULT_BASE, resolve_base

__all__ = ["TunedStudent"]


class TunedStudent(Student):
    """A fully fine-tuned encoder.

    Parameters
    ----------
    base
        Hub id or folder of the base encoder.
    epochs, batch_size
        Of the training loop; ``None`` chooses by the number of rows (``training.recipe``).
    encoder_rate, head_rate, dropout
        Of the training loop.
    max_tokens
        Inputs are cut at this many tokens (and at what the encoder reads).
    max_seconds
        Time limit of training, or ``None``.
    seed
        Of heads, order and dropout.
    checkpoint
        File that a killed training resumes from, or ``None``.
    on_progress
        Called with step, steps and loss.
    """

    rung: ClassVar[str] = "tuned"
    learns_rationales: ClassVar[bool] = True
    modes: ClassVar[frozenset[ProblemMode]] = frozenset({"classify", "multilabel", "point", "regress"})
    can_refit: ClassVar[bool] = False

    def __init__(
        self,
        base: str = DEFAULT_BASE,
        epochs: float | None = None,
        batch_size: int | None = None,
        encoder_rate: float = 2e-4,
        head_rate: float = 2e-3,
        dropout: float = 0.1,
        max_tokens: int = 256,
        max_seconds: float | None = None,
        seed: int = 0,
        checkpoint: Path | None = None,
        on_progress: Callable[[int, int, float], None] | None = None,
    ) -> None:
        self.base = base
        self.epochs = epochs
        self.batch_size = batch_size
        self.encoder_rate = encoder_rate
        self.head_rate = head_rate
        self.dropout = dropout
        self.max_tokens = max_tokens
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
        rationales: Sequence[str | None] | None = None,
    ) -> Self:
        """Train encoder and heads.

        Parameters
        ----------
        inputs, targets, sample_weight
            See :class:`Student`.
        rationales
            Why the teacher answered as it did, per row, where the log says: a second target while training.

        Raises
        ------
        DataError
            If a field has no value that can be learnt from.
        """
        from understudy.training.fit_encoder import fit_encoder
        from understudy.training.loop import LoopSettings
        from understudy.training.recipe import batch_size_for, epochs_for

        rows, wanted = as_inputs(inputs), as_targets(targets)
        batch_size = self.batch_size or batch_size_for(len(rows))
        settings = LoopSettings(
            epochs=self.epochs or epochs_for(len(rows), batch_size),
            batch_size=batch_size,
            encoder_rate=self.encoder_rate,
            head_rate=self.head_rate,
            seed=self.seed,
            max_seconds=self.max_seconds,
        )
        self.fitted_ = fit_encoder(
            resolve_base(self.base),
            rows,
            wanted,
            settings,
            sample_weight=sample_weight,
            rationales=rationales,
            dropout=self.dropout,
            max_tokens=self.max_tokens,
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

    @property
    def n_layers(self) -> int:
        """Transformer layers of the fitted network."""
        return int(self.fitted_.base.config["num_hidden_layers"])

    def save_state(self, folder: Path) -> None:
        """Keep the float network, which teaches the distilled rung."""
        from understudy.training.state import save_fitted

        save_fitted(self.fitted_, folder)

    def load_state(self, folder: Path) -> bool:
        """Take up what :meth:`save_state` kept, as if fitted; ``False`` if `folder` holds nothing."""
        from understudy.training.state import load_fitted

        found = load_fitted(resolve_base(self.base), folder, max_tokens=self.max_tokens, seed=self.seed)
        if found is None:
            return False
        self.fitted_, self.problems_, self.record_ = found, found.problems, found.record
        return True
