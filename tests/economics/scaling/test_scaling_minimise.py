import numpy as np
import pytest

from understudy.economics.scaling.minimise import minimise_many


def quadratic(centres, scales):
    """One bowl per row; problems are told apart by their number."""

    def objective(points, rows):
        away = points - centres[rows]
        return (scales * away**2).sum(axis=1), 2 * scales * away

    return objective


def rosenbrock(points, rows):
    x, y = points.T
    value = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    gradient = np.stack([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)], axis=1)
    return value, gradient


def test_each_row_finds_its_own_minimum():
    centres = np.random.default_rng(0).normal(size=(40, 3))
    found = minimise_many(quadratic(centres, np.array([1.0, 10.0, 1000.0])), np.zeros((40, 3)))
    np.testing.assert_allclose(found.points, centres, atol=1e-7)
    assert found.gradient_norms.max() <= 1e-7


def test_a_curved_valley():
    starts = np.random.default_rng(1).uniform(-2, 2, (50, 2))
    found = minimise_many(rosenbrock, starts)
    np.testing.assert_allclose(found.points, 1.0, atol=1e-5)
    assert found.n_iterations < 100


def test_an_absolute_value_whose_gradient_is_never_zero():
    def objective(points, rows):
        return np.abs(points).sum(axis=1), np.sign(points)

    found = minimise_many(objective, np.array([[3.0, -2.0], [0.5, 8.0]]))
    assert found.values.max() < 1e-10


def test_rows_that_start_nowhere_do_not_disturb_the_others():
    def objective(points, rows):
        with np.errstate(invalid="ignore"):
            value, gradient = (points**2).sum(axis=1), 2 * points
        return np.where(points[:, 0] > 1e6, np.nan, value), gradient

    found = minimise_many(objective, np.array([[1e7, 0.0], [3.0, 4.0]]))
    assert np.isinf(found.values[0])
    assert found.values[1] == pytest.approx(0, abs=1e-12)


def test_agrees_with_a_general_optimiser():
    optimize = pytest.importorskip("scipy.optimize")
    start = np.array([-1.2, 1.0])
    theirs = optimize.minimize(optimize.rosen, start, jac=optimize.rosen_der, method="BFGS")
    ours = minimise_many(rosenbrock, start[None, :])
    np.testing.assert_allclose(ours.points[0], theirs.x, atol=1e-4)
    assert ours.values[0] <= theirs.fun + 1e-10


def test_the_limit_of_iterations_holds():
    assert minimise_many(rosenbrock, np.array([[-1.2, 1.0]]), max_iterations=3).n_iterations == 3
