"""Every value that is valid for a task fits its schema and is read back equal."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.calls.call import ABSENT
from understudy.errors import ConfigError
from understudy.task.field import FIELD_KINDS, PLAIN_FIELD, Field, join_path
from understudy.task.parse import parse_output
from understudy.task.task import Task
from understudy.teachers.prompt import Prompt, user_text, with_input
from understudy.teachers.schema import output_schema

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8)
KEYS = st.sampled_from(["a", "b", "c.d", "e\\f", "reason", "answer", "长"])
LABELS = st.one_of(
    st.lists(TEXTS, min_size=1, max_size=4, unique=True),
    st.lists(st.integers(-3, 3), min_size=1, max_size=4, unique=True),
    st.just([True, "yes", 1.5]),
)


@st.composite
def fields(draw: st.DrawFn, name: str, *, is_plain: bool = False) -> Field:
    kind = draw(st.sampled_from(FIELD_KINDS))
    labels = tuple(draw(LABELS)) if kind in ("choice", "choices") else ()
    return Field(
        name, kind, labels, nullable=draw(st.booleans()), optional=not is_plain and draw(st.booleans())
    )


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    if draw(st.booleans()):
        return Task("t", (draw(fields(PLAIN_FIELD, is_plain=True)),))
    # Leaves at different depths: no path may be the beginning of another.
    paths = draw(st.lists(st.tuples(KEYS, KEYS), min_size=1, max_size=5, unique=True))
    flat = draw(st.booleans())
    names = dict.fromkeys(join_path(path[:1] if flat else path) for path in paths)
    made = tuple(draw(fields(name)) for name in names)
    assume_task = Task("t", made)
    return Task("t", (*made, draw(fields("z")))) if assume_task.is_plain else assume_task


@st.composite
def values(draw: st.DrawFn, field: Field) -> Any:
    if field.optional and draw(st.booleans()):
        return ABSENT
    if field.nullable and draw(st.booleans()):
        return None
    if field.kind == "choice":
        return draw(st.sampled_from(field.labels))
    if field.kind == "choices":
        chosen = draw(st.sets(st.sampled_from(range(len(field.labels)))))
        return tuple(label for at, label in enumerate(field.labels) if at in chosen)
    if field.kind == "boolean":
        return draw(st.booleans())
    if field.kind == "number":
        return draw(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
    text = draw(TEXTS)
    return text if field.kind == "text" else text.strip() or "x"


def listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@given(st.data(), tasks(), st.booleans(), st.booleans())
def test_valid_values_fit_the_schema_and_come_back(
    data: st.DataObject, task: Task, has_reason: bool, is_fenced: bool
) -> None:
    prompt = Prompt(task, "Do it.", has_reason=has_reason)
    template = prompt.template("m")
    shape = template["response_format"]["json_schema"]
    expected = {field.name: data.draw(values(field)) for field in task.fields}
    output = task.assemble({name: listed(value) for name, value in expected.items()})
    wire = {PLAIN_FIELD: output} if task.is_plain else output
    reason_key = next(iter(shape["schema"]["properties"])) if has_reason else None
    if reason_key is not None:
        wire = {reason_key: "because", **wire}
    jsonschema.Draft202012Validator(shape["schema"]).validate(json.loads(json.dumps(wire)))
    text = json.dumps(wire, ensure_ascii=data.draw(st.booleans()))
    answer, reason = prompt.read(f"```json\n{text}\n```" if is_fenced else text)
    assert reason == ("because" if has_reason else None)
    parsed = parse_output(task, answer)
    assert parsed == expected
    assert {name: type(value) for name, value in parsed.items()} == {
        name: type(value) for name, value in expected.items()
    }


@given(tasks())
def test_objects_are_closed_and_strict_ones_require_all(task: Task) -> None:
    schema = output_schema(task)
    is_strict = Prompt(task, "x").template("m")["response_format"]["json_schema"]["strict"]
    assert is_strict == (not any(field.optional for field in task.fields))
    open_objects = [schema]
    while open_objects:
        at = open_objects.pop()
        assert at["additionalProperties"] is False
        if is_strict:
            assert at["required"] == list(at["properties"])
        open_objects += [inner for inner in at["properties"].values() if "properties" in inner]


def test_a_field_that_is_value_and_object_is_refused() -> None:
    for names in (("a", "a.b"), ("a.b", "a")):
        with pytest.raises(ConfigError, match="both a value and an object"):
            output_schema(Task("t", tuple(Field(name, "text") for name in names)))


def test_nullable_and_nested_fields_look_as_servers_expect() -> None:
    task = Task(
        "t",
        (
            Field("queue", "choice", ("a", "b"), nullable=True),
            Field("tags", "choices", ("x",)),
            Field("order.id", "span", nullable=True),
            Field("order.sum", "number"),
        ),
    )
    assert output_schema(task)["properties"] == {
        "queue": {"type": ["string", "null"], "enum": ["a", "b", None]},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["x"]}},
        "order": {
            "type": "object",
            "properties": {"id": {"type": ["string", "null"]}, "sum": {"type": "number"}},
            "required": ["id", "sum"],
            "additionalProperties": False,
        },
    }


def test_in_words_the_schema_stands_in_the_system_message() -> None:
    task = Task("t", (Field("answer", "boolean"),), instructions="Is it?")
    template = Prompt(task, task.instructions, is_plain=True, temperature=0.0).template("m")
    assert "response_format" not in template
    assert template["temperature"] == 0.0
    system = template["messages"][0]["content"]
    assert system.startswith("Is it?\n")
    assert json.dumps(output_schema(task)) in system
    assert Prompt(task, "Is it?").template("m")["messages"] == [{"role": "system", "content": "Is it?"}]


def test_a_record_becomes_lines_in_the_order_of_the_task() -> None:
    task = Task("t", (Field("answer", "boolean"),), input_names=("premise", "hypothesis"))
    given = {"hypothesis": "B", "premise": "A"}
    user = user_text(task, given, task.parts(given))
    assert user == "premise: A\nhypothesis: B"
    assert with_input({"messages": []}, user)["messages"] == [{"role": "user", "content": user}]


def test_an_answer_that_is_no_object_stays_as_it_came() -> None:
    prompt = Prompt(Task("t", (Field("answer", "choice", ("a",)),)), "x", has_reason=True)
    for text in ("a", "I think it is a", '{"answer": "a"', '{"answer": NaN}'):
        assert prompt.read(text) == (text, None)
    assert prompt.read('{"reason": "r", "label": "a"}') == ({"label": "a"}, "r")
    assert prompt.read('{"answer": "a"}') == ("a", None)
