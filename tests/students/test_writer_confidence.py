"""The confidence that orders answers best is taken; a dearer one only where it is clearly better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.calls.call import UNKNOWN
from understudy.runtime.prediction import FieldPrediction
from understudy.students import confidence_choice
from understudy.students.confidence_choice import area_under_risk_coverage, choose_confidence
from understudy.students.targets import Targets
from understudy.task.field import Field
from understudy.task.problem import Problem

NOTE = Problem(Field("note", "text"), "write")
SIDE = Problem(Field("side", "text", required=False), "write")
N = 120


def test_area_is_the_mean_risk_over_coverages() -> None:
    is_right = np.array([True, False, True, False])
    assert area_under_risk_coverage(np.array([4.0, 3, 2, 1]), is_right) == pytest.approx(
        (0 + 1 / 2 + 1 / 3 + 2 / 4) / 4
    )
    assert area_under_risk_coverage(np.array([4.0, 1, 3, 2]), is_right) < area_under_risk_coverage(
        np.array([1.0, 4, 2, 3]), is_right
    )


def test_a_confidence_that_says_nothing_has_the_error_rate_in_any_order() -> None:
    is_right = np.array([True, False, False, True])
    for order in ([0, 1, 2, 3], [1, 2, 0, 3]):
        assert area_under_risk_coverage(np.ones(4), is_right[order]) == pytest.approx(0.5)


class FakeWriter:
    """Answers 'yes'; its signals are what the test says."""

    def __init__(self, signals: dict[str, Any]) -> None:
        self.given = signals

    def signals(self, inputs: Any) -> Any:
        values = ["yes"] * len(inputs)
        told = {kind: [np.asarray(one)[: len(inputs)]] * 2 for kind, one in self.given.items()}
        return [FieldPrediction(values, np.ones(len(inputs)))] * 2, told


def choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: dict[str, Any], most: int = 10, n: int = N
) -> Any:
    before = {"max_new_tokens": most, "confidence": {"kind": "mean_logprob", "samples": 0}}
    path = tmp_path / "component.json"
    path.write_text(json.dumps(before))
    seen: list[int] = []

    def load(folder: Path) -> FakeWriter:
        seen.append(json.loads((folder / "component.json").read_text())["confidence"]["samples"])
        return FakeWriter(signals)

    monkeypatch.setattr(confidence_choice, "load_component", load)
    wanted = ["yes" if at % 3 else "no" for at in range(n)]
    targets = [Targets(NOTE, wanted), Targets(SIDE, ["never"] * n)]
    found = choose_confidence(tmp_path, [("x",)] * n, targets)
    assert json.loads(path.read_text()) == before
    return found, seen


RIGHT = np.array([at % 3 != 0 for at in range(N)], dtype=np.float64)
NOISE = np.random.default_rng(0).random(N)


def test_the_better_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signals = {"mean_logprob": NOISE, "margin": 0.5 * NOISE + 0.2 * RIGHT, "samples": 0.5 * NOISE + RIGHT}
    found, seen = choose(tmp_path, monkeypatch, signals)
    assert (found.kind, found.samples, found.n) == ("samples", 5, N)
    assert found.error_rate == pytest.approx(1 / 3)  # the field that is not required has no say
    assert found.areas["samples"] < found.areas["margin"] < found.areas["mean_logprob"]
    assert seen == [5]


def test_ties_go_to_the_cheapest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signals = {"mean_logprob": NOISE + RIGHT, "margin": NOISE + RIGHT, "samples": NOISE + RIGHT}
    found, _ = choose(tmp_path, monkeypatch, signals)
    assert (found.kind, found.samples) == ("mean_logprob", 0)


def test_samples_are_not_drawn_where_that_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, seen = choose(tmp_path, monkeypatch, {"mean_logprob": NOISE, "margin": RIGHT}, most=500)
    assert seen == [0]
    assert found.kind == "margin"


def test_too_few_rows_choose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, seen = choose(tmp_path, monkeypatch, {"mean_logprob": NOISE}, n=19)
    assert found is None
    assert seen == []
    unknown = [Targets(NOTE, [UNKNOWN] * N)]
    assert choose_confidence(tmp_path, [("x",)] * N, unknown) is None
