import json
from dataclasses import replace

import pytest

from understudy.drawing.xy import draw_xy
from understudy.economics.options import CostOption
from understudy.errors import ConfigError
from understudy.planning.breakeven import Horizon, plan_breakeven
from understudy.planning.breakeven_chart import breakeven_chart
from understudy.planning.evidence import Counts, Evidence
from understudy.planning.payback import duration_words

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


SLOW = Evidence(0.002, 2e-8, 3_000.0, 128 / 280, Counts(128, 280), 1e5)


def test_the_sentence_agrees_with_the_totals_over_time():
    plain = plan_breakeven(SLOW)
    assert plain.sentence.endswith("2.7 years at 100,000 calls a month.")
    never = plan_breakeven(SLOW, horizon=Horizon(teacher_halving_months=6))
    totals = never.totals_usd(36)
    assert totals["teacher"] < totals["student + teacher"]
    assert "At today's prices the student pays back after 3,281,322 calls" in never.sentence
    assert never.sentence.endswith("not within 36 months.")
    grown = plan_breakeven(SLOW, horizon=Horizon(growth_per_month=0.05))
    cross = next(one.x for one in grown.over_time.crossings if one.cheaper_after == "student + teacher")
    assert grown.payback.months == pytest.approx(cross)
    assert f"after {cross:.1f} months (95 % interval: " in grown.sentence


def test_the_interval_of_coverage_becomes_one_of_months():
    plan = plan_breakeven(SLOW, horizon=Horizon(growth_per_month=0.05))
    early, late = plan.payback_interval
    assert early.months < plan.payback.months < late.months
    half = plan_breakeven(SLOW, horizon=Horizon(32, growth_per_month=0.0, teacher_halving_months=300))
    early, late = half.payback_interval
    assert early.months is not None
    assert late.months is None
    assert "to not within 32 months" in half.sentence
    assert json.loads(json.dumps(half.to_dict()))["payback_interval"][1] == {"months": None, "until": None}


def test_a_falling_price_can_take_the_saving_back():
    dear = Evidence(0.002, 4e-4, 50.0, 0.5, calls_per_month=1e5)
    plan = plan_breakeven(dear, horizon=Horizon(60, teacher_halving_months=6))
    assert 0 < plan.payback.months < plan.payback.until < 60
    assert f"cheaper again from month {plan.payback.until:.1f} on" in plan.sentence
    free = plan_breakeven(replace(dear, build_usd=0.0), horizon=Horizon(60, teacher_halving_months=6))
    assert free.payback.months == 0
    assert free.payback.until is not None
    assert ": at once, and the teacher" in free.sentence


def test_unknown_costs_leave_the_months_unknown():
    assert plan_breakeven(replace(SLOW, student_usd_per_call=None)).payback is None
    assert plan_breakeven(replace(SLOW, calls_per_month=None)).payback is None


@pytest.mark.parametrize(
    ("months", "words"),
    [(0.01, "under a day"), (0.5, "15.2 days"), (24, "24.0 months"), (36, "3.0 years")],
)
def test_durations_are_told_in_days_months_and_years(months, words):
    assert duration_words(months) == words


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
