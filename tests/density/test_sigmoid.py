import math

import numpy as np
import pytest
from families import SIGMOID
from hypothesis import given
from hypothesis import strategies as st

from understudy.density.sigmoid import Sigmoid, fit_sigmoid
from understudy.errors import ConfigError, DataError

LOSSES = np.linspace(0.3, 1.6, 20)
SCORES = np.array([SIGMOID.score(loss) for loss in LOSSES])


@pytest.mark.parametrize("upper", [1.0, None])
@pytest.mark.parametrize("lower", [SIGMOID.lower, None])
def test_it_finds_the_sigmoid_of_clean_points(lower, upper):
    found = fit_sigmoid(LOSSES, SCORES, chance=0.25, lower=lower, upper=upper)
    assert [found.score(loss) for loss in LOSSES] == pytest.approx(SCORES.tolist(), abs=1e-3)
    assert found.steepness == pytest.approx(SIGMOID.steepness, rel=0.02)
    assert found.midpoint == pytest.approx(SIGMOID.midpoint, abs=0.01)


def test_it_is_no_worse_than_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    scores = SCORES + 0.01 * rng.normal(size=len(SCORES))

    def errors(p):
        return p[0] + (1 - p[0]) / (1 + np.exp(p[1] * (LOSSES - p[2]))) - scores

    best = min(
        optimize.least_squares(errors, [0.25, k, 0.6], bounds=([0.2, 0.1, -3], [0.9, 60, 3])).cost
        for k in (2, 8)
    )
    found = fit_sigmoid(LOSSES, scores, chance=0.2)
    ours = 0.5 * sum((found.score(loss) - score) ** 2 for loss, score in zip(LOSSES, scores, strict=True))
    assert ours <= best * 1.002


def test_the_lower_end_is_never_below_chance():
    scores = SCORES - 0.05
    assert fit_sigmoid(LOSSES, scores, chance=0.25).lower == pytest.approx(0.25)
    assert fit_sigmoid(LOSSES, scores, chance=0.2).lower == pytest.approx(SIGMOID.lower - 0.05, abs=0.01)


def test_both_free_ends_stay_within_bounds():
    rng = np.random.default_rng(4)
    for _ in range(20):
        found = fit_sigmoid(
            LOSSES, np.clip(SCORES + 0.1 * rng.normal(size=20), 0, 1), chance=0.25, upper=None
        )
        assert 0.25 <= found.lower <= found.upper <= 1


@given(st.floats(0.27, 0.99))
def test_loss_for_turns_score_around(score):
    assert SIGMOID.score(SIGMOID.loss_for(score)) == pytest.approx(score, abs=1e-9)


def test_ends_have_no_loss():
    assert SIGMOID.loss_for(0.2) == math.inf
    assert SIGMOID.loss_for(SIGMOID.lower) == math.inf
    assert SIGMOID.loss_for(1.0) == -math.inf
    assert Sigmoid(0.0, 0.5, 1.0, 1.0).score(1e6) == 0.0


def test_rising_scores_are_refused():
    with pytest.raises(DataError, match="does not fall"):
        fit_sigmoid(LOSSES, 1 - SCORES, chance=0.0, lower=0.0)


def test_too_few_points_are_refused():
    with pytest.raises(DataError, match="4 free parameters"):
        fit_sigmoid(LOSSES[:3], SCORES[:3], upper=None)


@pytest.mark.parametrize(
    "setting",
    [{"chance": 1.0}, {"chance": -0.1}, {"lower": 1.2}, {"upper": 0.2, "chance": 0.25}, {"upper": 1.5}],
)
def test_ends_that_are_no_shares_are_refused(setting):
    with pytest.raises(ConfigError):
        fit_sigmoid(LOSSES, SCORES, **setting)
