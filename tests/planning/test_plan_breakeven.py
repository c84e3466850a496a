import json

import pytest

from understudy.drawing.xy import draw_xy
from understudy.economics.options import CostOption
from understudy.errors import ConfigError
from understudy.planning.breakeven import Horizon, plan_breakeven
from understudy.planning.breakeven_chart import breakeven_chart
from understudy.planning.evidence import Counts, Evidence

KNOWN = Evidence(0.002, 1e-6, 50.0, 128 / 280, Counts(128, 280), 2e6)


def test_the_interval_of_coverage_becomes_one_of_volume():
    plan = plan_breakeven(KNOWN)
    low, high = plan.coverage_interval
    assert low < 128 / 280 < high
    assert plan.volume_interval[0] < plan.student.volume < plan.volume_interval[1]
    assert plan.volume_interval[0] == pytest.approx(50 / (high * 0.002 - 1e-6), abs=1)
    narrow = plan_breakeven(KNOWN, confidence=0.5)
    assert narrow.volume_interval[0] > plan.volume_interval[0]
    assert "95 % interval" in plan.sentence


def test_a_lower_end_that_never_pays_is_open():
    plan = plan_breakeven(Evidence(0.002, 0.0009, 50.0, 0.5, Counts(10, 20)))
    assert plan.volume_interval[1] is None
    assert "to never" in plan.sentence


def test_without_counts_there_is_no_interval():
    plan = plan_breakeven(Evidence(0.002, 1e-6, 50.0, 0.5))
    assert plan.coverage_interval is None
    assert plan.volume_interval is None
    assert plan.over_time is None
    assert "months" not in plan.sentence


def test_an_unknown_price_is_a_reason_and_not_a_zero():
    plan = plan_breakeven(Evidence(None, 1e-6, 50.0, 0.5, sources={"teacher_usd_per_call": "nobody said"}))
    assert plan.student.volume is None
    assert "unknown: teacher_usd_per_call" in plan.sentence
    assert "nobody said" in plan.over_volume.unknown["teacher"]
    assert "student + teacher" in plan.over_volume.unknown
    unmeasured = plan_breakeven(
        Evidence(0.002, None, 50.0, 0.5, sources={"student_usd_per_call": "not measured"})
    )
    assert "not measured" in unmeasured.over_volume.unknown["student + teacher"]


def test_nothing_known_leaves_only_the_options_given():
    plan = plan_breakeven(Evidence(), [CostOption(name="a", usd_per_call=1.0)])
    assert [option.name for option in plan.options] == ["a"]


def test_fees_need_a_volume_per_month():
    with pytest.raises(ConfigError, match="calls-per-month"):
        plan_breakeven(Evidence(0.002), [CostOption(name="rented", usd_per_month=10.0)])


def test_growth_brings_the_crossing_forward_and_a_falling_price_puts_it_off():
    own = [CostOption(name="own", once_usd=5_000.0, usd_per_call=1e-5)]
    evidence = Evidence(teacher_usd_per_call=0.002, calls_per_month=100_000)

    def month(horizon):
        return plan_breakeven(evidence, own, horizon=horizon).over_time.crossings[0].x

    plain = month(Horizon(60))
    assert month(Horizon(60, growth_per_month=0.05)) < plain < month(Horizon(60, teacher_halving_months=30))


def test_charts_and_json_hold_every_option():
    plan = plan_breakeven(
        KNOWN, [CostOption(name="rented", usd_per_unit_month=400.0, calls_per_unit_month=1e6)]
    )
    assert set(plan.over_volume.curves) == {"teacher", "student + teacher", "rented"}
    for is_over_time in (True, False):
        drawn = str(draw_xy(breakeven_chart(plan, is_over_time=is_over_time), 1000))
        assert all(name in drawn for name in plan.over_volume.curves)
    found = json.loads(json.dumps(plan.to_dict()))
    assert found["student"]["volume"] == plan.student.volume
    assert len(found["over_volume"]["crossings"]) >= 2
    with pytest.raises(ConfigError, match="volume per month"):
        breakeven_chart(plan_breakeven(Evidence(0.002, 1e-6, 1.0, 0.5)), is_over_time=True)
