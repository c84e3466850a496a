from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy.text.spans import locate


def test_exact_match_on_word_borders_wins() -> None:
    assert locate("cat", ["concatenate the cat"]) == (0, 16, 19)
    assert locate("Cat", ["the CAT sat"]) == (0, 4, 7)
    assert locate("high  top", ["a high top shoe"]) == (0, 2, 10)


def test_the_second_part_is_searched_too() -> None:
    assert locate("dog", ["a man", "a dog"]) == (1, 2, 5)


def test_what_is_not_there_is_not_found() -> None:
    assert locate("bird", ["a man"]) is None
    assert locate("", ["a man"]) is None


@given(st.text(min_size=1, max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_a_copied_stretch_is_found_as_it_stands(value: str, before: str, after: str) -> None:
    if not value.strip():
        return
    text = before + value + after
    found = locate(value, [text])
    assert found is not None
    assert " ".join(text[found[1] : found[2]].split()).casefold() == " ".join(value.split()).casefold()
