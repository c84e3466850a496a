"""The report as a file: whole, safe, self-contained, and honest about what is unknown."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest
from report_facts import ALL_FACTS, HOSTILE, TOPICS, plain_label_facts, record_facts, useful_no_facts

from understudy.report.html import render_report

VOID = {"br", "hr", "img", "input", "meta"}
SECTIONS = (
    "ladder",
    "certificate",
    "risk",
    "cost",
    "fields",
    "calibration",
    "curves",
    "next",
    "reading",
    "suspects",
    "receipt",
    "data",
)


class Reader(HTMLParser):
    """Checks that elements nest; gathers ids, scripts, attributes and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] == "script" else self.words).append(data)


@cache
def _page(name: str) -> str:
    return render_report(ALL_FACTS[name]())


def _read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def _text(page: str) -> str:
    return " ".join(" ".join(_read(page).words).split())


@pytest.mark.parametrize("name", ALL_FACTS)
def test_elements_nest_and_ids_are_unique(name: str) -> None:
    reader = _read(_page(name))
    assert len(reader.ids) == len(set(reader.ids))
    assert _page(name).startswith("<!doctype html>")


@pytest.mark.parametrize("name", ALL_FACTS)
def test_every_section_is_there(name: str) -> None:
    ids = _read(_page(name)).ids
    assert not [section for section in SECTIONS if section not in ids]


@pytest.mark.parametrize("name", ALL_FACTS)
def test_nothing_is_fetched(name: str) -> None:
    page = _page(name)
    assert "http://" not in page
    assert "https://" not in page
    assert not re.search(r"url\(|@import|<link|<img|<iframe", page)
    for tag, attribute, value in _read(page).attributes:
        assert attribute not in ("src", "srcset", "onclick", "onerror", "onload"), (tag, attribute)
        if attribute == "href":
            assert (value or "").startswith("#")


def test_size_of_a_task_with_77_labels() -> None:
    assert len(TOPICS) == 77
    assert len(_page("plain").encode("utf-8")) < 1_500_000


def test_hostile_text_is_shown_and_harmless() -> None:
    page = _page("plain")
    reader = _read(page)
    assert len(reader.scripts) == 2
    assert "alert(1)" not in " ".join(reader.scripts[1:])
    shown = _text(page)
    for words in HOSTILE[:2]:
        assert words.split("\x00")[0].strip() in shown
    assert "\x00" not in page
    assert "\x1b" not in page
    assert "␀" in shown
    assert HOSTILE[4] in shown
    page.encode("utf-8")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, found in pairs:
        if isinstance(found, dict | list):
            yield from _places(found)
        else:
            yield value, key


@pytest.mark.parametrize("make", [plain_label_facts, record_facts, useful_no_facts])
def test_markup_in_any_text_of_the_facts_is_escaped(make: Any) -> None:
    facts = copy.deepcopy(make())
    for holder, key in list(_places(facts)):
        if isinstance(holder[key], str) and key not in ("status", "reference", "of"):
            holder[key] += HOSTILE[0] + HOSTILE[1]
    reader = _read(render_report(facts))
    assert len(reader.scripts) == 2
    assert not [one for one in reader.attributes if one[1] == "onerror"]


@pytest.mark.parametrize("make", [plain_label_facts, record_facts, useful_no_facts])
@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_any_number_may_be_missing(make: Any, missing: float | None) -> None:
    facts = copy.deepcopy(make())
    for holder, key in list(_places(facts)):
        if isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            holder[key] = missing
    page = render_report(facts)
    assert "unknown" in _text(page)
    # Formats and settings aside, no figure is made up.
    assert "0.0 %" not in _text(page)
    assert "$0 " not in _text(page)
    assert "nan" not in re.findall(r"\b(nan|inf)\b", _text(page))


@pytest.mark.parametrize("make", [plain_label_facts, record_facts, useful_no_facts])
def test_any_key_may_be_missing(make: Any) -> None:
    facts = make()
    facts["disagreements"], facts["suspects"] = facts["disagreements"][:2], facts["suspects"][:2]
    for field in facts["fields"]:
        field["labels"] = field["labels"][:3]
    for key in facts:
        _read(render_report({name: value for name, value in facts.items() if name != key}))
        _read(render_report({**facts, key: None}))


def test_embedded_facts_read_back() -> None:
    facts = record_facts()
    found = json.loads(_read(render_report(facts)).scripts[0])
    assert found["certificate"]["n"] == facts["certificate"]["n"]
    assert "disagreements" not in found


def test_yes_says_the_certificate_and_keeps_gold_apart() -> None:
    facts, shown = plain_label_facts(), _text(_page("plain"))
    assert facts["certificate"]["sentence"].split(". ")[0] in shown
    assert "Against the teacher" in shown
    assert "Against gold answers" in shown
    assert "What it does not say" in shown
    assert "pays back after" in shown


def test_teacher_only_is_not_read_as_right() -> None:
    shown = _text(_page("record"))
    assert "Matching the teacher is not being right" in shown
    assert "Free text is left to the teacher: no rung writes reason." in shown
    assert "the log has neither costs nor token counts" in shown


def test_useful_no_leads_with_remedies_and_reasons() -> None:
    shown = _text(_page("no"))
    assert "Keep the teacher for now" in shown
    assert shown.index("What would change the answer") < shown.index("The ladder")
    for step in useful_no_facts()["next_steps"]:
        assert step["text"][1:] in shown


def test_skipped_rungs_say_why() -> None:
    assert "not tried: its teacher, the tuned encoder, was not trained" in _text(_page("record"))


def test_texts_that_were_not_kept_are_not_invented() -> None:
    assert "(texts are not kept in this report)" in _text(_page("no"))


@pytest.mark.parametrize("name", ["plain", "record", "no"])
def test_charts_have_titles_for_screen_readers(name: str) -> None:
    page = _page(name)
    drawn = re.findall(r"<svg viewBox=.*?</svg>", page, re.DOTALL)
    charts = [one for one in drawn if 'role="img"' in one]
    assert len(charts) >= 8
    assert all(re.search(r"<title>[^<]+</title><desc>[^<]*</desc>", one) for one in charts)
    assert all(not re.search(r'="(nan|-?inf)"|[ ,"]nan', one) for one in charts)


def test_fields_that_hold_are_named_in_a_no() -> None:
    facts = record_facts()
    facts["certificate"]["is_certified"] = False
    shown = _text(render_report(facts))
    assert "Usable one by one, each certified by itself: queue (" in shown
    assert "refund_amount (" not in shown


def test_written_texts_are_shown_with_their_equality_and_whole() -> None:
    facts = record_facts()
    long = (
        "The customer wants the money for order 7730021 back, and waits since two weeks for an answer. " * 3
    )
    facts["fields"].append({
        **facts["fields"][0], "name": "note", "kind": "text", "mode": "write", "equality": "ends in the same number",
        "chars": {"student": 80.0, "reference": 91.0},
    })  # fmt: skip
    facts["disagreements"].insert(0, {
        "id": "c1", "field": "note", "kind": "text", "input": "a message", "reference": long, "student": None,
        "confidence": 0.9,
    })  # fmt: skip
    facts["deferred_reasons"] = {"reason": "not required, so it was not learnt"}
    page = render_report(facts)
    shown = _text(page)
    assert "note: two texts count as equal if the student's ends in the same number." in shown
    assert "Median length 80 characters, reference 91." in shown
    assert long.strip() in shown
    assert "(not kept)" in shown
    assert "not required, so it was not learnt" in page
