import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.economics.scaling.bootstrap import bootstrap_fit
from understudy.economics.scaling.parametric import fit_parametric, huber_objective, refit_weighted
from understudy.economics.scaling.runs import TrainingRuns
from understudy.errors import ConfigError, DataError


def vector_of(law):
    return np.array([math.log(law.a), math.log(law.b), math.log(law.e), law.alpha, law.beta])


def test_noiseless_runs_give_back_their_law(clean_runs, truth):
    found = fit_parametric(clean_runs, n_starts=40)
    for name, value in truth.to_dict().items():
        assert found.law.to_dict()[name] == pytest.approx(value, rel=1e-3), name
    assert found.objective < 1e-9
    assert abs(found.residuals).max() < 1e-5


@settings(max_examples=25)
@given(
    st.floats(1, 12), st.floats(1, 12), st.floats(-1, 1), st.floats(0.05, 1), st.floats(0.05, 1),
    st.sampled_from([1e-3, 1e-2, 1.0]),
)  # fmt: skip
def test_the_gradient_is_the_slope(noisy_runs, a, b, e, alpha, beta, delta):
    point = np.array([a, b, e, alpha, beta])
    _, gradient = huber_objective(point, noisy_runs, delta=delta)
    step = 1e-6
    for at in range(5):
        move = np.zeros(5)
        move[at] = step
        above, below = (huber_objective(point + sign * move, noisy_runs, delta=delta)[0] for sign in (1, -1))
        # A step across the corner of a Huber term errs by at most (step * slope)**2 / delta per run.
        assert gradient[at] == pytest.approx((above - below) / (2 * step), rel=1e-3, abs=1e-4)


def test_the_objective_is_the_sum_of_hubers(noisy_runs, truth):
    value, _ = huber_objective(vector_of(truth), noisy_runs)
    residual = np.abs(np.log(noisy_runs.loss) - np.log(truth.loss(noisy_runs.parameters, noisy_runs.tokens)))
    by_hand = np.where(residual <= 1e-3, residual**2 / 2, 1e-3 * (residual - 0.5e-3)).sum()
    assert value == pytest.approx(by_hand, rel=1e-9)


def test_no_worse_than_a_general_optimiser_from_the_truth(noisy_runs, truth):
    optimize = pytest.importorskip("scipy.optimize")
    found = fit_parametric(noisy_runs, n_starts=40)

    def scaled(vector):
        value, gradient = huber_objective(vector, noisy_runs)
        return value * 1e3, gradient * 1e3

    theirs = optimize.minimize(scaled, vector_of(truth), jac=True, method="BFGS")
    assert found.objective <= theirs.fun / 1e3 * (1 + 1e-6)


def test_order_and_unit_of_runs_do_not_matter(noisy_runs):
    rows = np.random.default_rng(3).permutation(len(noisy_runs))
    one, two = fit_parametric(noisy_runs, n_starts=30), fit_parametric(noisy_runs.take(rows), n_starts=30)
    assert two.law.alpha == pytest.approx(one.law.alpha, rel=1e-5)
    billions = TrainingRuns(noisy_runs.parameters / 1e9, noisy_runs.tokens / 1e9, noisy_runs.loss)
    three = fit_parametric(billions, n_starts=30)
    assert three.law.beta == pytest.approx(one.law.beta, rel=1e-4)
    assert three.law.a == pytest.approx(one.law.a * 1e9**-one.law.alpha, rel=1e-3)


def test_same_seed_same_fit(noisy_runs):
    assert fit_parametric(noisy_runs, n_starts=10).law == fit_parametric(noisy_runs, n_starts=10).law


def test_outliers_are_reported(noisy_runs):
    loss = noisy_runs.loss.copy()
    loss[[4, 17]] = 9.0
    bad = TrainingRuns(noisy_runs.parameters, noisy_runs.tokens, loss)
    found = fit_parametric(bad, outliers="highest-loss:2", n_starts=20)
    assert found.dropped.rows == (4, 17)
    assert found.n_runs == 34
    assert json.loads(json.dumps(found.to_dict()))["dropped"]["rule"] == "highest-loss:2"


def test_weights_count_like_repeated_runs(noisy_runs):
    fit = fit_parametric(noisy_runs, n_starts=20)
    counts = np.random.default_rng(1).multinomial(36, np.full(36, 1 / 36), size=3)
    points, values = refit_weighted(fit, counts.astype(float))
    for row, point, value in zip(counts, points, values, strict=True):
        again = fit_parametric(noisy_runs.take(np.repeat(np.arange(36), row)), n_starts=40)
        assert value == pytest.approx(again.objective, rel=1e-6)
        assert point[3] == pytest.approx(again.law.alpha, abs=1e-4)


def test_bad_options_and_too_few_runs(noisy_runs):
    with pytest.raises(DataError, match="needs at least 6 runs"):
        fit_parametric(noisy_runs.take(np.arange(5)))
    with pytest.raises(ConfigError, match="n_starts"):
        fit_parametric(noisy_runs, n_starts=0)
    for delta in (0.0, math.nan):
        with pytest.raises(ConfigError, match="delta"):
            fit_parametric(noisy_runs, delta=delta)
    fit = fit_parametric(noisy_runs, n_starts=4)
    with pytest.raises(ConfigError, match="n_draws"):
        bootstrap_fit(fit, n_draws=1)
    with pytest.raises(ConfigError, match="confidence"):
        bootstrap_fit(fit, confidence=1.0)


def test_runs_without_any_scaling_are_refused_or_doubted():
    from understudy.economics.scaling.identify import fit_warnings

    rng = np.random.default_rng(0)
    flat = TrainingRuns(rng.uniform(1e8, 1e10, 30), rng.uniform(1e9, 1e11, 30), np.full(30, 3.0))
    try:
        found = fit_parametric(flat, n_starts=20)
    except DataError as error:
        assert "no scaling law" in str(error)
    else:
        assert fit_warnings(found)


def test_bootstrap_figures(noisy_runs):
    draws = bootstrap_fit(fit_parametric(noisy_runs, n_starts=20), n_draws=60, seed=4)
    assert draws.draws.shape == (60, 5)
    figures = {**draws.constants(), **draws.exponents(), "ratio": draws.tokens_per_parameter(1e21)}
    for name, figure in figures.items():
        assert figure.lower < figure.value < figure.upper, name
        assert figure.standard_error > 0
        assert figure.confidence == 0.9
    one, two = figures["parameters_exponent"], figures["tokens_exponent"]
    assert one.upper - one.lower == pytest.approx(two.upper - two.lower, rel=0.2)
    again = bootstrap_fit(fit_parametric(noisy_runs, n_starts=20), n_draws=60, seed=4)
    np.testing.assert_array_equal(draws.draws, again.draws)
    assert set(json.loads(json.dumps(draws.to_dict()))["estimates"]) > {"A", "beta", "tokens_exponent"}
    with pytest.raises(ConfigError, match="flops"):
        draws.tokens_per_parameter(-1)


def test_figures_that_do_not_exist_have_no_interval(noisy_runs):
    draws = bootstrap_fit(fit_parametric(noisy_runs, n_starts=10), n_draws=40)
    floor = draws.law.e
    # Reached by the law itself, but not by the draws whose floor lies above.
    found = draws.derive(lambda law: law.parameters_for_loss(1e15, floor + 0.01).value)
    assert found.lower is None
    assert "exists in only" in found.reason
    assert draws.derive(lambda law: None) is None
