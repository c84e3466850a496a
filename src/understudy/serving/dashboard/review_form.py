"""Inputs for an answer that neither gave: one per field, by its type; what comes back is checked by the task's schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from understudy.calls.call import ABSENT
from understudy.drawing.markup import Html, foreign, tag
from understudy.serving.dashboard.csrf import Form
from understudy.task.field import Field
from understudy.task.parse import OffSchema, parse_output
from understudy.task.task import Task

__all__ = ["answer_inputs", "entered_values", "read_answer"]

_NULL, _ABSENT = "null", "absent"


def _is_optional(field: Field) -> bool:
    return field.optional or not field.required


def answer_inputs(task: Task, values: Mapping[str, Any]) -> list[Html]:
    """One labelled input per field.

    Parameters
    ----------
    task
        Its fields, in order.
    values
        What to begin with, by field; what is missing or ABSENT begins empty.
    """
    return [_labelled(at, field, values.get(field.name, ABSENT)) for at, field in enumerate(task.fields)]


def _labelled(at: int, field: Field, value: Any) -> Html:
    made = _INPUTS[field.kind](f"f{at}", field, value)
    hint = _hint(field)
    name = tag("span", foreign(field.name), tag("small", hint) if hint else None, cls="field-name")
    # Several boxes have labels of their own.
    return tag("div" if field.kind == "choices" else "label", name, made, cls="field")


def _hint(field: Field) -> str:
    if field.kind in ("choice", "boolean"):
        return ""
    if field.kind == "choices":
        return "none, one or several"
    if field.nullable:
        return "empty: null"
    return "may be left empty" if _is_optional(field) else ""


def _shown(value: Any) -> str:
    if value is ABSENT or value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _select(name: str, field: Field, options: list[tuple[str, str, bool]], value: Any) -> Html:
    if field.nullable:
        options = [*options, (_NULL, "null", value is None)]
    if _is_optional(field):
        options = [*options, (_ABSENT, "left out", value is ABSENT)]
    return tag(
        "select",
        *(tag("option", words, value=key, selected=chosen) for key, words, chosen in options),
        name=name,
    )


def _choice(name: str, field: Field, value: Any) -> Html:
    options = [(str(at), _shown(one), one == value) for at, one in enumerate(field.labels)]
    return _select(name, field, options, value)


def _boolean(name: str, field: Field, value: Any) -> Html:
    return _select(name, field, [("true", "true", value is True), ("false", "false", value is False)], value)


def _choices(name: str, field: Field, value: Any) -> Html:
    chosen = value if isinstance(value, list | tuple) else ()
    boxes = [
        tag(
            "label",
            tag("input", type="checkbox", name=name, value=str(at), checked=one in chosen),
            foreign(_shown(one)),
        )
        for at, one in enumerate(field.labels)
    ]
    if field.nullable:
        box = tag("input", type="checkbox", name=name, value=_NULL, checked=value is None)
        boxes.append(tag("label", box, "null"))
    return tag("div", *boxes, cls="boxes")


def _line(name: str, field: Field, value: Any) -> Html:
    kind = "decimal" if field.kind == "number" else None
    return tag("input", type="text", name=name, value=_shown(value), inputmode=kind, autocomplete="off")


def _area(name: str, _field: Field, value: Any) -> Html:
    return tag("textarea", _shown(value), name=name, rows=2)


_INPUTS = {
    "choice": _choice,
    "boolean": _boolean,
    "choices": _choices,
    "number": _line,
    "span": _line,
    "text": _area,
}


def entered_values(task: Task, form: Form) -> dict[str, Any]:
    """Values by field as they were entered, unchecked."""
    return {field.name: _given(field, form.get(f"f{at}")) for at, field in enumerate(task.fields)}


def read_answer(task: Task, form: Form) -> Any | OffSchema:
    """The answer that was entered, in the teacher's shape, or why the task does not allow it.

    Fields that a student may leave out may be left out here.
    """
    values = entered_values(task, form)
    fields = tuple(replace(field, optional=_is_optional(field)) for field in task.fields)
    wanted = replace(task, fields=fields)
    parsed = parse_output(wanted, wanted.assemble(values))
    return parsed if isinstance(parsed, OffSchema) else wanted.assemble(parsed)


def _given(field: Field, values: list[str] | None) -> Any:
    if field.kind == "choices":
        return None if _NULL in (values or ()) else [_label(field, key) for key in values or ()]
    text = values[0] if values else ""
    if field.kind in ("choice", "boolean"):
        if text in (_NULL, _ABSENT) or not text:
            return None if text == _NULL else ABSENT
        if field.kind == "boolean":
            return {"true": True, "false": False}.get(text, text)
        return _label(field, text)
    if text.strip():
        return text.replace("\r\n", "\n")
    if field.nullable:
        return None
    return ABSENT if _is_optional(field) else text


def _label(field: Field, key: str) -> Any:
    """The label of an option; what is no option is given on, for the schema to refuse."""
    return field.labels[int(key)] if key.isascii() and key.isdigit() and int(key) < len(field.labels) else key
