"""Suspected teacher mistakes, ranked for review, in the manner of confident learning (Northcutt, Jiang, Chuang 2021).

cleanlab does the ranking, on predictions for the select split, which their model has not seen. A suspect is a place
to look, not a verdict: a confident student can be wrong as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from understudy.dataset.dataset import Dataset
from understudy.ladder.climb import Climb
from understudy.ladder.evidence import show_value
from understudy.ladder.options import LearnOptions
from understudy.runtime.prediction import FieldPrediction
from understudy.students.targets import Targets

__all__ = ["suspects"]

_MOST = 60
_LEAST_ROWS = 30


def suspects(state: Climb, data: Dataset, options: LearnOptions) -> list[dict[str, Any]]:
    """Calls whose recorded label a well-calibrated student finds least likely, the least likely first."""
    out: list[dict[str, Any]] = []
    for target in state.select.targets:
        found = _best_scores(state, target)
        if found is not None:
            out += _rank(target, found, state, data, options)
    out.sort(key=lambda row: float(row["score"]))
    return out[:_MOST]


def _best_scores(state: Climb, target: Targets) -> FieldPrediction | None:
    """The most accurate rung's probabilities for one field."""
    name, best, best_right = target.problem.field.name, None, -1.0
    if target.problem.mode != "classify":
        return None
    codes = target.codes
    for rung in state.fitted.values():
        prediction = rung.judged.get(name)
        if prediction is not None and prediction.scores is not None:
            right = float((prediction.scores.argmax(axis=1) == codes).mean())
            if right > best_right:
                best, best_right = prediction, right
    return best


def _rank(
    target: Targets, found: FieldPrediction, state: Climb, data: Dataset, options: LearnOptions
) -> list[dict[str, Any]]:
    from cleanlab.rank import get_label_quality_scores

    assert found.scores is not None
    codes = target.codes
    rows = np.flatnonzero(codes >= 0)
    # cleanlab needs every class to have a column, not a row; fewer rows than this rank nothing.
    if len(rows) < _LEAST_ROWS or found.scores.shape[1] < 2:
        return []
    quality = get_label_quality_scores(codes[rows], found.scores[rows], method="normalized_margin")
    # Below one half, some other label is likelier than the recorded one.
    suspicious = rows[np.argsort(quality, kind="stable")][: int((quality < 0.5).sum())]
    by_row = dict(zip(rows.tolist(), quality.tolist(), strict=True))
    return [
        {
            "id": data.ids[int(state.select.rows[row])],
            "field": target.problem.field.name,
            "input": "\n".join(state.select.inputs[row])[:600] if options.keep_texts else None,
            "teacher": show_value(target.values[row]),
            "suggested": show_value(found.values[row]),
            "score": by_row[row],
        }
        for row in suspicious.tolist()[:_MOST]
    ]
