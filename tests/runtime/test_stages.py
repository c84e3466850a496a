from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from understudy.calls.call import InputParts
from understudy.runtime.prediction import FieldPrediction
from understudy.runtime.stages import Cascade, FieldCalibration, Stage, apply_calibration, combine_members
from understudy.task.field import Field
from understudy.task.problem import Problem

CHOICE = Problem(Field("answer", "choice", ("a", "b")), "classify", ("a", "b"))
SPAN = Problem(Field("code", "span", nullable=True), "point", (None,))


class Fixed:
    """A component that answers `table[text]` for class a, and counts what it was asked."""

    def __init__(self, table: dict[str, float]) -> None:
        self.table, self.asked = table, list[str]()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (CHOICE,)

    def predict(self, inputs: Sequence[InputParts]) -> list[FieldPrediction]:
        self.asked += [parts[0] for parts in inputs]
        first = np.array([self.table[parts[0]] for parts in inputs])
        scores = np.stack((first, 1 - first), axis=1)
        return [FieldPrediction(["a" if p >= 0.5 else "b" for p in first], scores.max(axis=1), scores)]


def stage(name: str, members: tuple[str, ...], floor: float | None = None) -> Stage:
    return Stage(name, members, (tuple(FieldCalibration() for _ in members),), floor)


def test_a_cascade_asks_the_dear_component_only_for_unsure_inputs() -> None:
    cheap, dear = Fixed({"x": 0.99, "y": 0.6}), Fixed({"y": 0.1})
    cascade = Cascade(
        [CHOICE],
        [True],
        [stage("cheap", ("cheap",), 0.9), stage("dear", ("dear",))],
        {"cheap": cheap, "dear": dear},
    )
    found = cascade.predict([("x",), ("y",)])
    assert found.fields[0].values == ["a", "b"]
    assert found.stage.tolist() == [0, 1]
    assert dear.asked == ["y"]


def test_a_shared_member_runs_once() -> None:
    cheap, dear = Fixed({"x": 0.6, "y": 0.99}), Fixed({"x": 0.2})
    stages = [stage("cheap", ("cheap",), 0.9), stage("both", ("cheap", "dear"))]
    found = Cascade([CHOICE], [True], stages, {"cheap": cheap, "dear": dear}).predict([("x",), ("y",)])
    assert cheap.asked == ["x", "y"]
    assert found.confidence[0] == pytest.approx(0.6)  # class b: mean of 0.4 and 0.8


def test_calibration_keeps_the_value_and_moves_the_confidence() -> None:
    scores = np.array([[0.7, 0.3]])
    sharper = apply_calibration(
        CHOICE, FieldPrediction(["a"], np.array([0.7]), scores), FieldCalibration(slope=2.0)
    )
    assert sharper.values == ["a"]
    assert sharper.confidence[0] == pytest.approx(0.49 / 0.58)


def test_fields_that_cannot_be_averaged_go_to_the_heavier_member() -> None:
    one, two = FieldPrediction(["A1"], np.array([0.6])), FieldPrediction(["B2"], np.array([0.7]))
    found = combine_members(SPAN, [one, two], [FieldCalibration(weight=1.0), FieldCalibration(weight=0.0)])
    assert found.values == ["A1"]


def test_a_member_without_the_field_is_passed_over() -> None:
    only = FieldPrediction(["A1"], np.array([0.6]))
    assert combine_members(SPAN, [only, None], [FieldCalibration(), None]).values == ["A1"]


def test_stages_survive_json() -> None:
    one = Stage("both", ("a", "b"), ((FieldCalibration(0.3, 1.5, 0.1), None),), 0.8, True)
    assert Stage.from_dict(one.to_dict()) == one


def test_an_unread_answer_stays_unread_beside_a_member_without_weight() -> None:
    unread = FieldPrediction([None], np.zeros(1), np.full((1, 2), 0.5))
    other = FieldPrediction(["b"], np.array([0.9]), np.array([[0.1, 0.9]]))
    for pair in ([unread, other], [other, unread]):
        own = [FieldCalibration(float(one is unread)) for one in pair]
        mixed = combine_members(CHOICE, pair, own)
        assert mixed.values == [None]
        assert mixed.confidence[0] == 0
