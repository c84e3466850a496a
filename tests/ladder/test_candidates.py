from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from understudy.ladder.candidates import Goal, Judged, best_candidate, coverage_at, judge_candidates
from understudy.runtime.prediction import FieldPrediction
from understudy.task.field import Field
from understudy.task.problem import Problem

CHOICE = Problem(Field("answer", "choice", ("a", "b")), "classify", ("a", "b"))
GOAL = Goal(0.9, 0.05, "answered", 0.01)


def rung(name: str, right: np.ndarray, sure: np.ndarray, cost: float) -> Judged:
    """A rung that says a where it is right (the truth is always a) with the given confidence."""
    first = np.where(right, sure, 1 - sure)
    values = ["a" if ok else "b" for ok in right]
    scores = np.stack((first, 1 - first), axis=1)
    return Judged(name, {"answer": FieldPrediction(values, sure, scores)}, cost, cost * 1e5)


def test_coverage_is_the_largest_prefix_that_passes_the_exact_test() -> None:
    right = np.array([True] * 90 + [False] * 10)
    confidence = np.linspace(1, 0.1, 100)
    found = coverage_at(confidence, right, GOAL)
    errors = np.cumsum(~right)
    passing = [n for n in range(1, 101) if binom.cdf(errors[n - 1], n, 0.1) <= 0.05]
    assert found == pytest.approx(max(passing) / 100)
    assert coverage_at(confidence[:10], right[:10], GOAL) == 0  # ten answers can never reject


def test_equal_confidences_are_not_parted() -> None:
    confidence = np.array([0.9] * 50 + [0.5] * 50)
    right = np.array([True] * 60 + [False] * 40)
    assert coverage_at(confidence, right, GOAL) == 0.5


def test_a_dearer_rung_wins_only_if_its_coverage_pays() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 600)
    cheap = rung("cheap", rng.random(600) < sure, sure, 1e-8)
    good = rung("good", rng.random(600) < 0.97, np.full(600, 0.97), 1e-6)
    reference = {"answer": ["a"] * 600}
    assert "good" in best_candidate(judge_candidates([CHOICE], [cheap, good], reference, GOAL)).name
    free_teacher = Goal(0.9, 0.05, "answered", 1e-9)
    dear = rung("dear", rng.random(600) < 0.97, np.full(600, 0.97), 1.0)
    assert best_candidate(judge_candidates([CHOICE], [cheap, dear], reference, free_teacher)).name == "cheap"


def test_a_cascade_is_cheaper_than_its_end_at_like_coverage() -> None:
    rng = np.random.default_rng(1)
    easy = rng.random(800) < 0.7
    sure = np.where(easy, 0.99, 0.55)
    cheap = rung("cheap", np.where(easy, True, rng.random(800) < 0.5), sure, 1e-7)
    dear = rung("dear", np.ones(800, dtype=bool), np.full(800, 0.99), 1e-5)
    best = best_candidate(judge_candidates([CHOICE], [cheap, dear], {"answer": ["a"] * 800}, GOAL))
    assert best.name == "cheap → dear"
    assert best.student_usd < 1e-5
    assert best.coverage == pytest.approx(1.0)


def test_without_a_price_coverage_decides() -> None:
    rng = np.random.default_rng(2)
    goal = Goal(0.9, 0.05, "answered", None)
    poor = rung("poor", rng.random(400) < 0.6, rng.uniform(0.5, 1, 400), 1e-8)
    good = rung("good", rng.random(400) < 0.98, np.full(400, 0.98), 1e-3)
    best = best_candidate(judge_candidates([CHOICE], [poor, good], {"answer": ["a"] * 400}, goal))
    assert "good" in best.members
    assert best.total_usd is None
