"""Normal forms: what counts as the same input, what stands in a text, which numbers it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.text.normalise import input_key, normalise_text, stands_in, text_of_part


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


def test_text_of_part() -> None:
    assert text_of_part(["a", "b"]) == "a\nb"
    assert text_of_part(True) == "true"
    assert text_of_part(2) == "2"
    assert text_of_part(None) == ""
    assert text_of_part({"a": 1}) is None
