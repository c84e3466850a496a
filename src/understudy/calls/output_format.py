"""What form of answer a request asks for, under one name whichever API asks: response format, tools, choice of tool.

Two requests that differ here ask for different answers, even if their words are the same. Names and descriptions
of schemas are left out, and so is what chat completions and Responses write differently for the same thing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["output_format", "wants_json"]

_SILENT = ("text", None)
_FREE_CHOICE = ("auto", "none", None)


def output_format(request: Mapping[str, Any]) -> str | None:
    """Canonical JSON of the form asked for, or ``None`` for plain text."""
    asked: dict[str, Any] = {}
    if (shape := _response_format(request)) is not None:
        asked["format"] = shape
    if tools := _tools(request):
        asked["tools"] = tools
        choice = request.get("tool_choice", request.get("function_call"))
        if choice not in _FREE_CHOICE:
            asked["choice"] = _chosen_name(choice)
    if not asked:
        return None
    return json.dumps(asked, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def wants_json(request: Mapping[str, Any]) -> bool:
    """Whether the answer's text has to be JSON."""
    shape = _response_format(request)
    return shape is not None and shape["type"] in ("json_schema", "json_object")


def _response_format(request: Mapping[str, Any]) -> dict[str, Any] | None:
    given = request.get("response_format")
    if given is None and isinstance(request.get("text"), Mapping):
        given = request["text"].get("format")
    if not isinstance(given, Mapping) or given.get("type") in _SILENT:
        return None
    # Chat completions nest name and schema one level deeper than Responses.
    inner = given.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, Mapping) else given.get("schema")
    return {"type": str(given.get("type")), **({} if schema is None else {"schema": schema})}


def _tools(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = request.get("tools") or request.get("functions") or ()
    if not isinstance(given, Sequence) or isinstance(given, str):
        return []
    out = []
    for tool in given:
        if not isinstance(tool, Mapping):
            continue
        function = tool.get("function")
        holder = function if isinstance(function, Mapping) else tool
        out.append({"name": holder.get("name"), "parameters": holder.get("parameters")})
    return sorted(out, key=lambda tool: str(tool["name"]))


def _chosen_name(choice: Any) -> Any:
    if not isinstance(choice, Mapping):
        return choice
    function = choice.get("function")
    return function.get("name") if isinstance(function, Mapping) else choice.get("name", choice.get("type"))
