"""Which tokens decided a value, and values in their fields' types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.calls.call import ABSENT
from understudy.runtime.confidence import token_confidence
from understudy.runtime.generate import Written
from understudy.runtime.written_values import token_owners, typed_value, value_spans
from understudy.task.field import Field
from understudy.task.problem import Problem

LABELS = ("a", 1, True, None, 2.5)
CHOICE = Problem(Field("c", "choice", LABELS, nullable=True, optional=True), "classify", (*LABELS, ABSENT))
SET = Problem(Field("s", "choices", ("a", "b")), "multilabel", ("a", "b"))
NUMBER = Problem(Field("n", "number"), "regress")
TEXT = Problem(Field("t", "text", nullable=True), "write", (None,))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.dictionaries(TEXTS, TEXTS | st.integers() | st.none() | st.lists(TEXTS, max_size=2)))
def test_spans_hold_the_values(record: dict[str, Any]) -> None:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    data = text.encode()
    spans = value_spans(text)
    assert [span.key for span in spans] == list(record)
    for span, value in zip(spans, record.values(), strict=True):
        last = span.last if isinstance(value, str) else span.last - 1
        assert json.loads(data[span.first : last]) == value
        pair = data[span.before : last].decode().lstrip(",")
        assert json.loads("{" + pair + "}") == {span.key: value}


@pytest.mark.parametrize("text", ["", "[]", '"a"', '{"a"', "{1}"])
def test_other_texts_have_no_spans(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        value_spans(text)


def test_a_token_owns_what_it_touches() -> None:
    pieces = [b'{"a":', b'"x', b'y"', b',"b":1', b"2", b"}"]
    a, b = value_spans(b"".join(pieces).decode())
    assert token_owners(pieces, a.first, a.last) == [1, 2]
    # The brace decides that the number ends.
    assert token_owners(pieces, b.first, b.last) == [3, 4, 5]
    assert token_owners(pieces, b.before, b.last) == [3, 4, 5]


def test_forced_tokens_say_nothing() -> None:
    written = Written([7, 8, 9], [-1.0, 0.0, -3.0], [0.5, 1.0, 0.1], [False, True, False], is_finished=True)
    assert token_confidence(written, [0, 1, 2]) == (pytest.approx(0.1353, abs=1e-4), pytest.approx(0.3))
    assert token_confidence(written, [1]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("problem", "given", "wanted"),
    [
        (CHOICE, 1, (1, True)),
        (CHOICE, True, (True, True)),
        (CHOICE, 2.5, (2.5, True)),
        (CHOICE, None, (None, True)),
        (CHOICE, ABSENT, (ABSENT, True)),
        (CHOICE, False, (None, False)),
        (CHOICE, [], (None, False)),
        (SET, ["b", "a", "b"], (["b", "a"], True)),
        (SET, "a", (None, False)),
        (SET, ABSENT, (None, False)),
        (NUMBER, 12, (12.0, True)),
        (NUMBER, True, (None, False)),
        (NUMBER, float("inf"), (None, False)),
        (NUMBER, "12", (None, False)),
        (TEXT, "", ("", True)),
        (TEXT, None, (None, True)),
        (TEXT, 3, (None, False)),
    ],
)
def test_values_have_their_fields_types(problem: Problem, given: Any, wanted: tuple[Any, bool]) -> None:
    found = typed_value(problem, given)
    assert found == wanted
    assert type(found[0]) is type(wanted[0])
