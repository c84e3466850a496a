"""Systems that can be built from the rungs at hand, and what each would cost and cover, judged on `select`.

A candidate is one stage, an average of two rungs, or a cascade of two stages. Its cost per call follows the
objective c_student + (1 - coverage) * c_teacher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.ladder.calibrate import calibrate_member, calibrate_pair
from understudy.ladder.folds import correctness
from understudy.ladder.options import Of
from understudy.runtime.prediction import FieldPrediction, FloatArray
from understudy.runtime.stages import FieldCalibration, Stage, combine_members, record_confidence
from understudy.task.problem import Problem

__all__ = ["Candidate", "Goal", "Judged", "best_candidate", "coverage_at", "judge_candidates"]

Bools = npt.NDArray[np.bool_]
_FLOOR_STEPS = 40
_TIE = 0.002


@dataclass(frozen=True, slots=True)
class Goal:
    """What candidates are judged by.

    Attributes
    ----------
    target, delta, of
        As in the options.
    teacher_usd
        Price of a deferred call; ``None`` if unknown (then coverage decides, and cost breaks near-ties).
    """

    target: float
    delta: float
    of: Of
    teacher_usd: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """One rung's predictions on `select`.

    Attributes
    ----------
    name
        Component name.
    predictions
        Per name of a field that it answers.
    cost_usd
        Per call.
    seconds
        CPU seconds per call.
    """

    name: str
    predictions: Mapping[str, FieldPrediction]
    cost_usd: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A buildable system and its figures on `select`.

    Attributes
    ----------
    stages
        What to build.
    confidence, is_right
        Per select row, shape (n,): record confidence, and whether the record equals the reference.
    fields
        Predictions per problem.
    student_usd, student_seconds
        Mean per call, deferred calls included.
    coverage
        Predicted share of answered calls at the target, 0 if the target would not be reached.
    total_usd
        Objective per call; ``None`` if the teacher's price is unknown.
    """

    stages: tuple[Stage, ...]
    confidence: FloatArray
    is_right: Bools
    fields: tuple[FieldPrediction, ...]
    student_usd: float
    student_seconds: float
    coverage: float
    total_usd: float | None

    @property
    def name(self) -> str:
        """``linear``, ``linear+frozen``, ``linear → frozen``."""
        return " → ".join(stage.rung for stage in self.stages)

    @property
    def members(self) -> list[str]:
        """Names of the components it needs."""
        return sorted({member for stage in self.stages for member in stage.members})


def coverage_at(confidence: FloatArray, is_right: Bools, goal: Goal) -> float:
    """Largest share of rows, most confident first, whose errors would pass the exact binomial test at delta.

    The same test that `certify` makes, without its order of thresholds: a forecast, not a certificate.
    """
    from scipy.stats import binom

    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    errors = np.cumsum(~is_right[order])
    answered = np.arange(1, len(order) + 1)
    # A threshold cannot part equal confidences.
    ends = (
        np.append(sorted_confidence[1:] != sorted_confidence[:-1], True) if len(order) else np.empty(0, bool)
    )
    trials = answered if goal.of == "answered" else np.full(len(order), len(order))
    p_values = binom.cdf(errors, trials, 1.0 - goal.target)
    passing = np.flatnonzero((p_values <= goal.delta) & ends & (sorted_confidence > 0))
    return float(answered[passing[-1]] / len(order)) if len(passing) else 0.0


def _objective(student_usd: float, coverage: float, goal: Goal) -> float | None:
    return None if goal.teacher_usd is None else student_usd + (1.0 - coverage) * goal.teacher_usd


def _single(
    problems: Sequence[Problem],
    stage: Stage,
    fields: Sequence[FieldPrediction],
    reference: Mapping[str, Sequence[Any]],
    cost: tuple[float, float],
    goal: Goal,
) -> Candidate:
    required = [problem.field.required for problem in problems]
    confidence = record_confidence(fields, required)
    is_right = np.ones(len(confidence), dtype=np.bool_)
    for problem, prediction in zip(problems, fields, strict=True):
        if problem.field.required:
            is_right &= correctness(problem.field, prediction.values, reference[problem.field.name])
    coverage = coverage_at(confidence, is_right, goal)
    return Candidate(
        (stage,),
        confidence,
        is_right,
        tuple(fields),
        cost[0],
        cost[1],
        coverage,
        _objective(cost[0], coverage, goal),
    )


Calibrations = dict[str, FieldCalibration]


def _calibrated(
    problems: Sequence[Problem], judged: Judged, reference: Mapping[str, Sequence[Any]]
) -> Calibrations:
    out = {}
    for problem in problems:
        name = problem.field.name
        if name in judged.predictions:
            prediction = judged.predictions[name]
            is_right = correctness(problem.field, prediction.values, reference[name])
            out[name] = calibrate_member(problem, prediction, reference[name], is_right)
    return out


def judge_candidates(
    problems: Sequence[Problem], rungs: Sequence[Judged], reference: Mapping[str, Sequence[Any]], goal: Goal
) -> list[Candidate]:
    """Every single rung, every average of two, every cascade of a rung into a later rung or average.

    A rung that lacks some fields cannot stand alone, but can lend its fields to an average.
    """
    calibrations = {judged.name: _calibrated(problems, judged, reference) for judged in rungs}
    singles: dict[str, Candidate] = {}
    for judged in rungs:
        own = calibrations[judged.name]
        if len(own) < len(problems):
            continue
        stage = Stage(judged.name, (judged.name,), tuple((own[problem.field.name],) for problem in problems))
        fields = [
            combine_members(problem, [judged.predictions[problem.field.name]], [own[problem.field.name]])
            for problem in problems
        ]
        singles[judged.name] = _single(
            problems, stage, fields, reference, (judged.cost_usd, judged.seconds), goal
        )
    out = list(singles.values())
    for at, later in enumerate(rungs):
        for earlier in rungs[:at]:
            pair = _average(problems, earlier, later, calibrations, reference, goal)
            ends = [] if pair is None else [pair]
            out += ends
            if later.name in singles:
                ends = [singles[later.name], *ends]
            if earlier.name in singles:
                chains = (_cascade(singles[earlier.name], end, earlier, goal) for end in ends)
                out += [chain for chain in chains if chain is not None]
    return out


def _average(
    problems: Sequence[Problem],
    one: Judged,
    two: Judged,
    calibrations: Mapping[str, Calibrations],
    reference: Mapping[str, Sequence[Any]],
    goal: Goal,
) -> Candidate | None:
    pairs: list[tuple[FieldCalibration | None, FieldCalibration | None]] = []
    fields = []
    for problem in problems:
        name = problem.field.name
        both = (one.predictions.get(name), two.predictions.get(name))
        own = (calibrations[one.name].get(name), calibrations[two.name].get(name))
        if both[0] is not None and both[1] is not None and own[0] is not None and own[1] is not None:
            truth = reference[name]
            is_right = (
                correctness(problem.field, both[0].values, truth),
                correctness(problem.field, both[1].values, truth),
            )
            pairs.append(calibrate_pair(problem, (both[0], own[0]), (both[1], own[1]), truth, is_right))
        elif both[0] is None and both[1] is None:
            return None
        else:
            pairs.append(own)
        fields.append(combine_members(problem, both, pairs[-1]))
    works = [
        {at for at, share in enumerate(pair) if share is not None and share.weight > 0} for pair in pairs
    ]
    if len(set.union(*works)) < 2:
        return None  # one member does all the work: the average is that member
    stage = Stage(f"{one.name}+{two.name}", (one.name, two.name), tuple(pairs))
    cost = (one.cost_usd + two.cost_usd, one.seconds + two.seconds)
    return _single(problems, stage, fields, reference, cost, goal)


def _cascade(start: Candidate, end: Candidate, first: Judged, goal: Goal) -> Candidate | None:
    """The cheapest cascade over floors; ``None`` if none is better than its end stage alone."""
    is_shared = first.name in end.stages[0].members
    best: Candidate | None = None
    floors = np.unique(np.quantile(start.confidence, np.linspace(0.0, 0.98, _FLOOR_STEPS)))
    for floor in floors:
        stops = start.confidence >= floor
        confidence = np.where(stops, start.confidence, end.confidence)
        is_right = np.where(stops, start.is_right, end.is_right)
        coverage = coverage_at(confidence, is_right, goal)
        passed = 1.0 - float(stops.mean())
        extra_usd = end.student_usd - (first.cost_usd if is_shared else 0.0)
        extra_seconds = end.student_seconds - (first.seconds if is_shared else 0.0)
        student_usd = start.student_usd + passed * extra_usd
        made = Candidate(
            (replace(start.stages[0], floor=float(floor)), end.stages[0]),
            confidence,
            is_right,
            (),
            student_usd,
            start.student_seconds + passed * extra_seconds,
            coverage,
            _objective(student_usd, coverage, goal),
        )
        if best is None or _is_better(made, best):
            best = made
    if best is None or not _is_better(best, end):
        return None
    stops = start.confidence >= (best.stages[0].floor or 0.0)
    merged = [_where(stops, one, two) for one, two in zip(start.fields, end.fields, strict=True)]
    return replace(best, fields=tuple(merged))


def _where(stops: Bools, one: FieldPrediction, two: FieldPrediction) -> FieldPrediction:
    values = [
        left if stop else right for stop, left, right in zip(stops, one.values, two.values, strict=True)
    ]
    return FieldPrediction(values, np.where(stops, one.confidence, two.confidence))


def _is_better(one: Candidate, two: Candidate) -> bool:
    """Whether `one` wins: lower objective, or without a teacher's price more coverage, then lower cost."""
    if one.total_usd is not None and two.total_usd is not None and (one.coverage > 0 or two.coverage > 0):
        return one.total_usd < two.total_usd
    if abs(one.coverage - two.coverage) > _TIE:
        return one.coverage > two.coverage
    if one.coverage == 0 and two.coverage == 0 and one.is_right.mean() != two.is_right.mean():
        return bool(one.is_right.mean() > two.is_right.mean())
    return one.student_usd < two.student_usd


def best_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """The winner; the first of equals."""
    best = candidates[0]
    for candidate in candidates[1:]:
        if _is_better(candidate, best):
            best = candidate
    return best
