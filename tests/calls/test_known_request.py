from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.calls.known_request import KnownRequest
from understudy.calls.output_format import output_format
from understudy.calls.readers import read_calls

SYSTEM = ("system", "Route the message.")
KNOWN = KnownRequest((SYSTEM, ("user", "ping"), ("assistant", "other")), "Message: ", "\nAnswer:")
SCHEMA = {"type": "object", "properties": {"queue": {"type": "string"}}}
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)


def asked(text: str, *before: tuple[str, str]) -> list[tuple[str, str]]:
    return [*KNOWN.fixed, *before, ("user", f"Message: {text}\nAnswer:")]


def test_the_input_is_what_learning_saw() -> None:
    assert KNOWN.input_of(asked("where is it"), None) == "where is it"
    turns = [("user", "hello"), ("assistant", "yes?")]
    assert (
        KNOWN.input_of(asked("where is it", *turns), None)
        == "user: hello\nassistant: yes?\nuser: where is it"
    )


@pytest.mark.parametrize(
    "messages",
    [
        [("user", "Message: x\nAnswer:")],
        [SYSTEM, ("user", "Message: x\nAnswer:")],
        [("system", "Route this message."), *KNOWN.fixed[1:], ("user", "Message: x\nAnswer:")],
        [SYSTEM, ("system", "Be brief."), *KNOWN.fixed[1:], ("user", "Message: x\nAnswer:")],
        [*KNOWN.fixed, ("user", "Mail: x\nAnswer:")],
        [*KNOWN.fixed, ("user", "Message: \nAnswer:")],
        [*KNOWN.fixed],
        [],
    ],
)
def test_another_request_is_not_taken(messages: list[tuple[str, str]]) -> None:
    assert KNOWN.input_of(messages, None) is None


def test_white_space_at_the_ends_and_the_name_of_the_system_role_do_not_count() -> None:
    messages = [("developer", "Route the message.\r\n"), *KNOWN.fixed[1:], ("user", "Message: x\nAnswer:")]
    assert KNOWN.input_of(messages, None) == "x"


def test_the_form_of_the_answer_is_part_of_the_request() -> None:
    chat = {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "strict": True, "schema": SCHEMA},
        }
    }
    responses = {"text": {"format": {"type": "json_schema", "name": "b", "schema": SCHEMA}}}
    assert output_format(chat) == output_format(responses)
    wider = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    }
    assert output_format(wider) != output_format(chat)
    assert output_format({"response_format": {"type": "text"}}) is None
    known = KnownRequest(output_format=output_format(chat))
    assert known.input_of([("user", "x")], output_format(responses)) == "x"
    assert known.input_of([("user", "x")], output_format(wider)) is None
    assert known.input_of([("user", "x")], None) is None


def test_tools_are_part_of_the_request() -> None:
    function = {"name": "route", "description": "any", "parameters": SCHEMA}
    chat = {
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "route"}},
    }
    responses = {
        "tools": [{"type": "function", **function}],
        "tool_choice": {"type": "function", "name": "route"},
    }
    assert output_format(chat) == output_format(responses)
    assert output_format(chat) != output_format({**chat, "tool_choice": "auto"})
    assert output_format({"tools": 3}) is None


def test_a_bare_message_is_nothing_to_recognise_by() -> None:
    assert not KnownRequest().is_distinct
    assert KNOWN.is_distinct


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), texts)), texts, texts, texts)
def test_text_form_is_read_back(fixed: list[tuple[str, str]], prefix: str, suffix: str, form: str) -> None:
    known = KnownRequest(tuple(fixed), prefix, suffix, form)
    assert KnownRequest.from_text(known.to_text()) == known


@given(st.lists(texts, min_size=8, max_size=8, unique=True))
def test_live_requests_give_the_inputs_that_the_reader_gave(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[str]
) -> None:
    """Whatever the log holds: a request cut while learning is cut alike while serving."""
    path: Path = tmp_path_factory.mktemp("log") / "a.jsonl"
    requests = [
        {"messages": [{"role": "system", "content": "Route."}, {"role": "user", "content": f"Text: {body}"}]}
        for body in bodies
    ]
    usable = [one for one in requests if one["messages"][1]["content"].strip()]
    path.write_text(
        "\n".join(json.dumps({"request": one, "output": "a"}) for one in usable), encoding="utf-8"
    )
    for call, one in zip(read_calls([path]), usable, strict=True):
        messages = [(message["role"], message["content"]) for message in one["messages"]]
        assert KnownRequest.from_text(call.messages_template or "").input_of(messages, None) == call.input


def dated(day: str) -> list[tuple[str, str]]:
    return [("system", f"Route the message. Today is {day}."), ("user", "Message: x")]


@pytest.mark.parametrize(
    "day",
    [
        "2026-01-31",
        "2026-01-31T09:30:00Z",
        "Wednesday, January 31, 2026",
        "31 January 2026",
        "31st Jan. 2026",
        "1/31/2026",
        "31.1.2026",
        "2026年1月31日",
        "星期三",
        "Friday",
        "9:30 pm",
        "123e4567-e89b-12d3-a456-426614174000",
    ],
)
def test_a_steady_prompt_takes_any_day_and_an_exact_one_only_its_own(day: str) -> None:
    exact = KnownRequest((("system", "Route the message. Today is 2025-12-24."),), "Message: ")
    assert exact.input_of(dated(day), None) is None
    assert exact.input_of(dated("2025-12-24"), None) == "x"
    assert exact.steadied().input_of(dated(day), None) == "x"
    assert exact.steadied().input_of(dated("the day before"), None) is None
    assert KnownRequest.from_text(exact.steadied().to_text()) == exact.steadied()


def test_numbers_that_are_no_dates_stay() -> None:
    known = KnownRequest((("system", "At most 2026 words, 3 of 4, version 1.2.3, $9.30."),))
    assert known.steadied() is known
