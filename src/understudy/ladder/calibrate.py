"""Calibration on the select split: one temperature or Platt line per member and field, one weight per average."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import UNKNOWN
from understudy.runtime.prediction import FieldPrediction, FloatArray
from understudy.runtime.stages import FieldCalibration, apply_calibration, combine_members
from understudy.task.problem import Problem

__all__ = ["calibrate_member", "calibrate_pair"]

_SLOPES = np.geomspace(0.15, 12.0, 60)
_WEIGHTS = np.linspace(0.0, 1.0, 11)


def _codes(problem: Problem, reference: Sequence[Any]) -> npt.NDArray[np.int64]:
    index = {(type(value), value): at for at, value in enumerate(problem.values)}
    return np.array(
        [index.get((type(value), value), -1) if value is not UNKNOWN else -1 for value in reference],
        dtype=np.int64,
    )


def _classify_loss(scores: FloatArray, codes: npt.NDArray[np.int64]) -> float:
    rows = np.flatnonzero(codes >= 0)
    return float(-np.log(np.maximum(scores[rows, codes[rows]], 1e-9)).mean()) if len(rows) else 0.0


def _labels_loss(problem: Problem, scores: FloatArray, reference: Sequence[Any]) -> float:
    rows = [row for row, value in enumerate(reference) if isinstance(value, list | tuple | set | frozenset)]
    if not rows:
        return 0.0
    truth = np.array([[label in reference[row] for label in problem.values] for row in rows])
    kept = np.clip(scores[rows], 1e-9, 1 - 1e-9)
    return float(-np.where(truth, np.log(kept), np.log(1 - kept)).mean())


def _loss(problem: Problem, scores: FloatArray, reference: Sequence[Any]) -> float:
    """Mean negative log likelihood of the reference answers."""
    if problem.mode == "classify":
        return _classify_loss(scores, _codes(problem, reference))
    return _labels_loss(problem, scores, reference)


def calibrate_member(
    problem: Problem, prediction: FieldPrediction, reference: Sequence[Any], is_right: npt.NDArray[np.bool_]
) -> FieldCalibration:
    """The calibration of one member for one field that makes the select answers most likely."""
    if prediction.scores is not None and problem.mode in ("classify", "multilabel"):
        losses = []
        for slope in _SLOPES:
            tried = apply_calibration(problem, prediction, FieldCalibration(slope=float(slope)))
            assert tried.scores is not None
            losses.append(_loss(problem, tried.scores, reference))
        return FieldCalibration(slope=float(_SLOPES[int(np.argmin(losses))]))
    return _platt_line(prediction.confidence, is_right)


def _platt_line(confidence: FloatArray, is_right: npt.NDArray[np.bool_]) -> FieldCalibration:
    """Logistic regression of "right" on the confidence's logit, with Platt's (1999) smoothed targets."""
    used = confidence > 0
    if used.sum() < 20 or is_right[used].all() or not is_right[used].any():
        return FieldCalibration()
    from scipy.optimize import minimize

    kept = np.clip(confidence[used], 1e-9, 1 - 1e-9)
    logit = np.log(kept / (1 - kept))
    right = is_right[used]
    goal = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))

    def loss(line: FloatArray) -> float:
        z = line[0] * logit + line[1]
        return float(np.mean(np.logaddexp(0, z) - goal * z))

    found = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7})
    slope, offset = (float(value) for value in found.x)
    # A falling line would reverse the order of confidences; it means that they carry no signal here.
    return FieldCalibration(slope=slope, offset=offset) if slope > 0.01 else FieldCalibration()


def calibrate_pair(
    problem: Problem,
    first: tuple[FieldPrediction, FieldCalibration],
    second: tuple[FieldPrediction, FieldCalibration],
    reference: Sequence[Any],
    is_right: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
) -> tuple[FieldCalibration, FieldCalibration]:
    """Weights of two members for one field; fields that cannot be averaged go to the better member."""
    one, two = first[1], second[1]

    def weigh(share: float) -> tuple[FieldCalibration, FieldCalibration]:
        return (
            FieldCalibration(1.0 - share, one.slope, one.offset),
            FieldCalibration(share, two.slope, two.offset),
        )

    if first[0].scores is None or second[0].scores is None:
        return weigh(1.0 if is_right[1].mean() > is_right[0].mean() else 0.0)
    losses = []
    for share in _WEIGHTS:
        mixed = combine_members(problem, [first[0], second[0]], weigh(float(share)))
        assert mixed.scores is not None
        losses.append(_loss(problem, mixed.scores, reference))
    return weigh(float(_WEIGHTS[int(np.argmin(losses))]))
