import json
import sys

import numpy as np
import pytest

from understudy.economics.scaling.envelope import fit_envelope
from understudy.economics.scaling.isoflop import fit_isoflops
from understudy.economics.scaling.power import fit_power_law
from understudy.economics.scaling.runs import TrainingRuns
from understudy.errors import ConfigError, DataError, MissingDependencyError

BUDGETS = np.geomspace(1e18, 1e21, 4)


def frontier_runs(law, spread=3.0, n_sizes=9):
    sizes = [
        law.compute_optimal(flops).parameters * np.geomspace(1 / spread, spread, n_sizes) for flops in BUDGETS
    ]
    parameters = np.concatenate(sizes)
    tokens = np.repeat(BUDGETS, n_sizes) / (6 * parameters)
    return TrainingRuns(parameters, tokens, law.loss(parameters, tokens))


def test_a_power_law_without_noise():
    found = fit_power_law(BUDGETS, 0.3 * BUDGETS**0.5)
    assert found.exponent.value == pytest.approx(0.5)
    assert found.coefficient == pytest.approx(0.3)
    assert found.predict(1e24).value == pytest.approx(0.3e12)
    assert found.exponent.upper - found.exponent.lower < 1e-6


def test_a_power_law_by_hand():
    # log values 0, 1, 1 at log C 0, 1, 2: slope 1/2, residuals -1/6, 1/3, -1/6.
    found = fit_power_law(np.exp([0.0, 1.0, 2.0]), np.exp([0.0, 1.0, 1.0]), confidence=0.5)
    assert found.exponent.value == pytest.approx(0.5)
    assert found.residual_std == pytest.approx(1 / 6**0.5)
    assert found.exponent.standard_error == pytest.approx(1 / 12**0.5)
    # Student's quartile with one degree of freedom is 1.
    assert found.exponent.upper == pytest.approx(0.5 + 1 / 12**0.5)
    assert json.loads(json.dumps(found.to_dict()))["n_points"] == 3


def test_prediction_widens_away_from_the_data():
    rng = np.random.default_rng(0)
    found = fit_power_law(BUDGETS, 0.3 * BUDGETS**0.5 * np.exp(0.1 * rng.standard_normal(4)))
    inside, outside = found.predict(3e19), found.predict(1e24)
    assert inside.lower < inside.value < inside.upper
    assert outside.upper / outside.lower > inside.upper / inside.lower


def test_weights_pull_the_line():
    values = BUDGETS**0.5
    values[3] *= 10
    trusted = fit_power_law(BUDGETS, values, log_std=[0.01, 0.01, 0.01, 1.0])
    assert trusted.exponent.value == pytest.approx(0.5, abs=0.001)
    assert fit_power_law(BUDGETS, values).exponent.value > 0.55


@pytest.mark.parametrize(
    ("flops", "values", "options", "error"),
    [
        ([1e18, 1e19], [1, 2], {}, DataError),
        ([1e18, 1e18, 1e18], [1, 2, 3], {}, DataError),
        ([1e18, 1e19, 1e20], [1, -2, 3], {}, DataError),
        ([1e18, 1e19, 1e20], [1, 2], {}, DataError),
        ([1e18, 1e19, 1e20], [1, 2, 3], {"log_std": [1, 0, 1]}, DataError),
        ([1e18, 1e19, 1e20], [1, 2, 3], {"confidence": 90}, ConfigError),
    ],
)
def test_points_that_make_no_power_law(flops, values, options, error):
    with pytest.raises(error):
        fit_power_law(flops, values, **options)


def test_without_scipy_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(MissingDependencyError, match=r"understudy\[learn\]"):
        fit_power_law(BUDGETS, BUDGETS**0.5)


def test_parabolas_find_the_optimum_of_each_budget(truth):
    found = fit_isoflops(frontier_runs(truth))
    assert len(found.curves) == 4
    for curve, flops in zip(found.curves, BUDGETS, strict=True):
        best = truth.compute_optimal(flops)
        assert curve.training_flops == pytest.approx(flops)
        assert curve.parameters == pytest.approx(best.parameters, rel=0.02)
        assert curve.tokens == pytest.approx(best.tokens, rel=0.02)
        assert curve.loss == pytest.approx(best.loss, rel=1e-3)
    assert found.parameters_law.exponent.value == pytest.approx(truth.parameters_exponent, abs=0.001)
    total = found.parameters_law.exponent.value + found.tokens_law.exponent.value
    assert total == pytest.approx(1)
    assert json.loads(json.dumps(found.to_dict()))["runs_outside"] == 0


def test_budgets_given_or_found_are_the_same(truth):
    runs = frontier_runs(truth)
    one, two = fit_isoflops(runs), fit_isoflops(runs, budgets=list(BUDGETS))
    assert one.parameters_law.exponent.value == pytest.approx(two.parameters_law.exponent.value)


def test_runs_at_no_budget_are_counted(truth):
    found = fit_isoflops(frontier_runs(truth), budgets=BUDGETS[:3])
    assert found.n_outside == 9
    assert len(found.curves) == 3


def test_the_standard_error_of_a_lowest_point_is_its_scatter(truth):
    rng = np.random.default_rng(5)
    clean = frontier_runs(truth)
    logs, errors = [], []
    for _ in range(300):
        loss = clean.loss * np.exp(0.002 * rng.standard_normal(len(clean)))
        curve = fit_isoflops(TrainingRuns(clean.parameters, clean.tokens, loss)).curves[2]
        logs.append(np.log(curve.parameters))
        errors.append(curve.log_std)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(logs), rel=0.15)


def test_budgets_without_an_optimum_say_why(truth):
    one_sided = np.concatenate(
        [truth.compute_optimal(flops).parameters * np.geomspace(2, 20, 6) for flops in BUDGETS]
    )
    tokens = np.repeat(BUDGETS, 6) / (6 * one_sided)
    with pytest.raises(DataError, match="outside the sizes tried"):
        fit_isoflops(TrainingRuns(one_sided, tokens, truth.loss(one_sided, tokens)))
    runs = frontier_runs(truth)
    hump = TrainingRuns(runs.parameters, runs.tokens, 6 - runs.loss)
    with pytest.raises(DataError, match="no lowest point"):
        fit_isoflops(hump)
    with pytest.raises(DataError, match="fewer than 4 sizes"):
        fit_isoflops(runs.take(np.array([0, 1, 9, 10, 18, 19])))


@pytest.mark.parametrize("options", [{"tolerance": 0}, {"budgets": [-1e18]}, {"budgets": []}])
def test_bad_options_of_isoflops(truth, options):
    with pytest.raises(ConfigError):
        fit_isoflops(frontier_runs(truth), **options)


def test_the_envelope_takes_the_best_run_of_each_bin(truth):
    runs = frontier_runs(truth, n_sizes=21)
    found = fit_envelope(runs, n_bins=4)
    assert [runs.loss[point.row] for point in found.points] == [point.loss for point in found.points]
    for point, flops in zip(found.points, BUDGETS, strict=True):
        assert point.training_flops == pytest.approx(flops)
        assert point.parameters == pytest.approx(truth.compute_optimal(flops).parameters, rel=0.12)
    assert found.parameters_law.exponent.value == pytest.approx(truth.parameters_exponent, abs=0.02)
    assert len(json.loads(json.dumps(found.to_dict()))["points"]) == 4


def test_bins_that_do_not_improve_give_no_point(truth):
    runs = frontier_runs(truth)
    loss = runs.loss.copy()
    loss[9:18] += 5
    found = fit_envelope(TrainingRuns(runs.parameters, runs.tokens, loss), n_bins=12)
    assert len(found.points) == 3


def test_envelopes_that_cannot_be(truth):
    with pytest.raises(ConfigError, match="n_bins"):
        fit_envelope(frontier_runs(truth), n_bins=2)
    with pytest.raises(DataError, match="fewer than 3 points"):
        fit_envelope(frontier_runs(truth).take(np.arange(9)))
    with pytest.raises(DataError, match="needs runs"):
        fit_envelope(TrainingRuns([], [], []))
