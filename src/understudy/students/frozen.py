"""Rung `frozen`: a sentence encoder as it is, and a small head per field: linear, or with one hidden layer where
held-out rows say that this pays. Trains in seconds once texts are embedded.

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
from understudy.export.vocabulary import drop_unused_words
from understudy.runtime.heads import Head, NumberScale, gather_predictions, head_answers
from understudy.runtime.prediction import FieldPrediction
from understudy.runtime.tokens import Tokenised
from understudy.students.base import Student
from understudy.students.targets import Targets, as_inputs, as_targets
from understudy.task.problem import ProblemMode
from understudy.training.base_encoder import DEFAULT_BASE
from understudy.training.frozen_features import FrozenEncoder, frozen_encoder
from understudy.training.hidden_head import WIDTH, HeadTargets, HiddenHead, fit_hidden_head, prefers_hidden
from understudy.training.linear_head import LinearHead, choose_strength, fit_linear_head, fit_ridge_head
from understudy.training.target_arrays import class_targets, label_targets, number_scale

__all__ = ["FrozenStudent"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
_NO_TOKENS = Tokenised(*(np.zeros(0, dtype=np.int64),) * 4, is_truncated=False)


class FrozenStudent(Student):
    """Linear heads, or heads with one hidden layer, on frozen sentence features.

    Parameters
    ----------
    base
        Hub id or folder of the base encoder.
    strength
        Prior variance of a linear head's weight (scikit-learn's C); ``None`` chooses it on held-out rows, and
        there also between linear heads and a hidden layer.
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
        known = [_known_rows(target, weights) for target in wanted]
        numbers = {
            at: self._fit_number(features, target.take(rows_), weights, rows_)
            for at, (target, rows_) in enumerate(zip(wanted, known, strict=True))
            if target.problem.mode == "regress"
        }
        listed = {
            at: _head_targets(target.take(rows_), rows_)
            for at, (target, rows_) in enumerate(zip(wanted, known, strict=True))
            if at not in numbers
        }
        self.problems_ = tuple(target.problem for target in wanted)
        self.parts_per_input_ = len(rows[0])
        self.hidden_: LinearHead | None = None
        linear = {at: head for at, (head, _) in numbers.items()}
        fields = list(listed.values())
        if self.strength is None and fields and prefers_hidden(features, fields, weights, seed=self.seed):
            both = fit_hidden_head(features, fields, weights, seed=self.seed)
            self.hidden_ = both.inner
            # Number heads read the features, the others the hidden layer: side by side where there are both.
            linear = {at: _widened(head, 0, WIDTH) for at, head in linear.items()}
            left, first = (features.shape[1] if numbers else 0), 0
            for at, field in listed.items():
                last = first + field.wanted.shape[1]
                own = LinearHead(both.outer.weights[first:last], both.outer.bias[first:last])
                linear[at], first = _widened(own, left, 0), last
        else:
            linear |= {at: self._fit_listed(features, field, weights) for at, field in listed.items()}
        ordered = [linear[at] for at in range(len(wanted))]
        stops = np.cumsum([len(head.bias) for head in ordered]).tolist()
        self.heads_ = tuple(
            Head(row=(stop - len(head.bias), stop), scale=numbers[at][1] if at in numbers else None)
            for at, (head, stop) in enumerate(zip(ordered, stops, strict=True))
        )
        self.head_ = LinearHead(
            np.concatenate([head.weights for head in ordered]),
            np.concatenate([head.bias for head in ordered]),
        )
        return self

    def _fit_number(
        self, features: Float32, target: Targets, weights: Float64, known: Rows
    ) -> tuple[LinearHead, NumberScale]:
        values, scale = number_scale(target)
        head, errors = fit_ridge_head(features[known], values, weights[known], seed=self.seed)
        return head, scale.with_errors(errors)

    def _fit_listed(self, features: Float32, field: HeadTargets, weights: Float64) -> LinearHead:
        own, own_weights = features[field.rows], weights[field.rows]
        strength = self.strength or choose_strength(
            own, field.wanted, own_weights, link=field.link, seed=self.seed
        )
        return fit_linear_head(own, field.wanted, own_weights, link=field.link, strength=strength)

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
            for output, parts in zip(self._outputs(features), rows, strict=True)
        ]
        return gather_predictions(self.problems_, answers)

    def _outputs(self, features: Float32) -> Float64:
        if self.hidden_ is None:
            return self.head_.logits(features)
        hidden = HiddenHead(self.hidden_, self.head_).hidden(features)
        is_beside = self.head_.weights.shape[1] > hidden.shape[1]
        return self.head_.logits(np.concatenate((features, hidden), axis=1) if is_beside else hidden)

    def export(self, folder: Path) -> None:
        """Write encoder and heads as one int8 graph."""
        encoder = self._encoder
        read_out = ReadOut(
            encoder.read_out.pooling,
            encoder.read_out.layers,
            is_normalised=True,
            hidden=None if self.hidden_ is None else (self.hidden_.weights, self.hidden_.bias),
            row=(self.head_.weights, self.head_.bias),
        )
        tokeniser, weights = drop_unused_words(encoder.tokeniser, encoder.weights)
        export_encoder(
            folder,
            draw_encoder(weights, read_out, is_quantised=True, max_tokens=tokeniser.max_tokens),
            tokeniser,
            self.problems_,
            self.heads_,
            parts_per_input=self.parts_per_input_,
            base=encoder.base.provenance(),
        )


def _known_rows(target: Targets, weights: Float64) -> Rows:
    known = np.flatnonzero(target.known & (weights > 0))
    if not len(known):
        raise DataError(
            f"field {target.problem.field.name!r} has no known value to learn from",
            todo="leave the field out or add calls that answer it",
        )
    return known


def _head_targets(target: Targets, known: Rows) -> HeadTargets:
    is_classify = target.problem.mode == "classify"
    wanted = class_targets(target) if is_classify else label_targets(target)
    return HeadTargets(known, wanted, "softmax" if is_classify else "sigmoid")


def _widened(head: LinearHead, left: int, right: int) -> LinearHead:
    """The head with columns of zeros before and after its own."""
    return LinearHead(np.pad(head.weights, ((0, 0), (left, right))), head.bias)
