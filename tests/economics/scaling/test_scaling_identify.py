import dataclasses

import numpy as np
import pytest
from known_runs import TRUTH, grid_runs

from understudy.economics.scaling.identify import (
    extrapolation_warnings,
    fit_warnings,
    jacobian_condition,
    runs_warnings,
)
from understudy.economics.scaling.law import ScalingLaw
from understudy.economics.scaling.parametric import fit_parametric
from understudy.economics.scaling.runs import TrainingRuns
from understudy.errors import ConfigError, DataError


def runs_at(parameters, tokens, noise=0.005, law=TRUTH):
    loss = law.loss(parameters, tokens) * np.exp(
        noise * np.random.default_rng(0).standard_normal(len(parameters))
    )
    return TrainingRuns(parameters, tokens, loss)


def at_one_ratio(n=24, ratio=20.0):
    parameters = np.geomspace(5e7, 1e10, n)
    return runs_at(parameters, ratio * parameters)


def test_a_good_design_has_no_warnings(noisy_runs):
    assert runs_warnings(noisy_runs) == ()
    assert fit_warnings(fit_parametric(noisy_runs, n_starts=40)) == ()


def test_few_runs():
    assert "9 runs for 5 constants" in runs_warnings(grid_runs(TRUTH, 3))[0]


def test_few_sizes():
    runs = grid_runs(TRUTH, 6)
    two = runs.take(np.isin(runs.parameters, np.unique(runs.parameters)[[0, 5]]))
    assert any("only 2 different sizes" in warning for warning in runs_warnings(two))


def test_less_than_a_decade():
    parameters, tokens = np.meshgrid(np.geomspace(1e9, 5e9, 5), np.geomspace(1e9, 1e11, 5))
    found = runs_warnings(runs_at(parameters.ravel(), tokens.ravel()))
    assert len(found) == 1
    assert "parameters span a factor of 5.0" in found[0]


def test_one_ratio_of_tokens_to_parameters_cannot_separate_the_terms(noisy_runs):
    runs = at_one_ratio()
    assert any("cannot be separated" in warning for warning in runs_warnings(runs))
    fit = dataclasses.replace(fit_parametric(noisy_runs, n_starts=10), law=TRUTH, runs=runs)
    assert any("not determined one by one" in warning for warning in fit_warnings(fit))


def test_what_fits_one_ratio_best_may_be_no_law_at_all():
    # Size and data terms trade places until one of them rises: the error says so and what to run.
    with pytest.raises(DataError, match="several tokens per parameter") as caught:
        fit_parametric(at_one_ratio(), n_starts=40)
    assert "alpha" in str(caught.value)


def test_condition_falls_as_ratios_spread():
    parameters = np.tile(np.geomspace(5e7, 1e10, 12), 2)
    conditions = []
    for low, high in ((20, 20.001), (15, 25), (10, 40), (5, 80)):
        runs = runs_at(parameters, parameters * np.repeat([low, high], 12))
        conditions.append(jacobian_condition(TRUTH, runs))
    assert conditions == sorted(conditions, reverse=True)
    assert conditions[0] > 1e4
    assert conditions[-1] < 50


def test_condition_is_that_of_the_derivatives(noisy_runs):
    """Against finite differences of the log loss."""
    log_n, log_d = (np.log(column).mean() for column in (noisy_runs.parameters, noisy_runs.tokens))

    def log_loss(vector):
        size, data, e, alpha, beta = vector
        law = ScalingLaw(np.exp(e), np.exp(size + alpha * log_n), np.exp(data + beta * log_d), alpha, beta)
        return np.log(law.loss(noisy_runs.parameters, noisy_runs.tokens))

    centre = np.array([
        np.log(TRUTH.a) - TRUTH.alpha * log_n, np.log(TRUTH.b) - TRUTH.beta * log_d, np.log(TRUTH.e),
        TRUTH.alpha, TRUTH.beta,
    ])  # fmt: skip
    columns = [(log_loss(centre + move) - log_loss(centre - move)) / 2e-6 for move in 1e-6 * np.eye(5)]
    jacobian = np.stack(columns, axis=1)
    by_hand = np.linalg.cond(jacobian / np.linalg.norm(jacobian, axis=0))
    assert jacobian_condition(TRUTH, noisy_runs) == pytest.approx(by_hand, rel=1e-4)


def test_a_floor_that_is_not_there():
    parameters, tokens = np.meshgrid(np.geomspace(1e6, 1e8, 6), np.geomspace(1e7, 1e9, 6))
    no_floor = ScalingLaw(0.0, 50.0, 50.0, 0.15, 0.15)
    runs = runs_at(parameters.ravel(), tokens.ravel(), 0.001, no_floor)
    assert any("E = " in warning for warning in fit_warnings(fit_parametric(runs, n_starts=60)))


def test_a_term_that_is_nowhere_seen():
    parameters, tokens = np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(1e15, 1e17, 6))
    runs = runs_at(parameters.ravel(), tokens.ravel())
    assert any(
        "term of data" in warning or "beta" in warning for warning in fit_warnings(fit_parametric(runs))
    )


def test_one_start_in_many_is_doubted(noisy_runs):
    fit = fit_parametric(noisy_runs, n_starts=40)
    lonely = dataclasses.replace(fit, n_starts_at_optimum=1)
    assert any("1 of 40 starts" in warning for warning in fit_warnings(lonely))


def test_extrapolation(noisy_runs):
    assert extrapolation_warnings(noisy_runs, 1e9, 1e10) == ()
    found = extrapolation_warnings(noisy_runs, 1e12, 1e14)
    assert len(found) == 2
    assert all("outside the range" in warning for warning in found)
    with pytest.raises(ConfigError, match="none"):
        extrapolation_warnings(TrainingRuns([], [], []), 1e9, 1e9)
