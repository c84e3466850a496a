import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.breakeven import break_even
from understudy.economics.comparison import compare_over_time, compare_over_volume
from understudy.economics.options import CostOption, own_option
from understudy.errors import ConfigError

API = CostOption(name="api", usd_per_call=0.001)


@given(st.floats(1e-5, 1), st.floats(0, 1e-4), st.floats(0.1, 1e4), st.floats(0.2, 1))
def test_it_agrees_with_the_break_even_of_one_student(teacher, student, build, coverage):
    plain = break_even(
        teacher_usd_per_call=teacher, student_usd_per_call=student, build_usd=build, coverage=coverage
    )
    options = [
        CostOption(name="teacher", usd_per_call=teacher),
        own_option(
            "student",
            build_usd=build,
            usd_per_hour=0,
            coverage=coverage,
            teacher_usd_per_call=teacher,
            usd_per_call=student,
        ),
    ]
    found = compare_over_volume(options, most_calls=10.0 * (plain.volume or 1_000))
    if plain.volume is None:
        assert [span.option for span in found.cheapest] == ["teacher"]
        return
    (cross,) = found.crossings
    assert cross.cheaper_after == "student"
    assert math.ceil(round(cross.x, 6)) == pytest.approx(plain.volume, abs=1)


def test_a_machine_rented_in_steps_crosses_use_at_every_step():
    machine = CostOption(name="machine", usd_per_unit_month=730, calls_per_unit_month=1e6)
    found = compare_over_volume([API, machine], most_calls=2.5e6)
    # 730 for the first million calls, 1,460 for the second: below the API from 730,000, dearer again after each step.
    assert [(round(one.x), one.cheaper_after) for one in found.crossings] == [
        (730_000, "machine"),
        (1_000_000, "api"),
        (1_460_000, "machine"),
        (2_000_000, "api"),
        (2_190_000, "machine"),
    ]
    assert [one.is_at_a_jump for one in found.crossings] == [False, True, False, True, False]


def test_a_very_fine_staircase_becomes_a_line():
    machine = CostOption(name="machine", usd_per_unit_month=1, calls_per_unit_month=1)
    found = compare_over_volume([machine], most_calls=1e9)
    assert found.totals(1e9)["machine"] == pytest.approx(1e9, rel=1 / 4096)
    assert len(found.curves["machine"].x) < 5_000


def test_a_price_that_halves_is_summed_as_its_integral():
    falling = CostOption(name="api", usd_per_call=1.0, halving_months=6)
    total = compare_over_time([falling], calls_per_month=100, months=24).totals(24)["api"]
    fine = (np.arange(240_000) + 0.5) / 10_000
    assert total == pytest.approx((100 * 2 ** (-fine / 6)).mean() * 24, rel=1e-6)


def test_growth_and_falling_prices_move_the_crossing():
    build = CostOption(name="own", once_usd=1_000, usd_per_call=0.0001)
    plain = compare_over_time([API, build], calls_per_month=100_000, months=48)
    assert plain.crossings[0].x == pytest.approx(1_000 / 90)
    grows = compare_over_time([API, build], calls_per_month=100_000, months=48, growth_per_month=0.1)
    assert grows.crossings[0].x < plain.crossings[0].x
    falls = CostOption(name="api", usd_per_call=0.001, halving_months=3)
    later = compare_over_time([falls, build], calls_per_month=100_000, months=48)
    # The whole of the falling price is 100 * 3 / ln 2 = 433 dollars: it never reaches the build.
    assert not later.crossings


def test_devices_are_bought_as_needed_and_again_after_their_life():
    device = CostOption(name="edge", usd_per_unit=100, life_months=12, calls_per_unit_month=1_000)
    found = compare_over_time([device], calls_per_month=1_500, months=30)
    totals = [found.totals(month)["edge"] for month in (6, 13, 25)]
    assert totals == [200, 400, 600]


def test_reservation_against_use():
    reserved = CostOption(name="reserved", usd_per_month=500)
    (cross,) = compare_over_volume([API, reserved], most_calls=1e7).crossings
    assert cross.x == pytest.approx(500_000)
    assert cross.cheaper_after == "reserved"
    (over_a_year,) = compare_over_volume([API, reserved], most_calls=1e8, period_months=12).crossings
    assert over_a_year.x == pytest.approx(6_000_000)


def test_unknown_options_are_left_out_and_named():
    found = compare_over_volume([API, CostOption(name="x", once_usd=None)], most_calls=10)
    assert list(found.curves) == ["api"]
    assert found.unknown == {"x": "once_usd: not given"}
    assert compare_over_volume([CostOption(name="x", once_usd=None)], most_calls=10).cheapest == ()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: compare_over_volume([API, API], most_calls=10),
        lambda: compare_over_volume([API], most_calls=0),
        lambda: compare_over_time([API], calls_per_month=0, months=3),
        lambda: compare_over_time([API], calls_per_month=1, months=0),
        lambda: compare_over_time([API], calls_per_month=1, months=12, growth_per_month=-1),
    ],
)
def test_wrong_numbers_are_told(wrong):
    with pytest.raises(ConfigError):
        wrong()


def test_ones_own_machine_time_does_not_fall_with_the_teacher_s_price():
    half = own_option(
        "half", build_usd=0.0, usd_per_hour=0.0, coverage=0.5, teacher_usd_per_call=0.002,
        usd_per_call=0.0004, halving_months=3,
    )  # fmt: skip
    totals = compare_over_time([half], calls_per_month=1_000, months=300).totals(300)
    fallen = 0.5 * 0.002 * 1_000 * 3 / math.log(2)
    assert totals["half"] == pytest.approx(0.0004 * 1_000 * 300 + fallen)
    with pytest.raises(ConfigError, match="steady_usd_per_call must be at most"):
        CostOption(name="x", usd_per_call=1.0, steady_usd_per_call=2.0)
