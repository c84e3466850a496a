"""Gathers what a run found into the mapping that ``result`` documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import UNKNOWN
from understudy.certify.certification import Certification
from understudy.dataset.dataset import Dataset
from understudy.economics.curve import LearningCurve, fit_learning_curve
from understudy.ladder.build import Built, shares_by_stage
from understudy.ladder.candidates import Candidate
from understudy.ladder.climb import Climb, RungRecord
from understudy.ladder.evidence import calibration_bins, disagreements, label_table
from understudy.ladder.folds import Fold, correctness
from understudy.ladder.options import LearnOptions
from understudy.runtime.prediction import FieldPrediction, FloatArray
from understudy.runtime.stages import Stage
from understudy.task.field import Field
from understudy.task.problem import Problem

__all__ = [
    "candidate_facts",
    "certificate_dict",
    "data_facts",
    "equality_sentence",
    "evidence_facts",
    "learning_curve",
    "risk_coverage",
    "rung_facts",
]

_CURVE_POINTS = 80


def certificate_dict(certification: Certification, fields: Sequence[Field] = ()) -> dict[str, Any]:
    """The certificate with its sentence, which for texts among its `fields` says what counts as equal."""
    sentence = certification.sentence()
    if certification.is_certified and (meaning := equality_sentence(fields)) is not None:
        sentence = f"{sentence} {meaning}"
    return {**certification.to_dict(), "sentence": sentence}


def equality_sentence(fields: Sequence[Field]) -> str | None:
    """What "equal" means for the texts among `fields`, in one sentence; ``None`` without texts."""
    words = {field.name: said for field in fields if (said := field.equality_words) is not None}
    if not words:
        return None
    if len(fields) == 1:
        return f"A text counts as equal if it {next(iter(words.values()))}."
    return f"Texts count as equal if: {'; '.join(f'{name} {said}' for name, said in words.items())}."


def risk_coverage(confidence: FloatArray, is_right: npt.NDArray[np.bool_]) -> list[list[float]]:
    """Agreement among the most confident shares of select: up to 80 pairs of coverage and agreement."""
    count = len(confidence)
    if not count:
        return []
    order = np.argsort(-confidence, kind="stable")
    agreement = np.cumsum(is_right[order]) / np.arange(1, count + 1)
    # Below 20 answers a share is noise that would fill the picture.
    cuts = np.unique(np.linspace(min(20, count), count, _CURVE_POINTS).round().astype(int))
    return [[float(cut / count), float(agreement[cut - 1])] for cut in cuts]


def rung_facts(state: Climb, options: LearnOptions) -> list[dict[str, Any]]:
    """One entry per rung, tried or not."""
    singles = {candidate.name: candidate for candidate in state.candidates if len(candidate.members) == 1}
    return [_one_rung(record, state, options, singles.get(record.plan.name)) for record in state.records]


def _one_rung(
    record: RungRecord, state: Climb, options: LearnOptions, single: Candidate | None
) -> dict[str, Any]:
    fitted = record.fitted
    base: dict[str, Any] = {
        "name": record.plan.name,
        "status": "skipped" if fitted is None else ("cached" if fitted.was_cached else "fitted"),
        "reason": record.reason,
        "predicted_seconds": record.plan.fit_seconds,
    }
    if fitted is None:
        empty = (
            "fit_seconds",
            "size_bytes",
            "call_seconds",
            "call_usd",
            "float_agreement",
            "accuracy",
            "coverage",
        )
        return {**base, **dict.fromkeys(empty), "risk_coverage": [], "curve": None}
    call_seconds = fitted.facts["call_seconds"]
    accuracy = _accuracy([one.problem for one in state.select.targets], fitted.judged, state.select, options)
    return {
        **base,
        "fit_seconds": fitted.facts["fit_seconds"],
        "size_bytes": fitted.facts["size_bytes"],
        "call_seconds": call_seconds,
        "call_usd": None if call_seconds is None else call_seconds / 3600 * options.core_hour_usd,
        "float_agreement": fitted.facts["float_agreement"],
        "accuracy": accuracy | ({} if single is None else {"record": float(single.is_right.mean())}),
        "coverage": None if single is None else single.coverage,
        "risk_coverage": [] if single is None else risk_coverage(single.confidence, single.is_right),
        "curve": _curve(fitted.facts.get("curve")),
    }


def _accuracy(
    problems: Sequence[Problem], judged: Mapping[str, FieldPrediction], select: Fold, options: LearnOptions
) -> dict[str, float]:
    truth = select.reference(options.reference)
    return {
        problem.field.name: float(
            correctness(problem.field, judged[problem.field.name].values, truth[problem.field.name]).mean()
        )
        for problem in problems
        if problem.field.name in judged
    }


def learning_curve(points: Sequence[Mapping[str, int]] | None) -> LearningCurve | None:
    """The fitted curve of one rung, or ``None`` where it has no points."""
    if not points:
        return None
    return fit_learning_curve([(point["n_calls"], point["n_errors"], point["n_eval"]) for point in points])


def _curve(points: Sequence[Mapping[str, int]] | None) -> dict[str, Any] | None:
    fit = learning_curve(points)
    if fit is None or not points:
        return None
    forecast = []
    for count in np.geomspace(points[0]["n_calls"], points[-1]["n_calls"] * 8, 24):
        at = fit.predict(float(count))
        if at is not None:
            forecast.append([float(count), at.error, at.lower, at.upper])
    return {"points": list(points), "forecast": forecast, "reason": "; ".join(fit.warnings) or None}


def candidate_facts(state: Climb) -> list[dict[str, Any]]:
    """All systems judged on select."""
    return [
        {
            "name": candidate.name,
            "call_seconds": candidate.student_seconds,
            "call_usd": candidate.student_usd,
            "total_usd": candidate.total_usd,
            "coverage": candidate.coverage,
            "accuracy": float(candidate.is_right.mean()),
            "is_chosen": candidate is state.best,
        }
        for candidate in state.candidates
    ]


def data_facts(data: Dataset, state: Climb, n_certify: int) -> dict[str, Any]:
    """Sizes of the data set."""
    sample = data.inputs[:5000]
    return {
        "n_calls": len(data),
        "n_train": len(state.train),
        "n_select": len(state.select),
        "n_certify": n_certify,
        "n_holdout": len(data.rows("holdout")),
        "n_off_schema": int(data.off_schema.sum()),
        "n_exact_duplicates": int((data.exact != np.arange(len(data))).sum()),
        "n_groups": len(np.unique(data.group)),
        "mean_chars": sum(len(part) for parts in sample for part in parts) / max(len(sample), 1),
    }


def _gold_accuracy(problem: Problem, prediction: FieldPrediction, fold: Fold) -> float | None:
    """Share right by gold, answered or not, where gold is known; ``None`` where it is not."""
    truth = fold.gold[problem.field.name]
    known = np.array([value is not UNKNOWN for value in truth], dtype=np.bool_)
    return float(correctness(problem.field, prediction.values, truth)[known].mean()) if known.any() else None


def _text_lengths(
    problem: Problem, said: Sequence[Any], meant: Sequence[Any]
) -> dict[str, float | None] | None:
    """Median characters of the student's texts and of the reference's; ``None`` for fields that are not written."""
    if problem.mode != "write":
        return None
    columns = {"student": said, "reference": meant}
    lengths = {who: [len(one) for one in column if isinstance(one, str)] for who, column in columns.items()}
    return {who: float(np.median(found)) if found else None for who, found in lengths.items()}


def evidence_facts(built: Built, data: Dataset, options: LearnOptions) -> dict[str, Any]:
    """What the certify split shows."""
    evidence = built.evidence
    is_right = evidence.is_right(options.reference)
    fields = []
    for problem, prediction in zip(evidence.problems, evidence.result.fields, strict=True):
        name = problem.field.name
        certificate = built.fields[name]
        truth = evidence.fold.reference(options.reference)[name]
        right = correctness(problem.field, prediction.values, truth)
        fields.append(
            {
                "name": name,
                "kind": problem.field.kind,
                "mode": problem.mode,
                "equality": problem.field.equality_words,
                "chars": _text_lengths(problem, prediction.values, truth),
                "accuracy": float(right.mean()) if len(right) else None,
                "gold_accuracy": _gold_accuracy(problem, prediction, evidence.fold),
                "certificate": certificate_dict(certificate, [problem.field]),
                "labels": label_table(problem.field, prediction, truth, certificate.threshold),
            }
        )
    return {
        "stages": shares_by_stage(evidence, [Stage.from_dict(stage) for stage in built.manifest["stages"]]),
        "certificate": certificate_dict(
            built.record, [problem.field for problem in evidence.problems if problem.field.required]
        ),
        "fields": fields,
        "calibration": calibration_bins(evidence.result.confidence, is_right),
        "disagreements": disagreements(evidence, data.ids, options),
    }
