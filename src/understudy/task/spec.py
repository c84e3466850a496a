"""Tasks from files: a TOML of our own, or a JSON Schema; and back to TOML.

Unknown keys are errors. Of JSON Schema it knows what describes plain data (types, enums, required, nested
objects, arrays of enums, ``anyOf`` with null); what it does not know it refuses, rather than leave a rule
unkept.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.errors import ConfigError
from understudy.task.field import FIELD_KINDS, PLAIN_FIELD, Field, join_path
from understudy.task.task import Task

__all__ = ["load_task", "task_from_json_schema", "task_from_toml", "task_to_toml"]

_TASK_KEYS = {"name", "instructions", "input", "field"}
_INPUT_KEYS = {"names", "line_labels"}
_NOTES = {"title", "description", "$schema", "$id", "examples", "default", "$comment", "additionalProperties"}
_BOUNDS = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
    "minItems", "maxItems", "uniqueItems", "pattern",
}  # fmt: skip
_METRIC_KEYS = ("x-understudy-metric", "x-understudy-at-least")
_NAME = re.compile(r"[\w-]+\Z")


def load_task(path: Path | str) -> Task:
    """Read a ``.toml`` task file or a ``.json`` JSON Schema.

    Raises
    ------
    ConfigError
        If the file cannot be read or says something unknown.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "a task file cannot be read", given=f"{path}: {error.__class__.__name__}"
        ) from error
    if path.suffix.lower() == ".toml":
        return task_from_toml(text, default_name=path.stem)
    if path.suffix.lower() == ".json":
        try:
            schema = json.loads(text)
        except ValueError as error:
            raise ConfigError("a JSON Schema is no JSON", given=f"{path}: {error}") from error
        return task_from_json_schema(schema, default_name=path.stem)
    raise ConfigError("a task is a .toml or a .json file", given=path.name, todo="see docs/calls.md")


def task_name(text: str) -> str:
    """`text` as a task's name: letters, digits, ``-`` and ``_``."""
    return re.sub(r"[^\w-]+", "-", text).strip("-") or "task"


def task_from_toml(text: str, *, default_name: str = "task") -> Task:
    """Read a task from TOML.

    Raises
    ------
    ConfigError
        If it is no TOML, or a key is unknown or missing.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("a task file is no TOML", given=str(error)) from error
    _refuse_unknown(given, _TASK_KEYS, "a task file")
    shape = given.get("input", {})
    if not isinstance(shape, dict):
        raise ConfigError("[input] must be a table", todo='for example names = ["premise", "hypothesis"]')
    _refuse_unknown(shape, _INPUT_KEYS, "[input]")
    fields = given.get("field", [])
    if not isinstance(fields, list) or not fields:
        raise ConfigError("a task file has no [[field]]", todo="add [[field]] with a name and a kind")
    name = str(given.get("name", task_name(default_name)))
    if not _NAME.match(name):
        raise ConfigError("a task's name has letters, digits, - and _ only", given=repr(name))
    return Task(
        name=name,
        fields=tuple(_toml_field(field) for field in fields),
        input_names=_texts(shape.get("names", []), "names"),
        line_labels=_texts(shape.get("line_labels", []), "line_labels"),
        instructions=str(given.get("instructions", "")),
    )


def _toml_field(given: Any) -> Field:
    if not isinstance(given, dict):
        raise ConfigError("[[field]] must be a table", given=f"a {type(given).__name__}")
    types: dict[str, type] = {
        "nullable": bool, "optional": bool, "required": bool, "labels": list, "name": str, "kind": str,
        "metric": str, "holds_json": bool,
    }  # fmt: skip
    for key, kind in types.items():
        if key in given and not isinstance(given[key], kind):
            raise ConfigError(f"field {given.get('name', '?')!r}: {key} must be a {kind.__name__}")
    tolerance = given.get("tolerance", 0)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise ConfigError(f"field {given.get('name', '?')!r}: tolerance must be a number")
    if "metric_at_least" in given:
        raise ConfigError(f"field {given.get('name', '?')!r}: the key is at_least, beside metric")
    renamed = {"metric_at_least" if key == "at_least" else key: value for key, value in given.items()}
    return Field.from_dict(renamed)


def _texts(given: Any, key: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise ConfigError(f"[input] {key} must be a list of texts")
    return tuple(given)


def _refuse_unknown(given: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(given) - known):
        raise ConfigError(
            f"unknown key in {where}",
            given=", ".join(unknown),
            todo=f"known keys: {', '.join(sorted(known))}",
        )


def task_to_toml(task: Task) -> str:
    """The task as TOML; :func:`task_from_toml` reads it back."""
    lines = [f"name = {_toml(task.name)}"]
    if task.instructions:
        lines.append(f"instructions = {_toml(task.instructions)}")
    if task.input_names or task.line_labels:
        lines += ["", "[input]"]
    if task.input_names:
        lines.append(f"names = {_toml(list(task.input_names))}")
    if task.line_labels:
        lines.append(f"line_labels = {_toml(list(task.line_labels))}")
    for field in task.fields:
        lines += ["", "[[field]]", f"name = {_toml(field.name)}", f"kind = {_toml(field.kind)}"]
        if field.labels:
            lines.append(f"labels = {_toml(list(field.labels))}")
        plain = Field(field.name, field.kind, field.labels)
        for key in (
            "nullable",
            "optional",
            "required",
            "tolerance",
            "metric",
            "metric_at_least",
            "holds_json",
        ):
            if getattr(field, key) != getattr(plain, key):
                lines.append(f"{key.removeprefix('metric_')} = {_toml(getattr(field, key))}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for DEL, which JSON leaves raw.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "[" + ", ".join(_toml(item) for item in value) + "]"


def task_from_json_schema(schema: Any, *, default_name: str = "task") -> Task:
    """Read the output's JSON Schema.

    Objects become fields with dotted names; ``enum`` becomes choice, an array of an enum choices; a type
    with ``"null"`` is nullable; a property that is not ``required`` is optional. ``x-understudy-kind`` (or
    ``format: span``) names a kind that JSON Schema cannot: span. ``x-understudy-metric`` and
    ``x-understudy-at-least`` say when two texts are the same answer. OpenAI's wrapper (``{"name": ...,
    "schema": ...}``) is taken off.

    Raises
    ------
    ConfigError
        For a schema that describes no plain data, or uses keywords that are not understood.
    """
    if not isinstance(schema, dict):
        raise ConfigError("a JSON Schema must be an object", given=f"a {type(schema).__name__}")
    if isinstance(schema.get("json_schema"), dict):
        schema = schema["json_schema"]
    if isinstance(schema.get("schema"), dict):
        default_name = str(schema.get("name", default_name))
        schema = schema["schema"]
    name = task_name(str(schema.get("title", default_name)))
    definitions = {**schema.get("$defs", {}), **schema.get("definitions", {})}
    fields: list[Field] = []
    if "properties" in schema:
        _object_fields(schema, (), False, definitions, fields)
    else:
        fields.append(_leaf(schema, (PLAIN_FIELD,), False, definitions))
    return Task(name=name, fields=tuple(fields), instructions=str(schema.get("description", "")))


def _object_fields(
    schema: Mapping[str, Any],
    path: tuple[str, ...],
    is_optional: bool,
    definitions: Mapping[str, Any],
    fields: list[Field],
    is_nullable: bool = False,
) -> None:
    known = _NOTES | {"type", "properties", "required", "$defs", "definitions"}
    _refuse_unknown(schema, known, f"the JSON Schema of {join_path(path) or 'the output'}")
    required = set(schema.get("required", ()))
    if len(path) > 8:
        raise ConfigError("a JSON Schema is nested too deeply", given=join_path(path))
    for key, given in schema["properties"].items():
        inner, nullable = _resolve(given, definitions, (*path, key))
        optional = is_optional or key not in required
        if "properties" in inner:
            _object_fields(inner, (*path, key), optional, definitions, fields, is_nullable or nullable)
        else:
            fields.append(_leaf(given, (*path, key), optional, definitions, is_nullable))


def _resolve(
    given: Any, definitions: Mapping[str, Any], path: tuple[str, ...]
) -> tuple[Mapping[str, Any], bool]:
    """A schema with references followed and "or null" taken off; whether null was allowed."""
    nullable = False
    for _ in range(16):
        if not isinstance(given, dict):
            raise ConfigError("a JSON Schema is not understood", given=join_path(path))
        if "$ref" in given:
            name = str(given["$ref"]).rpartition("/")[2]
            if name not in definitions:
                raise ConfigError(
                    "a JSON Schema refers to something it does not define", given=join_path(path)
                )
            given = {**definitions[name], **{key: item for key, item in given.items() if key != "$ref"}}
        elif (choices := given.get("anyOf", given.get("oneOf"))) is not None:
            rest = [choice for choice in choices if choice != {"type": "null"}]
            if len(rest) != 1:
                raise ConfigError(
                    "a JSON Schema allows several types for one value",
                    given=join_path(path),
                    todo="only 'one type or null' can be learnt",
                )
            nullable = nullable or len(rest) < len(choices)
            given = {**{k: v for k, v in given.items() if k not in ("anyOf", "oneOf")}, **rest[0]}
        else:
            break
    kinds = given.get("type")
    if isinstance(kinds, list):
        rest = [kind for kind in kinds if kind != "null"]
        if len(rest) != 1:
            raise ConfigError("a JSON Schema allows several types for one value", given=join_path(path))
        nullable = nullable or len(rest) < len(kinds)
        given = {**given, "type": rest[0]}
    if isinstance(given.get("enum"), list) and None in given["enum"]:
        given, nullable = {**given, "enum": [item for item in given["enum"] if item is not None]}, True
    return given, nullable


def _leaf(
    given: Any,
    path: tuple[str, ...],
    is_optional: bool,
    definitions: Mapping[str, Any],
    is_nullable: bool = False,
) -> Field:
    schema, nullable = _resolve(given, definitions, path)
    name = join_path(path)
    known = (
        _NOTES
        | _BOUNDS
        | {
            "type",
            "enum",
            "const",
            "items",
            "format",
            "x-understudy-kind",
            *_METRIC_KEYS,
            "$defs",
            "definitions",
        }
    )
    _refuse_unknown(schema, known, f"the JSON Schema of {name}")
    kind, labels = _kind_of(schema, definitions, path)
    return Field(
        name,
        kind,
        labels,
        nullable=nullable or is_nullable,
        optional=is_optional,
        holds_json=kind == "text" and schema.get("type") == "array",
        **_metric_of(schema, name),
    )


def _metric_of(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """When two texts are the same answer: ``x-understudy-metric``, ``x-understudy-at-least``."""
    keys = {"metric": "x-understudy-metric", "metric_at_least": "x-understudy-at-least"}
    found = {attribute: schema[key] for attribute, key in keys.items() if key in schema}
    if not isinstance(found.get("metric", ""), str):
        raise ConfigError(f"the JSON Schema of {name}: x-understudy-metric must be a text")
    return found


def _kind_of(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: tuple[str, ...]
) -> tuple[Any, tuple[Any, ...]]:
    hint = schema.get("x-understudy-kind", "span" if schema.get("format") == "span" else None)
    if hint is not None and hint not in FIELD_KINDS:
        raise ConfigError(f"unknown kind of {join_path(path)}", given=str(hint))
    if "const" in schema:
        return "choice", (schema["const"],)
    if "enum" in schema:
        return "choice", tuple(schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        items, _ = _resolve(schema.get("items", {}), definitions, path)
        return ("choices", tuple(items["enum"])) if "enum" in items else ("text", ())
    if hint is not None:
        return hint, ()
    table = {"boolean": "boolean", "number": "number", "integer": "number", "string": "text"}
    if kind not in table:
        raise ConfigError(
            f"the JSON Schema of {join_path(path)} has a type that cannot be learnt",
            given=str(kind),
            todo="use enum, boolean, number, integer, string or an array of an enum",
        )
    return table[kind], ()
