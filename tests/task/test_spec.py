"""Task files: TOML there and back, JSON Schema, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import ConfigError
from understudy.task.field import Field
from understudy.task.spec import load_task, task_from_json_schema, task_from_toml, task_to_toml
from understudy.task.task import Task

words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
labels = st.lists(words | st.integers(-5, 5), min_size=1, max_size=4).map(tuple)
fields = st.one_of(
    st.builds(
        Field,
        words,
        st.sampled_from(["choice", "choices"]),
        labels,
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(Field, words, st.sampled_from(["span", "text", "boolean"]), nullable=st.booleans()),
    st.builds(Field, words, st.just("number"), tolerance=st.floats(0, 10)),
)


@given(
    st.lists(fields, min_size=1, max_size=4, unique_by=lambda field: field.name),
    st.lists(words, max_size=2).map(tuple),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
)
def test_toml_there_and_back(given_fields: list[Field], names: tuple[str, ...], instructions: str) -> None:
    task = Task("a-task", tuple(given_fields), names, (), instructions)
    assert task_from_toml(task_to_toml(task)) == task


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nme = 'x'\n[[field]]\nname='a'\nkind='span'", "unknown key"),
        ("[[field]]\nname='a'\nkind='span'\ncolour='red'", "unknown key"),
        ("[input]\nnam=['a']\n[[field]]\nname='a'\nkind='span'", "unknown key"),
        ("[[field]]\nname='a'\nkind='color'", "unknown kind"),
        ("[[field]]\nname='a'\nkind='choice'", "no labels"),
        ("[[field]]\nname='a'\nkind='span'\nnullable='yes'", "must be a bool"),
        ("[[field]]\nname='a'\nkind='number'\ntolerance='wide'", "must be a number"),
        ("name = 'x'", "no \\[\\[field\\]\\]"),
        ("name = ", "no TOML"),
        ("name = 'a b'\n[[field]]\nname='a'\nkind='span'", "letters"),
        ("input = 3\n[[field]]\nname='a'\nkind='span'", "must be a table"),
    ],
)
def test_mistakes_in_toml(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task_from_toml(text)


SCHEMA = {
    "title": "Support ticket",
    "description": "Route it.",
    "type": "object",
    "additionalProperties": False,
    "required": ["queue", "urgent", "order"],
    "properties": {
        "queue": {"enum": ["a", "b"]},
        "urgent": {"type": "boolean", "description": "now?"},
        "order": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": ["string", "null"], "format": "span"},
                "v. 2": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
            },
        },
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        "mood": {"enum": ["x", None]},
        "name": {"type": "string", "x-understudy-kind": "span"},
        "why": {"type": "string"},
    },
    "$defs": {"tag": {"enum": ["t1", "t2"]}},
}


def test_json_schema() -> None:
    task = task_from_json_schema(SCHEMA)
    assert task.name == "Support-ticket"
    assert task.instructions == "Route it."
    assert task.fields == (
        Field("queue", "choice", ("a", "b")),
        Field("urgent", "boolean"),
        Field("order.id", "span", nullable=True),
        Field(r"order.v\. 2", "number", nullable=True, optional=True),
        Field("tags", "choices", ("t1", "t2"), optional=True),
        Field("mood", "choice", ("x",), nullable=True, optional=True),
        Field("name", "span", optional=True),
        Field("why", "text", optional=True),
    )
    wrapped = {"type": "json_schema", "json_schema": {"name": "Support ticket", "schema": SCHEMA}}
    assert task_from_json_schema(wrapped) == task
    assert task_from_json_schema({"enum": ["a", "b"]}).fields == (Field("answer", "choice", ("a", "b")),)


@pytest.mark.parametrize(
    "schema",
    [
        [],
        {"type": "object"},
        {"properties": {"a": {"type": ["string", "number"]}}},
        {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "number"}]}}},
        {"properties": {"a": {"type": "string", "contentEncoding": "base64"}}},
        {"properties": {"a": {"$ref": "#/$defs/none"}}},
        {"properties": {"a": {"type": "string"}}, "patternProperties": {}},
        {"properties": {"a": {"type": "string", "x-understudy-kind": "colour"}}},
    ],
)
def test_what_a_schema_cannot_say(schema: object) -> None:
    with pytest.raises(ConfigError):
        task_from_json_schema(schema)


def test_load_task(tmp_path: Path) -> None:
    path = tmp_path / "my task.toml"
    path.write_text("[[field]]\nname='a'\nkind='span'\n")
    assert load_task(path).name == "my-task"
    path = tmp_path / "s.json"
    path.write_text(json.dumps(SCHEMA))
    assert load_task(path).name == "Support-ticket"
    path.write_text("{")
    with pytest.raises(ConfigError, match="no JSON"):
        load_task(path)
    for name in ("none.toml", "x.yaml"):
        with pytest.raises(ConfigError):
            load_task(tmp_path / name)
