"""Which of a writer's confidences to use: the one by which its answers on `select` are ordered best.

Knows no model: a component says what its confidences are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.runtime.component import COMPONENT_FILE, load_component
from understudy.runtime.prediction import FieldPrediction
from understudy.students.targets import Targets
from understudy.task.field import values_equal

__all__ = ["ConfidenceChoice", "area_under_risk_coverage", "choose_confidence"]

_COST_ORDER = ("mean_logprob", "margin", "samples")
_LEAST_ROWS, _MOST_ROWS = 20, 200
_SAMPLES, _MOST_SAMPLED_TOKENS = 5, 100_000
_BOOTSTRAPS, _SURE_SHARE = 200, 0.9


@runtime_checkable
class _Signals(Protocol):
    def signals(
        self, inputs: Sequence[InputParts]
    ) -> tuple[list[FieldPrediction], dict[str, list[npt.NDArray[np.float64]]]]: ...


@dataclass(frozen=True, slots=True)
class ConfidenceChoice:
    """What was chosen, and by what.

    Attributes
    ----------
    kind, samples
        As :class:`understudy.runtime.writer.Confidence` has them.
    areas
        Under the risk-coverage curve, by kind; lower is better.
    error_rate
        Of all answers, none deferred.
    n
        Answers compared.
    """

    kind: str
    samples: int
    areas: dict[str, float]
    error_rate: float
    n: int


def area_under_risk_coverage(confidence: npt.NDArray[np.float64], is_right: npt.NDArray[np.bool_]) -> float:
    """Mean, over coverages 1/n to 1, of the share of wrong answers among the most confident ones; lower is better.

    Geifman et al. 2019, "Bias-reduced uncertainty estimation for deep neural classifiers", section 2. Answers of
    equal confidence are taken in expectation over their order, so that a constant confidence has the error rate.

    Parameters
    ----------
    confidence, is_right
        Shape (n,), n at least 1.
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, wrong = confidence[order], (~is_right[order]).astype(np.float64)
    _, group, counts = np.unique(-sorted_confidence, return_inverse=True, return_counts=True)
    mean_wrong = np.bincount(group, weights=wrong) / counts
    return float((np.cumsum(mean_wrong[group]) / np.arange(1, len(wrong) + 1)).mean())


def choose_confidence(
    folder: Path, inputs: Sequence[InputParts], targets: Sequence[Targets], *, seed: int = 0
) -> ConfidenceChoice | None:
    """Choose the confidence for the component in `folder`.

    An answer is right if every required field is (all, if none is required), by the field's own equality; the
    confidence of a record is that of its least certain such field. Up to 200 rows are answered. Agreement of samples
    is compared only where that takes at most 100,000 sampled tokens. A dearer confidence must order answers better
    in nine of ten bootstrap samples of the rows, or the cheaper one stays.

    Parameters
    ----------
    folder
        A component that gives signals; its ``component.json`` may be rewritten.
    inputs, targets
        Rows that were not learnt from.
    seed
        Of the bootstrap.

    Returns
    -------
    ConfidenceChoice or None
        ``None`` where there are fewer than 20 rows with known values, or the component gives no signals.
    """
    known = np.flatnonzero(np.logical_and.reduce([target.known for target in targets]))[:_MOST_ROWS]
    if len(known) < _LEAST_ROWS:
        return None
    asked = [at for at, target in enumerate(targets) if target.problem.field.required] or list(
        range(len(targets))
    )
    rows = [inputs[int(row)] for row in known]
    with _sampling(folder, len(rows)) as component:
        if not isinstance(component, _Signals):
            return None
        predictions, signals = component.signals(rows)
    is_right = np.ones(len(rows), dtype=np.bool_)
    for at in asked:
        target, prediction = targets[at], predictions[at]
        is_right &= [
            values_equal(target.problem.field, value, target.values[int(row)])
            for value, row in zip(prediction.values, known, strict=True)
        ]
    records = {
        kind: np.minimum.reduce([signals[kind][at] for at in asked])
        for kind in _COST_ORDER
        if kind in signals
    }
    kind = _cheapest_of_the_best(records, is_right, seed)
    return ConfidenceChoice(
        kind=kind,
        samples=_SAMPLES if kind == "samples" else 0,
        areas={name: area_under_risk_coverage(one, is_right) for name, one in records.items()},
        error_rate=float(1 - is_right.mean()),
        n=len(rows),
    )


def _cheapest_of_the_best(
    records: dict[str, npt.NDArray[np.float64]], is_right: npt.NDArray[np.bool_], seed: int
) -> str:
    """Go from the cheapest to the dearest; each must clearly beat the one that is held."""
    draws = np.random.default_rng(seed).integers(0, len(is_right), (_BOOTSTRAPS, len(is_right)))
    held = next(iter(records))
    for kind in list(records)[1:]:
        better = [
            area_under_risk_coverage(records[kind][rows], is_right[rows])
            < area_under_risk_coverage(records[held][rows], is_right[rows])
            for rows in draws
        ]
        if np.mean(better) >= _SURE_SHARE:
            held = kind
    return held


@contextmanager
def _sampling(folder: Path, n_rows: int) -> Iterator[Any]:
    """Give the component, asked for samples where they are affordable; its description is put back afterwards."""
    path = folder / COMPONENT_FILE
    before = path.read_text(encoding="utf-8")
    spec = json.loads(before)
    if n_rows * int(spec["max_new_tokens"]) * _SAMPLES <= _MOST_SAMPLED_TOKENS:
        spec["confidence"] = {**spec["confidence"], "samples": _SAMPLES}
        path.write_text(json.dumps(spec), encoding="utf-8")
    try:
        yield load_component(folder)
    finally:
        path.write_text(before, encoding="utf-8")
