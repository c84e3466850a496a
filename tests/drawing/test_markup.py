"""Whatever text comes in, markup stays whole."""

from __future__ import annotations

import html
import json

from hypothesis import given
from hypothesis import strategies as st

from understudy.drawing.markup import Html, clean, esc, foreign, join, json_script, tag


@given(st.text())
def test_escaped_text_holds_no_markup_and_reads_back(words: str) -> None:
    shown = esc(words)
    assert not set(shown) & set("<>\"'")
    assert html.unescape(shown) == clean(words)
    shown.encode("utf-8")


@given(st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None)))
def test_clean_text_is_encodable_and_without_controls(words: str) -> None:
    kept = clean(words)
    kept.encode("utf-8")
    assert not [char for char in kept if ord(char) < 32 and char not in "\n\t"]


@given(st.dictionaries(st.text(), st.text() | st.floats() | st.none() | st.lists(st.text())))
def test_embedded_json_cannot_end_its_element(value: dict[str, object]) -> None:
    made = json_script(value, id_="x")
    inside = made.removeprefix('<script type="application/json" id="x">').removesuffix("</script>")
    assert not set(inside) & set("<>&\u2028\u2029")
    json.loads(inside, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))


def test_not_a_number_becomes_null() -> None:
    assert "null" in json_script({"x": float("nan")}, id_="x")


def test_tag_escapes_children_and_attributes() -> None:
    made = tag("p", "<b>", tag("i", "x"), cls='a"b', data_key="<", hidden=True, title=None)
    assert made == '<p class="a&quot;b" data-key="&lt;" hidden>&lt;b&gt;<i>x</i></p>'


def test_void_elements_have_no_end() -> None:
    assert tag("input", type="radio", name="view") == '<input type="radio" name="view">'


def test_markup_is_escaped_once() -> None:
    assert join([Html("<br>"), "<br>"]) == "<br>&lt;br&gt;"


def test_text_from_a_log_is_isolated() -> None:
    assert foreign("\u202eabc") == '<bdi dir="auto">\u202eabc</bdi>'
