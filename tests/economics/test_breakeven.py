import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.breakeven import break_even
from understudy.errors import ConfigError

KNOWN = {"teacher_usd_per_call": 0.001, "student_usd_per_call": 1e-6, "build_usd": 10.0, "coverage": 0.9}


def test_the_volume_by_hand():
    found = break_even(**KNOWN)
    assert found.saving_usd_per_call == pytest.approx(0.000899)
    assert found.system_usd_per_call == pytest.approx(0.000101)
    assert found.volume == 11_124
    assert (
        break_even(teacher_usd_per_call=0.1, student_usd_per_call=0, build_usd=10, coverage=1).volume == 100
    )
    assert break_even(**{**KNOWN, "build_usd": 0.0}).volume == 1


@given(st.floats(1e-6, 1), st.floats(0, 1e-3), st.floats(0, 1e4), st.floats(0, 1))
def test_at_the_volume_the_totals_cross(teacher, student, build, coverage):
    found = break_even(
        teacher_usd_per_call=teacher, student_usd_per_call=student, build_usd=build, coverage=coverage
    )
    if found.volume is None:
        assert found.reason
        assert found.saving_usd_per_call < 1e-9
        return
    at = found.at(found.volume)
    assert at.student_usd <= at.teacher_usd * (1 + 1e-6) + found.saving_usd_per_call * 1e-5
    if found.volume > 1:
        before = found.at(found.volume - 1)
        assert before.student_usd >= before.teacher_usd * (1 - 1e-6) - found.saving_usd_per_call * 1e-5


@pytest.mark.parametrize("name", KNOWN)
def test_an_unknown_price_makes_an_unknown_volume(name):
    found = break_even(**{**KNOWN, name: None})
    assert found.volume is None
    assert found.reason == f"unknown: {name}"
    assert any(point.student_usd is None or point.teacher_usd is None for point in found.series())


def test_never_has_its_reason():
    assert "answers no call" in break_even(**{**KNOWN, "coverage": 0.0}).reason
    assert "as much as the teacher's" in break_even(**{**KNOWN, "student_usd_per_call": 0.01}).reason


def test_the_series_spans_the_crossing():
    found = break_even(**KNOWN)
    points = found.series()
    assert points[0].student_usd > points[0].teacher_usd
    assert points[-1].student_usd < points[-1].teacher_usd
    assert [point.volume for point in found.series([1, 10])] == [1, 10]
    json.dumps(found.to_dict())


@pytest.mark.parametrize(
    "change", [{"coverage": 1.1}, {"build_usd": -1.0}, {"teacher_usd_per_call": float("inf")}]
)
def test_impossible_values_are_refused(change):
    with pytest.raises(ConfigError):
        break_even(**{**KNOWN, **change})
