import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.certify.ceiling import attainable_agreement, measure_ceiling


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8))
def test_no_student_beats_the_attainable_agreement(weights):
    p = np.array(weights) / sum(weights)
    repeats = float((p**2).sum())
    assert p.max() <= attainable_agreement(repeats, len(p)) + 1e-7
    assert attainable_agreement(repeats, len(p)) <= attainable_agreement(repeats) + 1e-7


def test_four_times_in_five():
    assert attainable_agreement(0.8**2 + 0.2**2, 2) == pytest.approx(0.8)
    assert attainable_agreement(1.0, 3) == 1
    assert attainable_agreement(0.25) == 0.5


def test_self_agreement_from_repeats():
    answers = [["a", "a"]] * 80 + [["a", "b"]] * 20 + [["a"]] * 500
    found = measure_ceiling(answers, n_labels=2)
    assert (found.n_inputs, found.self_agreement) == (100, 0.8)
    assert found.interval[0] < 0.8 < found.interval[1]
    assert found.attainable == pytest.approx((1 + math.sqrt(0.6)) / 2)


def test_three_answers_count_all_their_pairs():
    assert measure_ceiling([["a", "a", "b"]]).self_agreement == pytest.approx(1 / 3)
    assert measure_ceiling([[1, 2]], is_equal=lambda left, right: abs(left - right) <= 1).self_agreement == 1


def test_never_asked_twice_is_unknown_not_perfect():
    assert measure_ceiling([["a"], [], ["b"]]) is None


def test_targets_above_are_refused_or_warned_of():
    found = measure_ceiling([["a", "a"]] * 800 + [["a", "b"]] * 200)
    refusal = found.refusal(0.95)
    assert refusal is not None
    assert "above the noise ceiling" in refusal
    assert found.warning(0.95) is None
    assert found.refusal(0.85) is None
    assert "above the teacher's own self-agreement" in found.warning(0.85)
    assert found.warning(0.75) is None
    assert found.coverage_limit(0.95) == pytest.approx(found.attainable_upper / 0.95)
    assert found.coverage_limit(0.5) == 1
    assert found.to_dict()["n_inputs"] == 1000
