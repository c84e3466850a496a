"""A student's value in the shape that the request asks for: plain text, JSON text, or the arguments of a tool.

Valid by construction: where the request brings a JSON Schema, the value is checked against it, and a value that does
not fit (a field that no rung writes, say) is not spoken, so that the call goes upstream.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from understudy.calls.call import ABSENT, Usage
from understudy.serving.requests import Asked

__all__ = ["Spoken", "speak"]


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is said.

    Attributes
    ----------
    call_id
        Of the ledger's row.
    text
        Content, or a tool's arguments as JSON.
    tool
        The tool's name, or ``None``.
    fingerprint
        Names the artefact.
    logprobs
        The chat API's log-probabilities, where they were asked for.
    usage
        Tokens that the student read and wrote; ``None`` for one that reads and writes none.
    is_cut
        Whether the text ends before it is complete: at the limit of the request, or of the student.
    """

    call_id: str
    text: str
    tool: str | None
    fingerprint: str
    logprobs: Mapping[str, Any] | None = None
    usage: Usage | None = None
    is_cut: bool = False


def speak(value: Any, asked: Asked, call_id: str, fingerprint: str) -> Spoken | None:
    """The value as the request wants it; ``None`` if it cannot be said in that shape."""
    form = {} if asked.output_format is None else _form(asked.output_format)
    tools: list[Mapping[str, Any]] = form.get("tools", [])
    if tools:
        chosen = _tool_of(value, tools)
        if chosen is None or not _fits(chosen[0].get("parameters"), chosen[1]):
            return None
        return Spoken(call_id, _json(chosen[1]), str(chosen[0]["name"]), fingerprint)
    shape = form.get("format")
    if shape is not None:
        if not isinstance(value, dict | list) or not _fits(shape.get("schema"), value):
            return None
        return Spoken(call_id, _cut(_json(value), asked.stops), None, fingerprint)
    if value is ABSENT or value is None:
        return None
    text = value if isinstance(value, str) else _json(value)
    return Spoken(call_id, _cut(text, asked.stops), None, fingerprint)


def _tool_of(value: Any, tools: list[Mapping[str, Any]]) -> tuple[Mapping[str, Any], Any] | None:
    if not isinstance(value, Mapping):
        return None
    if len(tools) == 1:
        return tools[0], value
    # With several tools on offer, the choice is part of what was learnt.
    found = next((tool for tool in tools if tool["name"] == value.get("tool")), None)
    return None if found is None else (found, value.get("arguments") or {})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _cut(text: str, stops: tuple[str, ...]) -> str:
    ends = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


@lru_cache(maxsize=256)
def _form(text: str) -> dict[str, Any]:
    form: dict[str, Any] = json.loads(text)
    return form


def _fits(schema: Any, value: Any) -> bool:
    if schema is None:
        return True
    check = _validator(json.dumps(schema, sort_keys=True))
    return check is not None and bool(check.is_valid(value))


@lru_cache(maxsize=256)
def _validator(text: str) -> Any:
    """A compiled schema; ``None`` for one that is broken or reaches outside itself."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    schema = json.loads(text)
    if _has_outside_reference(schema):
        return None  # it would be fetched: no request may make this server call an address
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return None
    return Draft202012Validator(schema)


def _has_outside_reference(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        reference = schema.get("$ref", schema.get("$dynamicRef", "#"))
        if not str(reference).startswith("#"):
            return True
        return any(_has_outside_reference(one) for one in schema.values())
    return isinstance(schema, list) and any(_has_outside_reference(one) for one in schema)
