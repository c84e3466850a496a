from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.piecewise import Curve, cheapest_spans, crossings


def line(*points: tuple[float, float]) -> Curve:
    x, y = np.array([one[0] for one in points]), np.array([one[1] for one in points])
    return Curve(x.astype(float), y[:-1].astype(float), y[1:].astype(float))


def test_two_lines_cross_once_where_they_meet():
    (found,) = crossings(line((0, 10), (100, 10)), line((0, 0), (100, 50)))
    assert found.x == pytest.approx(20)
    assert found.is_first_lower_after
    assert not found.is_at_a_jump


def test_a_jump_over_another_curve_is_a_crossing():
    steps = Curve(np.array([0.0, 10, 20]), np.array([1.0, 11]), np.array([2.0, 12]))
    (found,) = crossings(steps, line((0, 5), (20, 5)))
    assert (found.x, found.is_at_a_jump, found.is_first_lower_after) == (10, True, False)


def test_steps_are_crossed_again_and_again():
    steps = Curve(np.array([0.0, 10, 20, 30]), np.array([12.0, 24, 36]), np.array([12.0, 24, 36]))
    found = crossings(steps, line((0, 0), (30, 60)))
    # Below the line from 6 on, over it again by the step at 10, below from 12; the step at 20 stays below.
    assert [(round(one.x, 9), one.is_first_lower_after) for one in found] == [
        (6, True),
        (10, False),
        (12, True),
    ]


def test_touching_is_no_crossing():
    assert crossings(line((0, 0), (5, 5), (10, 0)), line((0, 5), (10, 5))) == []
    assert crossings(line((0, 1), (10, 1)), line((0, 1), (10, 1))) == []
    assert crossings(line((0, 0), (1, 1)), line((2, 0), (3, 1))) == []


@given(
    st.lists(st.floats(0, 100), min_size=2, max_size=6),
    st.lists(st.floats(0, 100), min_size=2, max_size=6),
)
def test_between_crossings_the_order_stays(first, second):
    one = line(*[(10 * at / (len(first) - 1), y) for at, y in enumerate(first)])
    two = line(*[(10 * at / (len(second) - 1), y) for at, y in enumerate(second)])
    found = crossings(one, two)
    stops = [0.0, *[cross.x for cross in found], 10.0]
    for low, high in pairwise(stops):
        signs = {
            np.sign(round(one.at(x) - two.at(x), 6))
            for x in np.linspace(low, high, 21)[1:-1]
            if high - low > 1e-6
        }
        assert not {-1.0, 1.0} <= signs
    for before, after in pairwise(found):
        assert before.is_first_lower_after != after.is_first_lower_after


def test_the_cheapest_of_three_changes_where_they_cross():
    curves = [line((0, 0), (10, 20)), line((0, 5), (10, 10)), line((0, 8), (10, 8))]
    assert [(round(low, 6), round(high, 6), at) for low, high, at in cheapest_spans(curves, (0.0, 10.0))] == [
        (0, round(10 / 3, 6), 0),
        (round(10 / 3, 6), 6, 1),
        (6, 10, 2),
    ]


def test_values_beyond_the_ends_are_those_at_the_ends():
    curve = line((0, 1), (10, 2))
    assert (curve.at(-5), curve.at(5), curve.at(50)) == (1, 1.5, 2)
