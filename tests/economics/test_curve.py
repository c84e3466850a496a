import json

import numpy as np
import pytest

from understudy.economics.curve import CurvePoint, fit_learning_curve
from understudy.errors import DataError

SIZES = (250, 500, 1000, 2000, 4000)


def measured(rng=None, a=3.0, b=0.5, c=0.03, n_eval=2000, sizes=SIZES):
    out = []
    for n in sizes:
        error = a * n**-b + c
        out.append((n, round(n_eval * error) if rng is None else int(rng.binomial(n_eval, error)), n_eval))
    return out


def test_it_recovers_a_clean_power_law():
    curve = fit_learning_curve(measured(n_eval=10_000_000))
    assert (curve.a, curve.b, curve.c) == pytest.approx((3.0, 0.5, 0.03), rel=0.05)
    assert curve.predict(16_000).error == pytest.approx(3 * 16_000**-0.5 + 0.03, abs=1e-3)
    assert curve.predict(16_000).is_extrapolated
    assert not curve.predict(1_000).is_extrapolated
    assert curve.n_for(0.07).n_train == pytest.approx((3 / 0.04) ** 2, rel=0.1)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    truth = 3 * 16_000**-0.5 + 0.03
    curves = [fit_learning_curve(measured(rng), seed=seed, n_bootstrap=100) for seed in range(60)]
    covered = sum(p.lower <= truth <= p.upper for p in (curve.predict(16_000) for curve in curves))
    assert covered >= 48  # 54 expected at 90 %


def test_below_the_irreducible_error_there_is_no_number():
    found = fit_learning_curve(measured(n_eval=1_000_000)).n_for(0.02)
    assert found.n_train is None
    assert "levels off" in found.reason


def test_too_far_is_not_predicted():
    found = fit_learning_curve(measured(a=1.0, b=0.1, c=0.0, n_eval=1_000_000)).n_for(0.1)
    assert found.n_train is None
    assert found.reason is not None


@pytest.mark.parametrize("points", [[(100, 5, 100)], [(100, 30, 100), (200, 20, 100)], [(100, 30, 100)] * 5])
def test_fewer_than_three_sizes_are_not_fitted(points):
    curve = fit_learning_curve(points)
    assert not curve.is_identified
    assert curve.predict(1000) is None
    assert "fewer than 3" in curve.n_for(0.1).reason
    assert json.loads(json.dumps(curve.to_dict()))["forecast"] == []


@pytest.mark.parametrize(("errors", "word"), [((500, 498, 503), "flat"), ((300, 400, 500), "rises")])
def test_flat_and_rising_errors_are_warned_of(errors, word):
    curve = fit_learning_curve([(n, e, 1000) for n, e in zip((100, 1000, 10_000), errors, strict=True)])
    assert not curve.is_identified
    assert word in " ".join(curve.warnings)
    assert curve.n_for(0.1).n_train is None


def test_points_off_any_power_law_are_warned_of():
    points = [(100, 5000, 10_000), (200, 1000, 10_000), (400, 4000, 10_000), (800, 500, 10_000)]
    assert "do not lie on a power law" in " ".join(fit_learning_curve(points).warnings)


def test_no_errors_at_all():
    curve = fit_learning_curve([(n, 0, 100) for n in (10, 100, 1000)])
    assert curve.predict(100).error == pytest.approx(0, abs=1e-9)
    assert curve.n_for(0.05).n_train in (1.0, None)


def test_the_order_of_points_and_the_seed_fix_the_result():
    points = measured(np.random.default_rng(2))
    assert fit_learning_curve(points) == fit_learning_curve(points[::-1])


def test_impossible_points_are_refused():
    with pytest.raises(DataError, match="impossible"):
        CurvePoint(0, 1, 10)
    with pytest.raises(DataError, match="impossible"):
        CurvePoint(10, 11, 10)
    with pytest.raises(DataError, match="at least one"):
        fit_learning_curve([])
