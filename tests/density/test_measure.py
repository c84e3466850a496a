import numpy as np
import pytest
from families import LAW, SIGMOID
from hypothesis import given
from hypothesis import strategies as st

from understudy.density.measure import effective_draws, measure
from understudy.errors import ConfigError, DataError


@given(st.floats(8.3, 10.5), st.floats(10, 13))
def test_a_model_on_the_ruler_has_density_1(exact_ruler, log_n, log_d):
    n, d = 10**log_n, 10**log_d
    by_score = measure(exact_ruler, n_parameters=n, n_tokens=d, score=exact_ruler.predict_score(n, d))
    by_loss = measure(exact_ruler, n_parameters=n, n_tokens=d, loss=exact_ruler.predict_loss(n, d))
    assert by_score.own.rho == pytest.approx(1, rel=1e-4)
    assert by_loss.own.rho == pytest.approx(1, rel=1e-6)


@given(st.floats(0.3, 0.6), st.floats(0.001, 0.05))
def test_a_better_score_is_never_a_smaller_size(noisy_ruler, score, more):
    low = measure(noisy_ruler, n_parameters=1e9, score=score).reference
    high = measure(noisy_ruler, n_parameters=1e9, score=score + more).reference
    assert low.n_effective < high.n_effective
    for one in (low, high):
        assert one.n_effective_lower is None or one.n_effective_lower <= one.n_effective
        assert one.n_effective_upper is None or one.n_effective <= one.n_effective_upper


def test_a_fixed_reference_credits_training_longer_than_it():
    from families import family

    from understudy.density.fit import fit_ruler

    ruler = fit_ruler(family(), chance=0.25, irreducible=True, n_draws=0)
    score = ruler.predict_score(7e9, 4e12)
    found = measure(ruler, n_parameters=7e9, n_tokens=4e12, score=score)
    assert found.own.rho == pytest.approx(1, rel=1e-4)
    assert found.reference.rho > 1.5
    assert found.own.rho_lower is None
    assert found.own.rho_upper is None


def test_the_number_of_questions_widens_the_interval(noisy_ruler):
    without = measure(noisy_ruler, n_parameters=1e9, score=0.4).reference
    with_noise = measure(noisy_ruler, n_parameters=1e9, score=0.4, n_items=200).reference
    assert with_noise.n_effective == without.n_effective
    assert with_noise.n_effective_lower < without.n_effective_lower
    assert with_noise.n_effective_upper is None or with_noise.n_effective_upper > without.n_effective_upper


def test_a_mixture_of_experts_has_two_densities(noisy_ruler):
    found = measure(noisy_ruler, n_parameters=8e9, n_active_parameters=2e9, score=0.5).reference
    assert found.rho_active == pytest.approx(4 * found.rho)
    assert found.rho_active_lower == pytest.approx(4 * found.rho_lower)
    assert measure(noisy_ruler, n_parameters=8e9, score=0.5).reference.rho_active is None


@pytest.mark.parametrize(
    ("score", "flags", "is_known"),
    [
        (0.24, ("below_chance",), False),
        (0.255, ("below_chance",), False),  # above chance, below the fitted lower end
        (0.27, ("near_chance",), True),
        (1.0, ("saturated",), False),
        (0.97, ("saturated", "not_invertible"), False),
    ],
)
def test_ends_of_the_sigmoid_are_flagged(exact_ruler, score, flags, is_known):
    found = measure(exact_ruler, n_parameters=1e9, score=score).reference
    assert set(flags) <= set(found.flags)
    assert (found.rho is not None) == is_known
    assert (found.reason is None) == is_known


def test_a_loss_below_what_the_tokens_allow_has_no_size(exact_ruler):
    found = measure(exact_ruler, n_parameters=1e9, n_tokens=1e9, loss=LAW.e + 0.1)
    assert found.own.n_effective is None
    assert found.own.flags[0] == "not_invertible"
    assert "no size of the reference" in found.own.reason


def test_far_from_the_family_is_flagged(exact_ruler):
    inside = measure(exact_ruler, n_parameters=1e9, n_tokens=1e11, score=exact_ruler.predict_score(1e9, 1e11))
    assert inside.own.flags == ()
    assert inside.reference.flags == ()  # 1T is less than 4 times the family's most tokens
    beyond = measure(exact_ruler, n_parameters=1e9, score=0.35, reference_tokens=2e12)
    assert "extrapolated" in beyond.reference.flags
    far = measure(exact_ruler, n_parameters=1e9, n_tokens=1e11, score=exact_ruler.predict_score(3e10, 1e11))
    assert "extrapolated" in far.own.flags
    wide = measure(
        exact_ruler,
        n_parameters=1e9,
        n_tokens=1e11,
        score=exact_ruler.predict_score(3e10, 1e11),
        extrapolation_factor=100,
    )
    assert "extrapolated" not in wide.own.flags


def test_an_unknown_token_count_gives_no_answer_at_its_own(noisy_ruler):
    found = measure(noisy_ruler, n_parameters=1e9, score=0.4)
    assert found.own is None
    assert found.reference.rho is not None
    assert found.to_dict()["own"] is None


def test_draws_are_the_same_rulers_for_every_model(noisy_ruler):
    first = effective_draws(noisy_ruler, score=0.4, n_tokens=1e12)
    assert len(first) == 60
    assert np.array_equal(first, effective_draws(noisy_ruler, score=0.4, n_tokens=1e12))
    better = effective_draws(noisy_ruler, score=0.41, n_tokens=1e12)
    assert (better > first).all()
    # All of this ruler's lower ends are above a score of 0.2.
    assert (effective_draws(noisy_ruler, score=0.2, n_tokens=1e12) == 0).all()


@pytest.mark.parametrize(
    ("given_", "error", "words"),
    [
        ({"score": 41.0}, DataError, "share from 0 to 1"),
        ({"score": float("nan")}, DataError, "share from 0 to 1"),
        ({"score": 0.4, "loss": 1.0}, ConfigError, "not both"),
        ({}, ConfigError, "not both"),
        ({"score": 0.4, "n_parameters": 0}, DataError, "n_parameters must be above 0"),
        ({"score": 0.4, "n_tokens": -1}, DataError, "n_tokens must be above 0"),
        ({"loss": 0.0}, DataError, "loss must be above 0"),
        ({"score": 0.4, "n_items": 0}, DataError, "n_items must be above 0"),
        ({"score": 0.4, "n_active_parameters": 2e9}, DataError, "no more active"),
        ({"score": 0.4, "confidence": 1.0}, ConfigError, "confidence"),
        ({"score": 0.4, "extrapolation_factor": 0.5}, ConfigError, "factor"),
    ],
)
def test_what_is_out_of_range_is_refused(noisy_ruler, given_, error, words):
    with pytest.raises(error, match=words):
        measure(noisy_ruler, **{"n_parameters": 1e9, **given_})


def test_the_truth_lies_in_the_interval_of_this_family(noisy_ruler):
    n, d = 1e9, 5e10
    found = measure(noisy_ruler, n_parameters=n, n_tokens=d, score=SIGMOID.score(LAW.loss(n, d))).own
    assert found.rho_lower < 1 < found.rho_upper
