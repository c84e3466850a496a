"""The contract test passes for the cheap rungs, and fails for rungs that break a promise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.runtime.prediction import FieldPrediction
from understudy.students.check import check_student, toy_task
from understudy.students.linear import LinearStudent
from understudy.students.lookup import LookupStudent


def test_linear_keeps_the_contract() -> None:
    check_student(LinearStudent())


def test_lookup_keeps_its_part_of_the_contract(tmp_path: Path) -> None:
    inputs, targets = toy_task(frozenset({"classify"}))
    student = LookupStudent(0.97).fit(inputs, targets)
    known = [row for row, value in enumerate(targets[0].values) if isinstance(value, str)]
    found = student.predict_fields([inputs[row] for row in known])[0]
    hits = [row for row, sure in zip(known, found.confidence, strict=True) if sure > 0]
    assert hits
    assert all(
        targets[0].values[row] == value
        for row, value, sure in zip(known, found.values, found.confidence, strict=True)
        if sure > 0
    )
    assert student.predict_fields(["never seen"])[0].confidence[0] == 0


class Forgetful(LinearStudent):
    """Stores a changed setting."""

    def __init__(
        self,
        strength: float = 2.0,
        min_count: int = 2,
        max_features: int = 40_000,
        max_calls: int = 50_000,
        seed: int = 0,
    ) -> None:
        super().__init__(strength + 1, min_count, max_features, max_calls, seed)


class Unsure(LinearStudent):
    """Confidences beyond 1."""

    def predict_fields(self, inputs: Sequence[Any]) -> list[FieldPrediction]:
        return [
            FieldPrediction(one.values, one.confidence + 1, one.scores)
            for one in super().predict_fields(inputs)
        ]


class NotRepeatable(LinearStudent):
    """Draws without a seed."""

    def fit(self, inputs: Any, targets: Any, *, sample_weight: Any = None) -> Any:
        rows = np.random.default_rng().permutation(len(inputs))[: len(inputs) // 8]
        return super().fit([inputs[row] for row in rows], [one.take(rows) for one in targets])


@pytest.mark.parametrize("broken", [Forgetful, Unsure, NotRepeatable])
def test_broken_students_are_caught(broken: type[LinearStudent]) -> None:
    with pytest.raises(AssertionError):
        check_student(broken())
