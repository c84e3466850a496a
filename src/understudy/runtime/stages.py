"""How components become one answerer: calibration, averaging and cascades.

A *stage* averages the calibrated predictions of its member components, field by field. A *cascade* is a list of
stages: an input stops at the first stage that is sure enough. Everything is per input: no result depends on a batch.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.runtime.component import Component, WritingComponent
from understudy.runtime.prediction import FieldPrediction, FloatArray, softmax
from understudy.task.problem import Problem

__all__ = [
    "Cascade",
    "CascadeResult",
    "FieldCalibration",
    "Stage",
    "apply_calibration",
    "combine_members",
    "record_confidence",
]

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class FieldCalibration:
    """How one member's prediction of one field is used.

    Attributes
    ----------
    weight
        Share in the average, 0 to 1. For `point` and `regress`, which cannot be averaged, the member with the
        largest weight answers.
    slope, offset
        `classify` and `multilabel`: log scores are multiplied by `slope` (an inverse temperature) and `offset` is
        unused. Others: confidence c becomes sigmoid(slope * logit(c) + offset) (Platt 1999).
    """

    weight: float = 1.0
    slope: float = 1.0
    offset: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """JSON form."""
        return {"weight": self.weight, "slope": self.slope, "offset": self.offset}


def apply_calibration(
    problem: Problem, prediction: FieldPrediction, calibration: FieldCalibration
) -> FieldPrediction:
    """The prediction with calibrated scores and confidence."""
    if problem.mode == "classify" and prediction.scores is not None:
        scores = softmax(np.log(np.maximum(prediction.scores, _TINY)) * calibration.slope)
        best = scores.argmax(axis=1)
        # Confidence 0 is a writer's answer that could not be read, not a class that was chosen.
        sure = np.where(prediction.confidence > 0, scores[np.arange(len(best)), best], 0.0)
        return FieldPrediction(prediction.values, sure, scores)
    if problem.mode == "multilabel" and prediction.scores is not None:
        scores = _platt(prediction.scores, calibration.slope, 0.0)
        return FieldPrediction(prediction.values, np.maximum(scores, 1 - scores).prod(axis=1), scores)
    sure = np.where(
        prediction.confidence > 0, _platt(prediction.confidence, calibration.slope, calibration.offset), 0.0
    )
    return FieldPrediction(prediction.values, sure)


def _platt(confidence: FloatArray, slope: float, offset: float) -> FloatArray:
    kept = np.clip(confidence, 1e-9, 1 - 1e-9)
    logit = np.log(kept / (1.0 - kept))
    return np.asarray(1.0 / (1.0 + np.exp(-(slope * logit + offset))), dtype=np.float64)


def combine_members(
    problem: Problem,
    predictions: Sequence[FieldPrediction | None],
    calibrations: Sequence[FieldCalibration | None],
) -> FieldPrediction:
    """One field's calibrated average over the members of a stage; a member that lacks the field stands as ``None``."""
    pairs = [
        (prediction, calibration)
        for prediction, calibration in zip(predictions, calibrations, strict=True)
        if prediction is not None and calibration is not None
    ]
    assert pairs, f"no member of the stage answers {problem.field.name}"
    ready = [apply_calibration(problem, prediction, calibration) for prediction, calibration in pairs]
    if len(ready) == 1:
        return ready[0]
    weights = [calibration.weight for _, calibration in pairs]
    # One that does all the work speaks for itself: an answer that it could not read stays unread.
    is_alone = sum(weight > 0 for weight in weights) == 1
    if is_alone or any(prediction.scores is None for prediction in ready):
        return ready[int(np.argmax(weights))]
    mixed = np.zeros_like(ready[0].scores)
    for weight, prediction in zip(weights, ready, strict=True):
        mixed = mixed + weight * np.asarray(prediction.scores)
    mixed = mixed / sum(weights)
    if problem.mode == "multilabel":
        values: list[Any] = [[problem.values[int(at)] for at in np.flatnonzero(row >= 0.5)] for row in mixed]
        return FieldPrediction(values, np.maximum(mixed, 1 - mixed).prod(axis=1), mixed)
    best = mixed.argmax(axis=1)
    return FieldPrediction([problem.values[int(at)] for at in best], mixed[np.arange(len(best)), best], mixed)


def record_confidence(predictions: Sequence[FieldPrediction], is_required: Sequence[bool]) -> FloatArray:
    """Probability that every required field is right, taking fields as independent: the product, shape (n,)."""
    sure = np.ones(len(predictions[0].values))
    for prediction, counts in zip(predictions, is_required, strict=True):
        if counts:
            sure = sure * prediction.confidence
    return sure


@dataclass(frozen=True, slots=True)
class Stage:
    """Members and how their fields combine.

    Attributes
    ----------
    rung
        Name shown to people: ``linear``, ``linear+frozen``.
    members
        Names of components.
    calibrations
        Per field (in the system's order), per member; ``None`` where the member does not answer the field.
    floor
        An input stops here if its record confidence is at least this; ``None`` for the last stage.
    is_certified_alone
        Whether what stops here is answered whatever the system's threshold, because the stage has a certificate
        of its own (the lookup, whose evidence is repeated inputs).
    """

    rung: str
    members: tuple[str, ...]
    calibrations: tuple[tuple[FieldCalibration | None, ...], ...]
    floor: float | None = None
    is_certified_alone: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` reads it back."""
        return {
            "rung": self.rung,
            "members": list(self.members),
            "calibrations": [
                [None if one is None else one.to_dict() for one in field] for field in self.calibrations
            ],
            "floor": self.floor,
            "is_certified_alone": self.is_certified_alone,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Stage:
        """Read the JSON form."""
        return cls(
            rung=given["rung"],
            members=tuple(given["members"]),
            calibrations=tuple(
                tuple(None if one is None else FieldCalibration(**one) for one in field)
                for field in given["calibrations"]
            ),
            floor=given["floor"],
            is_certified_alone=given["is_certified_alone"],
        )


@dataclass(frozen=True, slots=True)
class CascadeResult:
    """Per input: values and confidences per field, the record's confidence, the index of the stage that spoke."""

    fields: list[FieldPrediction]
    confidence: FloatArray
    stage: npt.NDArray[np.int64]


class Cascade:
    """Stages over components.

    Parameters
    ----------
    problems
        Fields in order.
    is_required
        Per problem, whether the record needs it.
    stages
        Cheapest first.
    components
        By member name; each answers some or all of `problems`.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        is_required: Sequence[bool],
        stages: Sequence[Stage],
        components: Mapping[str, Component],
    ) -> None:
        self.problems, self.is_required, self.stages = tuple(problems), tuple(is_required), tuple(stages)
        self.components = components

    def predict(self, inputs: Sequence[InputParts]) -> CascadeResult:
        """Run the inputs through the stages; a component runs at most once per input."""
        count = len(inputs)
        values: list[list[Any]] = [[None] * count for _ in self.problems]
        sure = [np.zeros(count) for _ in self.problems]
        record = np.zeros(count)
        spoke = np.zeros(count, dtype=np.int64)
        open_rows = np.arange(count)
        memory: dict[str, tuple[npt.NDArray[np.int64], list[FieldPrediction]]] = {}
        for number, stage in enumerate(self.stages):
            if not len(open_rows):
                break
            fields = self._run_stage(stage, inputs, open_rows, memory)
            confidence = record_confidence(fields, self.is_required)
            stops = np.ones(len(open_rows), dtype=np.bool_)
            if stage.floor is not None and number + 1 < len(self.stages):
                stops = confidence >= stage.floor
            for at in np.flatnonzero(stops):
                row = int(open_rows[at])
                for field, prediction in enumerate(fields):
                    values[field][row] = prediction.values[int(at)]
                    sure[field][row] = prediction.confidence[at]
            record[open_rows[stops]] = confidence[stops]
            spoke[open_rows[stops]] = number
            open_rows = open_rows[~stops]
        fields = [FieldPrediction(found, known) for found, known in zip(values, sure, strict=True)]
        return CascadeResult(fields, record, spoke)

    @property
    def writer(self) -> WritingComponent | None:
        """What writes the last stage's answers as plain text: one component, asked by no stage before; else ``None``."""
        *earlier, last = self.stages
        asked = {name for stage in earlier for name in stage.members}
        if len(last.members) != 1 or last.members[0] in asked:
            return None
        component = self.components[last.members[0]]
        return component if isinstance(component, WritingComponent) and component.is_plain else None

    def first_sure(self, given: InputParts, most: int) -> CascadeResult | None:
        """What the first `most` stages (not the last of all) say of one input; ``None`` if none is sure enough."""
        memory: dict[str, tuple[npt.NDArray[np.int64], list[FieldPrediction]]] = {}
        for number, stage in enumerate(self.stages[:most]):
            fields = self._run_stage(stage, [given], np.arange(1), memory)
            sure = record_confidence(fields, self.is_required)
            if stage.floor is None or sure[0] >= stage.floor:
                return CascadeResult(fields, sure, np.array([number], dtype=np.int64))
        return None

    def stream(self, given: InputParts) -> Generator[str, None, CascadeResult]:
        """Pieces of what the :attr:`writer` writes, as it writes; returns what :meth:`predict` would.

        Nothing is yielded where an earlier stage is sure enough.
        """
        writer = self.writer
        assert writer is not None, "the last stage writes"
        early = self.first_sure(given, len(self.stages) - 1)
        if early is not None:
            return early
        predictions = yield from writer.stream(given)
        names = [problem.field.name for problem in writer.problems]
        fields = self._combined(self.stages[-1], [dict(zip(names, predictions, strict=True))])
        spoke = np.array([len(self.stages) - 1], dtype=np.int64)
        return CascadeResult(fields, record_confidence(fields, self.is_required), spoke)

    def scores_of(self, given: InputParts, stage: int) -> list[FloatArray | None]:
        """One stage's scores of one input per problem, shape (k,) in the order of its values; ``None`` without any."""
        fields = self._run_stage(self.stages[stage], [given], np.arange(1), {})
        return [None if one.scores is None else one.scores[0] for one in fields]

    def _run_stage(
        self,
        stage: Stage,
        inputs: Sequence[InputParts],
        rows: npt.NDArray[np.int64],
        memory: dict[str, tuple[npt.NDArray[np.int64], list[FieldPrediction]]],
    ) -> list[FieldPrediction]:
        per_member: list[dict[str, FieldPrediction]] = []
        for name in stage.members:
            if name not in memory:
                chosen = [inputs[int(row)] for row in rows]
                memory[name] = (rows, self.components[name].predict(chosen))
            ran, predictions = memory[name]
            if len(ran) != len(rows):
                keep = np.searchsorted(ran, rows)
                predictions = [_take(prediction, keep) for prediction in predictions]
            names = [problem.field.name for problem in self.components[name].problems]
            per_member.append(dict(zip(names, predictions, strict=True)))
        return self._combined(stage, per_member)

    def _combined(
        self, stage: Stage, per_member: Sequence[Mapping[str, FieldPrediction]]
    ) -> list[FieldPrediction]:
        return [
            combine_members(
                problem, [member.get(problem.field.name) for member in per_member], stage.calibrations[at]
            )
            for at, problem in enumerate(self.problems)
        ]


def _take(prediction: FieldPrediction, rows: npt.NDArray[np.int64]) -> FieldPrediction:
    scores = None if prediction.scores is None else prediction.scores[rows]
    return FieldPrediction([prediction.values[int(row)] for row in rows], prediction.confidence[rows], scores)
