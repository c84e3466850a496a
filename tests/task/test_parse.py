"""Recorded answers to typed values: strict by default, never guessed, never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.task.field import Field, join_path, split_path
from understudy.task.parse import OffSchema, OutputParser, flatten, parse_output, read_json_text
from understudy.task.task import Task

QUEUES = Task(
    "t", (Field("answer", "choice", ("card_arrival", "card_arrival_late", "Other thing", 3, True)),)
)
FORM = Task(
    "form",
    (
        Field("queue", "choice", ("billing", "delivery")),
        Field("urgent", "boolean"),
        Field("order.id", "span", nullable=True),
        Field("order.total", "number", nullable=True),
        Field("tags", "choices", ("a", "b", "c"), optional=True),
        Field("reason", "text"),
    ),
)
GOOD = {
    "queue": "billing",
    "urgent": False,
    "order": {"id": "A1", "total": 3.5},
    "tags": ["c", "a", "a"],
    "reason": "r",
}


def plain(raw: Any, *, lenient: bool = False) -> Any:
    parsed = parse_output(QUEUES, raw, lenient=lenient)
    return parsed if isinstance(parsed, OffSchema) else parsed["answer"]


@pytest.mark.parametrize(
    "raw", ["card_arrival", ' "Card_Arrival". ', "```\ncard_arrival\n```", "`card_arrival`"]
)
def test_forgiven_ways_to_write_a_label(raw: str) -> None:
    assert plain(raw) == "card_arrival"


def test_types_of_labels_are_kept_apart() -> None:
    assert plain(3) == 3
    assert plain(True) is True
    assert isinstance(plain(1), OffSchema)
    assert isinstance(plain("3"), OffSchema)


def test_labels_in_longer_text_need_leniency() -> None:
    text = "Category: card_arrival\n\nThis is because of Other thing"
    assert isinstance(plain(text), OffSchema)
    assert plain(text, lenient=True) == "card_arrival"
    assert plain("I say card_arrival_late!", lenient=True) == "card_arrival_late"
    assert isinstance(plain("card_arrival or other thing", lenient=True), OffSchema)
    assert isinstance(plain("xcard_arrivalx", lenient=True), OffSchema)


@pytest.mark.parametrize("raw", [None, {}, [], 2.5, "", "nothing", {"answer": 9}, ABSENT])
def test_what_fits_nothing_is_off_schema(raw: Any) -> None:
    assert isinstance(plain(raw), OffSchema)


def test_an_object() -> None:
    expected = {
        "queue": "billing", "urgent": False, "order.id": "A1", "order.total": 3.5, "tags": ("a", "c"), "reason": "r",
    }  # fmt: skip
    for raw in (GOOD, json.dumps(GOOD), f"```json\n{json.dumps(GOOD, indent=1)}\n```"):
        assert parse_output(FORM, raw) == expected
    assert isinstance(parse_output(FORM, f"Here: {json.dumps(GOOD)} done"), OffSchema)
    assert parse_output(FORM, f"Here: {json.dumps(GOOD)} done", lenient=True) == expected


def test_absent_null_and_missing_differ() -> None:
    parsed = parse_output(FORM, {**GOOD, "order": {"id": None, "total": None}, "tags": []})
    assert parsed["order.id"] is None
    assert parsed["tags"] == ()
    less = {key: value for key, value in GOOD.items() if key != "tags"}
    assert parse_output(FORM, less)["tags"] is ABSENT
    whole_null = parse_output(FORM, {**GOOD, "order": None})
    assert whole_null["order.id"] is None
    missing = OutputParser(FORM).parse({**GOOD, "order": {"id": "A1"}})
    assert missing.problems == ("order.total: missing",)
    assert missing.values["order.total"] is UNKNOWN
    assert missing.values["order.id"] == "A1"
    assert "urgent: null" in parse_output(FORM, {**GOOD, "urgent": None}).reason


def test_a_misfit_spoils_only_its_field_and_extra_keys_are_counted() -> None:
    parsed = OutputParser(FORM).parse({**GOOD, "queue": "spam", "extra": {"x": 1, "y": 2}})
    assert parsed.values["queue"] is UNKNOWN
    assert parsed.values["urgent"] is False
    assert parsed.n_extra_keys == 2
    assert "spam" not in " ".join(parsed.problems)


@pytest.mark.parametrize(
    ("raw", "value"),
    [("12", 12), (" 1.50 ", 1.5), ("-3e2", -300), (7, 7), ("NaN", UNKNOWN), ("1,2", UNKNOWN), (True, UNKNOWN),
     (10**400, UNKNOWN), ("9" * 400 + ".5", UNKNOWN)],
)  # fmt: skip
def test_numbers(raw: Any, value: Any) -> None:
    task = Task("n", (Field("answer", "number"),))
    assert OutputParser(task).parse(raw).values["answer"] == value


def test_booleans() -> None:
    task = Task("b", (Field("answer", "boolean"),))
    assert parse_output(task, "True") == {"answer": True}
    assert isinstance(parse_output(task, "yes"), OffSchema)
    assert parse_output(task, "yes", lenient=True) == {"answer": True}
    assert isinstance(parse_output(task, 1), OffSchema)


def test_read_json_text() -> None:
    assert read_json_text("5") is ABSENT
    assert read_json_text("[1]") == [1]
    assert read_json_text('{"a": NaN}') is ABSENT
    assert read_json_text("[" * 100_000) is ABSENT


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
forms = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("queue", "urgent", "order", "tags", "reason", "other"), anything)
)


@settings(max_examples=300, deadline=None)
@given(anything | forms, st.booleans())
def test_parsing_never_raises(raw: Any, lenient: bool) -> None:
    for task in (QUEUES, FORM, Task("s", (Field("answer", "choices", ("a",)),))):
        parsed = OutputParser(task, lenient=lenient).parse(raw)
        assert set(parsed.values) == {field.name for field in task.fields}
        assert bool(parsed.problems) == any(value is UNKNOWN for value in parsed.values.values())


keys = st.text(max_size=6)
trees = st.recursive(
    st.integers() | st.text(max_size=5) | st.none() | st.booleans(),
    lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200)
@given(st.dictionaries(keys, trees, min_size=1, max_size=4))
def test_flatten_then_assemble_is_the_same_object(record: dict) -> None:
    flat = flatten(record)
    assert Task("t", tuple(Field(name, "text") for name in [*flat, "zz.zz"])).assemble(flat) == record


@given(st.lists(st.text(max_size=6), min_size=1, max_size=4))
def test_paths_come_back(path: list[str]) -> None:
    assert split_path(join_path(path)) == tuple(path)
