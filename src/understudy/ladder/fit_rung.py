"""Fit, compress, export and measure one rung; everything that is kept of it goes into one cache entry."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.ladder.cache import RungCache, load_predictions, save_predictions
from understudy.ladder.folds import Fold, correctness
from understudy.runtime.component import Component, load_component
from understudy.runtime.prediction import FieldPrediction
from understudy.students.base import LearnsRationales, Student
from understudy.task.field import values_equal
from understudy.task.problem import Problem

__all__ = ["FittedRung", "Reporter", "fit_rung", "measure_call_seconds", "silent"]

Reporter = Callable[[str], None]
_TIMED_INPUTS = 256
_FLOAT_INPUTS = 400
_SLOW_INPUTS = 32
"""Rows for timing, and for comparing with the float model, where an answer takes long."""
_CURVE_SHARES = (0.125, 0.25, 0.5)


def silent(_message: str) -> None:
    """A reporter that says nothing."""


@dataclass(frozen=True, slots=True)
class FittedRung:
    """A finished rung.

    Attributes
    ----------
    name
        Rung.
    component
        Folder of the component that would ship.
    judged
        Per field that it answers, predictions on `select` by a model that has not seen `select`.
    facts
        Measured figures: ``fit_seconds``, ``call_seconds``, ``size_bytes``, ``float_agreement``, ``curve``.
    was_cached
        Whether it came from an earlier run.
    """

    name: str
    component: Path
    judged: dict[str, FieldPrediction]
    facts: Mapping[str, Any]
    was_cached: bool


def measure_call_seconds(
    component: Component, inputs: Sequence[Any], *, most: int = _TIMED_INPUTS
) -> float | None:
    """CPU seconds per call over up to `most` inputs (all threads counted), or ``None`` without inputs."""
    sample = list(inputs[:most])
    if not sample:
        return None
    component.predict(sample[:8])
    start = time.process_time()
    component.predict(sample)
    return (time.process_time() - start) / len(sample)


def fit_rung(
    cache: RungCache,
    key: str,
    name: str,
    make: Callable[[], Student],
    train: Fold,
    select: Fold,
    *,
    with_curve: bool = True,
    report: Reporter = silent,
) -> FittedRung:
    """The rung from the cache, or freshly fitted on the fields that it can learn."""

    def build(folder: Path) -> Mapping[str, Any]:
        return _build(folder, make, train, select, with_curve=with_curve, report=report)

    entry = cache.make(key, build)
    judged = dict(zip(entry.facts["fields"], load_predictions(entry.folder / "select"), strict=True))
    return FittedRung(name, entry.folder / "component", judged, entry.facts, entry.was_cached)


def _build(
    folder: Path,
    make: Callable[[], Student],
    train: Fold,
    select: Fold,
    *,
    with_curve: bool,
    report: Reporter,
) -> dict[str, Any]:
    start = time.perf_counter()
    student = make()
    if train.rationales is not None and isinstance(student, LearnsRationales):
        student.fit(train.inputs, train.targets, rationales=train.rationales)
    else:
        student.fit(train.inputs, train.targets)
    component_folder = folder / "component"
    component_folder.mkdir()
    student.export(component_folder)
    student.settle(component_folder, select.inputs, select.targets)
    component = load_component(component_folder)
    if student.is_slow:
        report(f"answering {len(select)} calls of the select split")
    judged = component.predict(select.inputs)
    save_predictions(folder / "select", judged)
    facts: dict[str, Any] = {"float_agreement": _float_agreement(student, judged, select)}
    facts["fields"] = [target.problem.field.name for target in train.targets]
    facts["curve"] = _curve(make, train, select, judged, report) if with_curve and student.can_refit else None
    if student.can_refit and len(select):
        report("fitting again on train and select together")
        for old in component_folder.iterdir():
            old.unlink()
        both = [
            type(one)(one.problem, [*one.values, *two.values], _stack(one.soft, two.soft))
            for one, two in zip(train.targets, select.targets, strict=True)
        ]
        student = make().fit([*train.inputs, *select.inputs], both)
        student.export(component_folder)
        component = load_component(component_folder)
    student.save_state(folder)
    facts["fit_seconds"] = time.perf_counter() - start
    most = _SLOW_INPUTS if student.is_slow else _TIMED_INPUTS
    facts["call_seconds"] = measure_call_seconds(component, select.inputs or train.inputs, most=most)
    facts["size_bytes"] = sum(path.stat().st_size for path in component_folder.rglob("*") if path.is_file())
    return facts


def _stack(one: Any, two: Any) -> Any:
    return None if one is None or two is None else np.concatenate((one, two))


def _float_agreement(student: Student, judged: Sequence[FieldPrediction], select: Fold) -> float | None:
    """Share of select answers (all fields) that the export gives as the float model does; ``None`` without rows."""
    sample = select.inputs[: _SLOW_INPUTS if student.is_slow else _FLOAT_INPUTS]
    if not sample:
        return None
    same = np.ones(len(sample), dtype=np.bool_)
    for problem, exact, small in zip(student.problems_, student.predict_float(sample), judged, strict=True):
        same &= np.array([_same(problem, a, b) for a, b in zip(exact.values, small.values, strict=False)])
    return float(same.mean())


def _same(problem: Problem, left: Any, right: Any) -> bool:
    return values_equal(problem.field, left, right)


def _curve(
    make: Callable[[], Student],
    train: Fold,
    select: Fold,
    judged: Sequence[FieldPrediction],
    report: Reporter,
) -> list[dict[str, float]] | None:
    """Error on `select` against number of training calls: at an eighth, a quarter, a half, and all."""
    if len(train) < 160 or len(select) < 30:
        return None
    rng = np.random.default_rng(0)
    order = rng.permutation(len(train))
    out = []
    for share in _CURVE_SHARES:
        rows = np.sort(order[: int(share * len(train))])
        report(f"learning curve: {len(rows)} calls")
        try:
            student = make().fit(
                [train.inputs[int(row)] for row in rows], [one.take(rows) for one in train.targets]
            )
        except ValueError:
            continue  # a sample this small may lack what a model needs; the curve goes without the point
        out.append(_point(len(rows), student.predict_fields(select.inputs), select))
    return [*out, _point(len(train), judged, select)]


def _point(n_calls: int, predictions: Sequence[FieldPrediction], select: Fold) -> dict[str, float]:
    right = np.ones(len(select), dtype=np.bool_)
    for target, prediction in zip(select.targets, predictions, strict=True):
        if target.problem.field.required:
            right &= correctness(target.problem.field, prediction.values, target.values)
    return {"n_calls": n_calls, "n_eval": len(select), "n_errors": int((~right).sum())}
