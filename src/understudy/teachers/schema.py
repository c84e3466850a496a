"""A task's fields as a JSON Schema of the answer, in the dialect of structured outputs.

Objects are closed and all keys are required, so that servers may hold a model to it (``strict``); a task with
optional fields has them left out of ``required`` instead, as absent and null are different answers. Tolerances
and "copied from the input" have no form in JSON Schema and are lost.
"""

from __future__ import annotations

from typing import Any

from understudy.errors import ConfigError
from understudy.task.field import PLAIN_FIELD, Field, join_path
from understudy.task.task import Task

__all__ = ["free_key", "is_strict", "output_schema"]

_REASON_KEYS = ("reason", "rationale", "why", "explanation")
_REASON = "Why, in one or two sentences, before the answer is given."
_TYPES = {"boolean": "boolean", "number": "number", "span": "string", "text": "string"}


def free_key(task: Task) -> str:
    """A key for the reason that no field of the task uses at the top."""
    taken = {field.path[0] for field in task.fields}
    names = (*_REASON_KEYS, *(f"reason_{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def is_strict(task: Task) -> bool:
    """Whether every key is always there, which strict structured outputs demand."""
    return not any(field.optional for field in task.fields)


def output_schema(task: Task, *, reason_key: str | None = None) -> dict[str, Any]:
    """The schema of an answer; a bare value is wrapped as ``{"answer": ...}``.

    Parameters
    ----------
    task
        Whose fields.
    reason_key
        A key for a text that comes first and says why; ``None`` for none.

    Raises
    ------
    ConfigError
        If a field is a value and an object at once (``a`` and ``a.b``).
    """
    root = _new_object()
    if reason_key is not None:
        root["properties"][reason_key] = {"type": "string", "description": _REASON}
        root["required"].append(reason_key)
    for field in task.fields:
        path = (PLAIN_FIELD,) if task.is_plain else field.path
        _put(root, path, field)
    return root


def _new_object() -> dict[str, Any]:
    return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def _put(root: dict[str, Any], path: tuple[str, ...], field: Field) -> None:
    at = root
    for depth, key in enumerate(path):
        is_leaf = depth == len(path) - 1
        known = at["properties"].get(key)
        if known is not None and (is_leaf or "properties" not in known):
            raise ConfigError(
                "a field is both a value and an object of further fields",
                given=join_path(path[: depth + 1]),
                todo="rename one of them",
            )
        if known is None:
            at["properties"][key] = known = _leaf(field) if is_leaf else _new_object()
        # An object is needed as soon as one of its values is; without any of them it is not there at all.
        if not field.optional and key not in at["required"]:
            at["required"].append(key)
        at = known


def _leaf(field: Field) -> dict[str, Any]:
    if field.kind == "choice":
        labels = [*field.labels, *([None] if field.nullable else [])]
        return {**_type_of_labels(labels), "enum": labels}
    if field.kind == "choices":
        items = {**_type_of_labels(field.labels), "enum": list(field.labels)}
        return {"type": _or_null("array", field), "items": items}
    return {"type": _or_null(_TYPES[field.kind], field)}


def _or_null(name: str, field: Field) -> str | list[str]:
    return [name, "null"] if field.nullable else name


def _type_of_labels(labels: Any) -> dict[str, Any]:
    """The types of some labels, or nothing where they are no plain values."""
    names = []
    for label in labels:
        if label is None:
            names.append("null")
        elif isinstance(label, bool):
            names.append("boolean")
        elif isinstance(label, int | float):
            names.append("number")
        elif isinstance(label, str):
            names.append("string")
        else:
            return {}
    kinds = list(dict.fromkeys(names))
    return {"type": kinds[0] if len(kinds) == 1 else kinds}
