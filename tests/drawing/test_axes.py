"""Scales and ticks."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.drawing.axes import Scale, fit_linear, fit_log, linear_ticks, log_ticks
from understudy.drawing.svg import compact, spread, usd_tick

SIZES = st.floats(1e-12, 1e12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_linear_scale_holds_its_values(values: list[float]) -> None:
    scale = fit_linear(values, 0.0, 100.0)
    for value in values:
        assert -1e-6 <= scale.at(value) <= 100 + 1e-6
        # Less than a millionth of the axis cannot be seen.
        assert scale.low <= value + 1e-6 * max(1, scale.high - scale.low)
    assert all(math.isfinite(tick) for tick in scale.ticks())


@given(st.lists(SIZES, min_size=1, max_size=20))
def test_log_scale_holds_its_values_in_order(values: list[float]) -> None:
    scale = fit_log(values, 0.0, 100.0)
    pixels = [scale.at(value) for value in sorted(values)]
    assert pixels == sorted(pixels)
    assert all(0 <= pixel <= 100 for pixel in pixels)
    assert 1 <= len(scale.ticks()) <= 12


def test_log_scale_of_one_value_or_none() -> None:
    assert fit_log([], 0, 10).ticks()
    assert fit_log([5.0], 0, 10, pad=1.6).at(5.0) == pytest.approx(5.0)


def test_ticks_are_round() -> None:
    assert linear_ticks(0.81, 1.0, 4) == [0.85, 0.9, 0.95, 1.0]
    assert log_ticks(0.5, 2000, 6) == [1.0, 10.0, 100.0, 1000.0]
    assert log_ticks(1, 30, 6) == [1, 2, 5, 10, 20]


def test_axis_that_grows_upwards() -> None:
    assert Scale(0, 1, 200, 20).at(1) == 20


@given(st.lists(st.floats(0, 300), min_size=1, max_size=8))
def test_labels_are_spread(wanted: list[float]) -> None:
    placed = sorted(spread(wanted, 16, 0, 300))
    assert all(two - one >= 16 - 1e-6 for one, two in pairwise(placed))
    assert max(placed) <= 300 + 1e-6


def test_short_numbers() -> None:
    assert [compact(value) for value in (7, 950, 1000, 12_000, 3_500_000, 2e9)] == [
        "7",
        "950",
        "1k",
        "12k",
        "3.5M",
        "2B",
    ]
    assert [usd_tick(value) for value in (0.001, 10, 250_000)] == ["$0.001", "$10", "$250k"]
