from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from understudy.ledger.masking import mask_json, mask_text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to ann.lee+x@mail.example.co.uk.", "write to [email]."),
        ("(ann@example.org)", "([email])"),
        ("call +49 30 1234567 now", "call [phone] now"),
        ("call (030) 123 456 78", "call [phone]"),
        ("call 555-123-4567!", "call [phone]!"),
        ("card 4111 1111 1111 1111 exp 12/27", "card [card] exp 12/27"),
        ("card 4111-1111-1111-1111 12/27", "card [card] 12/27"),
        ("card 4111111111111111", "card [card]"),
        ("pay DE89 3704 0044 0532 0130 00 soon", "pay [iban] soon"),
        ("pay BE68 5390 0754 7034 have fun", "pay [iban] have fun"),
        ("pay de89370400440532013000", "pay [iban]"),
        ("order 1234567890123456789012", "order [number]"),
        ("Authorization: Bearer abc.def-ghi_123", "Authorization: Bearer [key]"),
        ("key sk-proj-abcdefgh12345678 end", "key [key] end"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("ghp_0123456789abcdefABCDEF", "[key]"),
    ],
)
def test_what_has_a_form_is_masked(text, masked):
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It costs 1,234.50 dollars for 12 of 20.",
        "on 2026-01-31 12:30:45",
        "on 31.01.2026 at 10 30",
        "version 3.11.7, order 12345678",
        "the bearer of good news",
        "a @ b, me@home",
        "sk-ill and task-force-one",
        "[email] [phone] [card] [iban] [number] [key]",
    ],
)
def test_what_has_none_stays(text):
    assert mask_text(text) == text


pieces = st.sampled_from(
    ["ann@example.org", "sk-abcdefgh12", "Bearer ", "4111 1111 1111 1111", "+49 30 1234567", "DE89370400440532013000",
     "@", ".", "-", " ", "+", "(", "0123456789", "7", "[email]", "eyJ", "x", "é", "\n"]
)  # fmt: skip
texts = st.text() | st.lists(pieces, max_size=12).map("".join) | st.text("0123456789 +-().@a[]")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(texts)
@example("1" * 40 + "@a.b")
def test_masking_twice_changes_nothing(text):
    once = mask_text(text)
    assert mask_text(once) == once


@given(values)
def test_json_keeps_its_shape(value):
    def shape(given):
        if isinstance(given, dict):
            return {key: shape(inner) for key, inner in given.items()}
        if isinstance(given, list):
            return [shape(inner) for inner in given]
        return "text" if isinstance(given, str) else given

    before = json.dumps(value)
    once = mask_json(value)
    assert shape(once) == shape(value)
    assert mask_json(once) == once
    assert json.dumps(value) == before


def test_every_text_of_a_request_is_masked():
    arguments = json.dumps({"mail": "ann@example.org", "number": 4930123456789})
    request = {"messages": [{"role": "user", "content": [{"type": "text", "text": "I am ann@example.org"}]}]}
    answer = [{"function": {"name": "find", "arguments": arguments}}]
    assert mask_json(request)["messages"][0]["content"][0]["text"] == "I am [email]"
    masked = mask_json(answer)[0]["function"]["arguments"]
    assert json.loads(masked) == {"mail": "[email]", "number": 4930123456789}


def test_nesting_beyond_pythons_limit_is_masked():
    deep = "ann@example.org"
    for _ in range(20_000):
        deep = [deep]
    masked = mask_json(deep)
    for _ in range(20_000):
        (masked,) = masked
    assert masked == "[email]"


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "a", "a.", "@", "a@", "sk-", "Bearer ", "DE89 ", "(", "+1-", "eyJ."]
)
def test_long_texts_take_time_in_proportion(piece):
    # No clock is asserted: a pattern that backtracks would not come back at all.
    started = time.monotonic()
    mask_text(piece * (400_000 // len(piece)))
    assert time.monotonic() - started < 60
