import numpy as np
import pytest
from families import LAW, family
from hypothesis import given
from hypothesis import strategies as st

from understudy.density.loss_law import LAWS, LossLaw, compare_laws, fit_law, objective_of
from understudy.errors import DataError


def columns(points):
    return tuple(
        np.array([getattr(one, name) for one in points]) for name in ("n_parameters", "n_tokens", "loss")
    )


def test_it_finds_the_law_of_a_clean_family():
    n, d, loss = columns(family())
    found = fit_law(n, d, loss, has_irreducible=True)
    for size, tokens in zip(n, d, strict=True):
        assert found.loss(size, tokens) == pytest.approx(LAW.loss(size, tokens), rel=2e-4)
    assert found.alpha == pytest.approx(LAW.alpha, abs=0.02)
    assert found.beta == pytest.approx(LAW.beta, abs=0.02)


def test_it_is_no_worse_than_scipy_from_many_starts():
    optimize = pytest.importorskip("scipy.optimize")
    n, d, loss = columns(family(np.random.default_rng(1)))
    log_n, log_d, log_loss = np.log(n), np.log(d), np.log(loss)

    def objective(p):
        terms = np.stack([p[0] - p[1] * log_n, p[2] - p[3] * log_d, np.full_like(log_n, p[4])])
        size = np.abs(log_loss - np.logaddexp.reduce(terms, axis=0))
        return np.where(size <= 1e-3, size**2 / 2, 1e-3 * (size - 5e-4)).sum()

    best = min(
        optimize.minimize(objective, [a, 0.3, b, 0.3, e], method="L-BFGS-B").fun
        for a in (2.0, 5.0) for b in (2.0, 5.0) for e in (-2.0, -0.5)
    )  # fmt: skip
    found = fit_law(n, d, loss, has_irreducible=True)
    assert objective_of(found, n, d, loss) <= best * 1.001


def test_without_an_irreducible_term_there_is_none():
    n, d, loss = columns(family(np.random.default_rng(1)))
    assert fit_law(n, d, loss, has_irreducible=False).e == 0.0


def test_outliers_hardly_move_it():
    n, d, loss = columns(family())
    spoilt = loss.copy()
    spoilt[5] *= 1.2
    found = fit_law(n, d, spoilt, has_irreducible=True)
    assert found.loss(1e9, 1e11) == pytest.approx(LAW.loss(1e9, 1e11), rel=5e-3)


def test_evidence_tells_a_law_with_a_floor_from_one_without():
    n, d, loss = columns(family(np.random.default_rng(2), log_loss_noise=0.001))
    without, with_e = compare_laws(n, d, loss)
    assert (without.n_parameters_fitted, with_e.n_parameters_fitted) == (4, 5)
    assert with_e.aicc < without.aicc
    assert with_e.held_out_rms_log_error < without.held_out_rms_log_error


def test_too_few_models_give_no_evidence_but_a_fit():
    n, d, loss = columns(family()[:6])
    without, with_e = compare_laws(n, d, loss)
    assert without.held_out_rms_log_error is None
    assert with_e.aicc is None


@pytest.mark.parametrize(
    ("n", "d", "words"),
    [
        ([1e8, 2e8, 3e8], [1e9, 2e9, 3e9], "at least as many points"),
        ([1e8] * 6, [1e9, 2e9, 3e9, 4e9, 5e9, 6e9], "all sizes are equal"),
        ([1e8, 2e8, 3e8, 4e8, 5e8, 6e8], [1e12] * 6, "all token counts are equal"),
        ([1e8, 2e8, 3e8, 4e8, 5e8, 6e8], [2e9, 4e9, 6e9, 8e9, 1e10, 1.2e10], "rise together"),
    ],
)
def test_a_design_that_cannot_tell_is_refused(n, d, words):
    with pytest.raises(DataError, match=words):
        fit_law(np.array(n), np.array(d), np.linspace(3, 2, len(n)), has_irreducible=False)


@given(st.floats(7.5, 11.5), st.floats(9, 13))
def test_size_for_turns_loss_around(log_n, log_d):
    for law in (LAW, *(law for law, _ in LAWS.values())):
        n, d = 10**log_n, 10**log_d
        assert law.size_for(law.loss(n, d), d) == pytest.approx(n, rel=1e-6)


def test_no_size_reaches_a_loss_below_what_the_data_leave():
    assert LAW.size_for(LAW.e + 0.01, 1e9) == float("inf")
    assert LossLaw(1, 0.1, 1, 0.1).size_for(1e-9, 1e9) == float("inf")
