"""Whether a student would have said what the upstream said: for shadow mode."""

from __future__ import annotations

from typing import Any

from understudy.calls.call import ABSENT
from understudy.calls.chat import chat_exchange
from understudy.calls.columns import ColumnMap
from understudy.calls.report import LineRefusedError
from understudy.runtime.answer import Answer
from understudy.serving.registry import ServedTask
from understudy.task.field import values_equal
from understudy.task.parse import OffSchema, parse_output

__all__ = ["agrees", "student_output"]

_NO_COLUMNS = ColumnMap.of(None)


def agrees(task: ServedTask, answer: Answer, request: Any, reply: Any) -> bool | None:
    """Whether every required field is equal; ``None`` where the reply cannot be read by the task's schema."""
    try:
        said = chat_exchange({"request": request, "response": reply}, _NO_COLUMNS).output
    except (LineRefusedError, TypeError, KeyError, AttributeError):
        return None
    values = parse_output(task.model.task, said)
    if isinstance(values, OffSchema):
        return None
    return all(
        field.name in answer.fields
        and values_equal(field, answer.fields[field.name].value, values[field.name])
        for field in task.model.task.fields
        if field.required
    )


def student_output(task: ServedTask, answer: Answer) -> Any:
    """What the student says, deferred or not, in the teacher's shape; fields that no rung writes are left out."""
    said = task.model.task.assemble({name: field.value for name, field in answer.fields.items()})
    return None if said is ABSENT else said
