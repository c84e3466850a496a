import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.scaling.flop import inference_flops, matching_inference_tokens, training_flops
from understudy.economics.scaling.law import ScalingLaw
from understudy.errors import ConfigError

exponents = st.floats(0.1, 0.8)
laws = st.builds(
    ScalingLaw, st.floats(0.0, 3.0), st.floats(10, 5e3), st.floats(10, 5e3), exponents, exponents
)
sizes = st.floats(1e6, 1e12)


@given(laws, sizes, sizes)
def test_loss_by_hand_and_falling_in_both(law, parameters, tokens):
    by_hand = law.e + law.a / parameters**law.alpha + law.b / tokens**law.beta
    assert float(law.loss(parameters, tokens)) == pytest.approx(by_hand, rel=1e-12)
    assert law.loss(2 * parameters, tokens) < law.loss(parameters, tokens)
    assert law.loss(parameters, 2 * tokens) < law.loss(parameters, tokens)
    assert law.loss(parameters, tokens) > law.e


def test_loss_broadcasts():
    law = ScalingLaw(1.69, 406.4, 410.7, 0.34, 0.28)
    table = law.loss(np.array([1e8, 1e9, 1e10])[:, None], np.array([1e10, 1e11]))
    assert table.shape == (3, 2)
    assert table[1, 0] == law.loss(1e9, 1e10)


@given(laws, st.floats(1e15, 1e27), st.floats(0.2, 5.0))
def test_no_other_size_does_better_for_the_same_compute(law, flops, factor):
    best = law.compute_optimal(flops)
    assert best.training_flops == pytest.approx(flops)
    other = law.allocation(best.parameters * factor, best.tokens / factor)
    assert other.loss >= best.loss - 1e-12


@given(laws, st.floats(1e15, 1e24), st.floats(1.5, 1e3))
def test_the_optimum_is_a_power_of_compute(law, flops, factor):
    one, two = law.compute_optimal(flops), law.compute_optimal(flops * factor)
    assert two.parameters / one.parameters == pytest.approx(factor**law.parameters_exponent, rel=1e-9)
    assert two.tokens / one.tokens == pytest.approx(factor**law.tokens_exponent, rel=1e-9)
    assert law.parameters_exponent + law.tokens_exponent == pytest.approx(1)


@given(laws, st.floats(0.1, 10))
def test_scaling_the_loss_scales_nothing_else(law, factor):
    scaled = ScalingLaw(law.e * factor, law.a * factor, law.b * factor, law.alpha, law.beta)
    assert scaled.compute_optimal(1e21).parameters == pytest.approx(law.compute_optimal(1e21).parameters)
    assert float(scaled.loss(1e9, 1e10)) == pytest.approx(factor * float(law.loss(1e9, 1e10)))


@given(laws, st.floats(1e15, 1e26))
def test_all_ways_to_the_frontier_agree(law, flops):
    best = law.compute_optimal(flops)
    assert law.optimal_tokens(best.parameters) == pytest.approx(best.tokens, rel=1e-6)
    assert law.optimal_parameters(best.tokens) == pytest.approx(best.parameters, rel=1e-6)
    gap = best.loss - law.e
    if gap > 1e-6 * law.e:  # nearer to E the subtraction keeps too few digits
        back = law.cheapest_for_loss(best.loss)
        assert back.training_flops == pytest.approx(flops, rel=1e-3)


@given(laws, sizes, sizes)
def test_inverses_return_what_went_in(law, parameters, tokens):
    loss = float(law.loss(parameters, tokens))
    data_term, size_term = law.b * tokens**-law.beta, law.a * parameters**-law.alpha
    if data_term > 1e-6 * loss:
        assert law.tokens_for_loss(parameters, loss).value == pytest.approx(tokens, rel=1e-3)
    if size_term > 1e-6 * loss:
        assert law.parameters_for_loss(tokens, loss).value == pytest.approx(parameters, rel=1e-3)
        assert law.effective_parameters(loss, tokens).value == pytest.approx(parameters, rel=1e-3)


def test_what_cannot_be_reached_is_none_with_a_reason():
    law = ScalingLaw(1.69, 406.4, 410.7, 0.34, 0.28)
    below = law.tokens_for_loss(1e9, 1.6)
    assert below.value is None
    assert "no size and no data" in below.reason
    limited = law.tokens_for_loss(1e6, 2.0)
    assert limited.value is None
    assert "a model of 1e+06 parameters stays above" in limited.reason
    assert law.parameters_for_loss(1e6, 2.0).value is None
    assert law.cheapest_for_loss(1.69) is None
    assert law.effective_parameters(1.5).value is None
    slow = ScalingLaw(1.0, 100.0, 100.0, 0.3, 0.02)
    edge = slow.tokens_for_loss(1e9, 1.0 + 100.0 * 1e9**-0.3 + 1e-9)
    assert edge.value is None
    assert "not finite" in edge.reason


def test_effective_size_of_a_member_of_the_family_is_its_size():
    law = ScalingLaw(1.69, 406.4, 410.7, 0.34, 0.28)
    loss = float(law.loss(7e9, law.optimal_tokens(7e9)))
    assert law.effective_parameters(loss).value == pytest.approx(7e9)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_bad_numbers_are_named(value):
    law = ScalingLaw(1.69, 406.4, 410.7, 0.34, 0.28)
    for call, name in (
        (lambda: law.loss(value, 1e9), "parameters"),
        (lambda: law.loss(1e9, [1e9, value]), "tokens"),
        (lambda: law.compute_optimal(value), "flops"),
        (lambda: law.optimal_tokens(value), "parameters"),
        (lambda: law.tokens_for_loss(1e9, value), "loss"),
        (lambda: ScalingLaw(1.0, value, 1.0, 0.3, 0.3), "A of a scaling law"),
        (lambda: ScalingLaw(1.0, 1.0, 1.0, 0.3, value), "beta of a scaling law"),
        (lambda: training_flops(value, 1.0), "parameters"),
    ):
        with pytest.raises(ConfigError, match=name):
            call()


def test_flop_by_hand():
    assert training_flops(175e9, 300e9) == pytest.approx(3.15e23)
    assert inference_flops(7e9, 0) == 0
    # An answer costs a third of a training token, so three times the training tokens cost as much.
    assert matching_inference_tokens(1e12) == 3e12
    assert inference_flops(7e9, 3e12) == training_flops(7e9, 1e12)


def test_json():
    law = ScalingLaw(1.69, 406.4, 410.7, 0.34, 0.28)
    assert law.to_dict() == {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    found = json.loads(json.dumps(law.compute_optimal(1e21).to_dict()))
    assert found["tokens_per_parameter"] == pytest.approx(found["tokens"] / found["parameters"])
    assert law.tokens_for_loss(1e9, 1.0).to_dict()["value"] is None
