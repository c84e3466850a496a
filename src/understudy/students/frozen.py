"""Rung `frozen`: a sentence encoder as it is, and a linear head per field. Trains in seconds once texts are
embedded.

Learns `classify`, `multilabel` and `regress`; cannot point into the input, and does not know word order
beyond what the encoder keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.errors import DataError
from understudy.export.bert_graph import ReadOut, draw_encoder
from understudy.export.encoder import export_encoder
from understudy.runtime.heads import Head, NumberScale, gather_predictions, head_answers
from understudy.runtime.prediction import FieldPrediction
from understudy.runtime.tokens import Tokenised
from understudy.students.base import Student
from understudy.students.targets import Targets, as_inputs, as_targets
from understudy.task.problem import ProblemMode
from understudy.training.base_encoder import DEFAULT_BASE
from understudy.training.frozen_features import FrozenEncoder, frozen_encoder
from understudy.training.linear_head import LinearHead, choose_strength, fit_linear_head, fit_ridge_head
from understudy.training.target_arrays import class_targets, label_targets, number_scale

__all__ = ["FrozenStudent"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
_NO_TOKENS = Tokenised(*(np.zeros(0, dtype=np.int64),) * 4, is_truncated=False)


class FrozenStudent(Student):
    """Linear heads on frozen sentence features.

    Parameters
    ----------
    base
        Hub id or folder of the base encoder.
    strength
        Prior variance of a head weight (scikit-learn's C); ``None`` chooses it on held-out rows.
    max_tokens
        Inputs are cut at this many tokens (and at what the encoder reads).
    seed
        Of the held-out rows.
    on_progress
        Called with the number of inputs embedded and to embed.
    """

    rung: ClassVar[str] = "frozen"
    modes: ClassVar[frozenset[ProblemMode]] = frozenset({"classify", "multilabel", "regress"})
    can_refit: ClassVar[bool] = True

    def __init__(
        self,
        base: str = DEFAULT_BASE,
        strength: float | None = None,
        max_tokens: int = 256,
        seed: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.base = base
        self.strength = strength
        self.max_tokens = max_tokens
        self.seed = seed
        self.on_progress = on_progress

    @property
    def _encoder(self) -> FrozenEncoder:
        return frozen_encoder(self.base, self.max_tokens)

    def fit(
        self,
        inputs: Sequence[str | InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        *,
        sample_weight: npt.NDArray[np.float64] | None = None,
    ) -> Self:
        """Embed the inputs and fit one head per field.

        Raises
        ------
        DataError
            If a field has no known value in these rows.
        """
        rows, wanted = as_inputs(inputs), as_targets(targets)
        features = self._encoder.features(rows, self.on_progress)
        weights = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        fitted = [self._fit_field(features, target, weights) for target in wanted]
        self.problems_ = tuple(target.problem for target in wanted)
        self.parts_per_input_ = len(rows[0])
        linear = [head for head, _ in fitted]
        stops = np.cumsum([len(head.bias) for head in linear]).tolist()
        self.heads_ = tuple(
            Head(row=(stop - len(head.bias), stop), scale=scale)
            for (head, scale), stop in zip(fitted, stops, strict=True)
        )
        self.head_ = LinearHead(
            np.concatenate([head.weights for head in linear]), np.concatenate([head.bias for head in linear])
        )
        return self

    def _fit_field(
        self, features: Float32, target: Targets, weights: Float64
    ) -> tuple[LinearHead, NumberScale | None]:
        known = np.flatnonzero(target.known & (weights > 0))
        if not len(known):
            raise DataError(
                f"field {target.problem.field.name!r} has no known value to learn from",
                todo="leave the field out or add calls that answer it",
            )
        own, own_weights, own_target = features[known], weights[known], target.take(known)
        if target.problem.mode == "regress":
            values, scale = number_scale(own_target)
            head, errors = fit_ridge_head(own, values, own_weights, seed=self.seed)
            return head, scale.with_errors(errors)
        is_classify = target.problem.mode == "classify"
        wanted = class_targets(own_target) if is_classify else label_targets(own_target)
        link: Any = "softmax" if is_classify else "sigmoid"
        strength = self.strength or choose_strength(own, wanted, own_weights, link=link, seed=self.seed)
        return fit_linear_head(own, wanted, own_weights, link=link, strength=strength), None

    def predict_fields(self, inputs: Sequence[str | InputParts]) -> list[FieldPrediction]:
        """Predictions of the heads in float, on the same int8 features that are served."""
        rows = as_inputs(inputs)
        return self._read(self._encoder.features(rows), rows)

    def predict_float(self, inputs: Sequence[str | InputParts]) -> list[FieldPrediction]:
        """Predictions with the encoder in float32 too: what int8 costs is the difference to these."""
        rows = as_inputs(inputs)
        return self._read(self._encoder.float_features(rows), rows)

    def _read(self, features: Float32, rows: Sequence[InputParts]) -> list[FieldPrediction]:
        none = np.zeros((0, 0))
        answers = [
            head_answers(self.problems_, self.heads_, output, none, _NO_TOKENS, parts)
            for output, parts in zip(self.head_.logits(features), rows, strict=True)
        ]
        return gather_predictions(self.problems_, answers)

    def export(self, folder: Path) -> None:
        """Write encoder and heads as one int8 graph."""
        encoder = self._encoder
        read_out = ReadOut(
            encoder.read_out.pooling,
            encoder.read_out.layers,
            is_normalised=True,
            row=(self.head_.weights, self.head_.bias),
        )
        export_encoder(
            folder,
            draw_encoder(
                encoder.weights, read_out, is_quantised=True, max_tokens=encoder.tokeniser.max_tokens
            ),
            encoder.tokeniser,
            self.problems_,
            self.heads_,
            parts_per_input=self.parts_per_input_,
            base=encoder.base.provenance(),
        )
