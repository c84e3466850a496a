from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.text.numbers import find_numbers, locate_number, parse_number, tidy_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12.0), ("1,234.50", 1234.5), ("1.234,50", 1234.5), ("12,5", 12.5), ("£40", 40.0), ("$46.80.", 46.8),
        ("89块", 89.0), ("1,234", 1234.0), ("0.125", 0.125), ("49,00 €", 49.0), ("-3", -3.0), ("1 234,5", 1234.5),
        ("CHF 18.20", 18.2), ("R3,499", 3499.0), ("R415", 415.0), ("，416元", 416.0), ("２５", 25.0),
    ],
)  # fmt: skip
def test_numbers_as_people_type_them(text: str, value: float) -> None:
    assert parse_number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "none", "LK-482913", "12 of 15", "--", "a1b2"])
def test_what_is_no_number_has_no_value(text: str) -> None:
    assert parse_number(text) is None


@given(st.integers(min_value=0, max_value=10**9))
def test_whole_numbers_round_trip(value: int) -> None:
    assert parse_number(str(value)) == value
    assert locate_number(float(value), [f"pay {value} now"]) == (0, 4, 4 + len(str(value)))


def test_numbers_are_found_with_their_places() -> None:
    text = "between 1,200.50 and 7"
    assert [(text[one.start : one.end], one.value) for one in find_numbers(text)] == [
        ("1,200.50", 1200.5),
        ("7", 7.0),
    ]


@given(st.text())
def test_found_numbers_stand_where_they_say(text: str) -> None:
    for one in find_numbers(text):
        assert 0 <= one.start < one.end <= len(text)


@given(st.integers(-(10**12), 10**12))
def test_a_written_number_is_found(number: int) -> None:
    assert [one.value for one in find_numbers(f"pay {number:,} now")] == [number]
    assert [one.value for one in find_numbers(f"pay {number} now")] == [number]


def test_whole_numbers_are_written_as_json_writers_do() -> None:
    assert repr(tidy_number(39.0)) == "39"
    assert repr(tidy_number(39.5)) == "39.5"
    assert tidy_number(None) is None
