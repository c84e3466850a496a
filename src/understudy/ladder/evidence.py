"""What the certify split says about the built artefact: certificates, tables, calibration, disagreements.

Every number here comes from the artefact's own runtime on rows that no choice has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.certify.certification import Certification
from understudy.certify.sequence import certify_selective, grid_from_select
from understudy.ladder.candidates import Candidate
from understudy.ladder.folds import Fold, correctness
from understudy.ladder.options import LearnOptions
from understudy.runtime.prediction import FieldPrediction, FloatArray
from understudy.runtime.stages import CascadeResult
from understudy.task.field import Field
from understudy.task.problem import Problem

__all__ = [
    "Evidence",
    "calibration_bins",
    "certify_fields",
    "certify_record",
    "disagreements",
    "label_table",
    "show_value",
]

Bools = npt.NDArray[np.bool_]
_BINS = 10
_MOST_DISAGREEMENTS = 200
_MOST_CHARS = 600


@dataclass(frozen=True, slots=True)
class Evidence:
    """The certify fold and the artefact's predictions on it.

    Attributes
    ----------
    fold
        One call per near-duplicate group.
    result
        The runtime's predictions.
    problems
        The fields.
    """

    fold: Fold
    result: CascadeResult
    problems: tuple[Problem, ...]

    def is_right(self, which: Literal["teacher", "gold"]) -> Bools:
        """Per row, whether every required field equals the reference."""
        truth = self.fold.reference(which)
        right = np.ones(len(self.fold), dtype=np.bool_)
        for problem, prediction in zip(self.problems, self.result.fields, strict=True):
            if problem.field.required:
                right &= correctness(problem.field, prediction.values, truth[problem.field.name])
        return right

    def teacher_is_right(self) -> Bools:
        """Per row, whether the teacher's record equals gold."""
        right = np.ones(len(self.fold), dtype=np.bool_)
        for problem in self.problems:
            if problem.field.required:
                name = problem.field.name
                right &= correctness(problem.field, self.fold.teacher[name], self.fold.gold[name])
        return right

    def has_gold(self) -> Bools:
        """Per row, whether gold is known for every required field."""
        known = np.ones(len(self.fold), dtype=np.bool_)
        for problem in self.problems:
            if problem.field.required:
                known &= np.array(
                    [value is not UNKNOWN for value in self.fold.gold[problem.field.name]], dtype=np.bool_
                )
        return known


def certify_record(
    evidence: Evidence, best: Candidate, options: LearnOptions, delta: float, *, can_answer: bool
) -> Certification:
    """The certificate of the whole record against the chosen reference."""
    grid = grid_from_select(
        best.confidence,
        best.is_right,
        target=options.target,
        delta=delta,
        n_certify=len(evidence.fold),
        of=options.of,
    )
    confidence = evidence.result.confidence
    if not can_answer:
        # A required field that no rung writes: the runtime defers every record, so none may count as answered.
        confidence = np.full_like(confidence, np.nan)
    return certify_selective(
        confidence,
        evidence.is_right(options.reference),
        target=options.target,
        delta=delta,
        thresholds=grid,
        of=options.of,
        reference=options.reference,
    )


def certify_fields(
    evidence: Evidence, best: Candidate, select: Fold, options: LearnOptions, delta: float
) -> dict[str, Certification]:
    """One certificate per field, each at `delta` by itself."""
    out = {}
    for problem, chosen, prediction in zip(
        evidence.problems, best.fields, evidence.result.fields, strict=True
    ):
        field = problem.field
        seen = correctness(field, chosen.values, select.reference(options.reference)[field.name])
        grid = grid_from_select(
            chosen.confidence,
            seen,
            target=options.target,
            delta=delta,
            n_certify=len(evidence.fold),
            of=options.of,
        )
        out[field.name] = certify_selective(
            prediction.confidence,
            correctness(field, prediction.values, evidence.fold.reference(options.reference)[field.name]),
            target=options.target,
            delta=delta,
            thresholds=grid,
            of=options.of,
            reference=options.reference,
        )
    return out


def show_value(value: Any) -> str:
    """A value for people: absent and null are told apart."""
    if value is ABSENT:
        return "(absent)"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "(none)"
    return str(value)


def label_table(
    field: Field,
    prediction: FieldPrediction,
    reference: Sequence[Any],
    threshold: float | None,
    *,
    most: int = 200,
) -> list[dict[str, Any]]:
    """Per value of the reference: count, precision, recall, and share answered at the field's threshold."""
    if field.kind in ("span", "text", "number", "choices"):
        return _presence_table(field, prediction, reference, threshold)
    said = [show_value(value) for value in prediction.values]
    meant = [show_value(value) if value is not UNKNOWN else None for value in reference]
    return _table(said, meant, prediction.confidence, threshold)[:most]


def _presence_table(
    field: Field, prediction: FieldPrediction, reference: Sequence[Any], threshold: float | None
) -> list[dict[str, Any]]:
    right = correctness(field, prediction.values, reference)

    def kind(value: Any, is_equal: bool) -> str:
        if value is None or value is ABSENT:
            return show_value(value)
        return "given" if is_equal else "given, another"

    said = [kind(value, bool(ok)) for value, ok in zip(prediction.values, right, strict=True)]
    meant = [None if value is UNKNOWN else kind(value, True) for value in reference]
    return _table(said, meant, prediction.confidence, threshold)


def _table(
    said: Sequence[str], meant: Sequence[str | None], confidence: FloatArray, threshold: float | None
) -> list[dict[str, Any]]:
    out = []
    for label in sorted({one for one in meant if one is not None}):
        is_meant = np.array([one == label for one in meant])
        is_said = np.array([one == label for one in said])
        hits = int((is_meant & is_said).sum())
        n_said = int((is_said & np.array([one is not None for one in meant])).sum())
        served = None if threshold is None else float((confidence[is_meant] >= threshold).mean())
        out.append(
            {
                "label": label,
                "n": int(is_meant.sum()),
                "precision": hits / n_said if n_said else None,
                "recall": hits / int(is_meant.sum()),
                "coverage": served,
            }
        )
    return sorted(out, key=lambda row: (-int(row["n"]), str(row["label"])))


def calibration_bins(confidence: FloatArray, is_right: Bools) -> list[dict[str, Any]]:
    """Ten equal-width bins: how sure it was, how often it was right."""
    out: list[dict[str, Any]] = []
    for number in range(_BINS):
        low, high = number / _BINS, (number + 1) / _BINS
        inside = (confidence >= low) & ((confidence < high) if number + 1 < _BINS else (confidence <= 1))
        count = int(inside.sum())
        out.append(
            {
                "low": low,
                "high": high,
                "n": count,
                "mean_confidence": float(confidence[inside].mean()) if count else None,
                "accuracy": float(is_right[inside].mean()) if count else None,
            }
        )
    return out


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 1] + "…"


def disagreements(evidence: Evidence, ids: Sequence[str], options: LearnOptions) -> list[dict[str, Any]]:
    """The most confident differences from the reference, most confident first; texts only if allowed."""
    rows: list[dict[str, Any]] = []
    truth: Mapping[str, Sequence[Any]] = evidence.fold.reference(options.reference)
    for problem, prediction in zip(evidence.problems, evidence.result.fields, strict=True):
        name = problem.field.name
        right = correctness(problem.field, prediction.values, truth[name])
        for at in np.flatnonzero(~right):
            if truth[name][int(at)] is UNKNOWN:
                continue
            # What is written may say what the input says, so it is quoted only where inputs are.
            is_shown = options.keep_texts or problem.mode != "write"
            rows.append(
                {
                    "id": ids[int(evidence.fold.rows[at])],
                    "field": name,
                    "kind": problem.field.kind,
                    "input": _cut("\n".join(evidence.fold.inputs[int(at)])) if options.keep_texts else None,
                    "reference": _cut(show_value(truth[name][int(at)])) if is_shown else None,
                    "student": _cut(show_value(prediction.values[int(at)])) if is_shown else None,
                    "confidence": float(prediction.confidence[int(at)]),
                }
            )
    rows.sort(key=lambda row: -float(row["confidence"]))
    return rows[:_MOST_DISAGREEMENTS]
