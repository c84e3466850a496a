"""One disagreement, made ready for a person: the input, the two answers field by field, and the label that comes of
a choice. Knows the task's schema where the task is served; nothing of how it looks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.calls.chat import ChatExchange, chat_exchange
from understudy.calls.columns import ColumnMap
from understudy.calls.report import LineRefusedError
from understudy.ledger.gold import Choice, GoldLabel
from understudy.ledger.masking import mask_json
from understudy.ledger.record import CallRecord
from understudy.serving.problems import RequestProblem
from understudy.serving.registry import ServedTask
from understudy.task.field import PLAIN_FIELD, values_equal
from understudy.task.parse import OutputParser, flatten
from understudy.task.task import Task

__all__ = ["FieldPair", "ReviewItem", "label_of", "read_item"]

_NO_COLUMNS = ColumnMap.of(None)


@dataclass(frozen=True, slots=True)
class FieldPair:
    """One field of both answers.

    Attributes
    ----------
    name
        The field's.
    student, teacher
        Values; ABSENT where there is none.
    is_differing
        Whether they are different answers; a field that no student has to write does not differ by its absence.
    """

    name: str
    student: Any
    teacher: Any
    is_differing: bool


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One call to judge.

    Attributes
    ----------
    call
        As the ledger has it, with texts.
    task
        Its task; ``None`` where it is not served now, and then nothing can be entered.
    input
        What the user wrote.
    request
        All messages, role and text.
    student, teacher
        The two answers, in the teacher's shape.
    fields
        Field by field.
    """

    call: CallRecord
    task: Task | None
    input: str
    request: tuple[tuple[str, str], ...]
    student: Any
    teacher: Any
    fields: tuple[FieldPair, ...]


def read_item(call: CallRecord, served: Mapping[str, ServedTask]) -> ReviewItem | None:
    """Read a call's texts; ``None`` where they are not there or are not what a server writes."""
    texts = (call.request, call.response, call.student_answer)
    if any(text is None for text in texts):
        return None
    try:
        request, response, student = (json.loads(text or "") for text in texts)
        exchange = chat_exchange({"request": request, "response": response}, _NO_COLUMNS)
    except (ValueError, RecursionError, LineRefusedError, TypeError, KeyError, AttributeError):
        return None
    known = served.get(call.task or "")
    task = None if known is None else known.model.task
    pairs = _pairs(task, student, exchange.output)
    teacher = _canonical(task, exchange.output)
    return ReviewItem(call, task, _input(exchange, known), exchange.messages, student, teacher, pairs)


def _input(exchange: ChatExchange, known: ServedTask | None) -> str:
    for kind in () if known is None else known.kinds:
        text = kind.input_of(exchange.messages, exchange.output_format)
        if text is not None:
            return text
    return exchange.messages[-1][1]


def _canonical(task: Task | None, said: Any) -> Any:
    """The answer as the task's types have it (a label without its full stop, say); as it was said if it does not fit."""
    if task is None:
        return said
    parsed = OutputParser(task).parse(said)
    return said if parsed.problems else task.assemble(parsed.values)


def _flat(said: Any) -> dict[str, Any]:
    return flatten(said) if isinstance(said, Mapping) else {PLAIN_FIELD: said}


def _pairs(task: Task | None, student: Any, teacher: Any) -> tuple[FieldPair, ...]:
    ours, theirs = _flat(student), _flat(teacher)
    if task is None:
        names = dict.fromkeys([*theirs, *ours])
        return tuple(_pair(name, ours.get(name, ABSENT), theirs.get(name, ABSENT)) for name in names)
    parser = OutputParser(task)
    typed = [parser.parse(one).values for one in (student, teacher)]
    found = []
    for field in task.fields:
        raw = [flat.get(field.name, ABSENT) for flat in (ours, theirs)]
        left, right = (
            given if value is UNKNOWN else value
            for given, value in zip(raw, (values[field.name] for values in typed), strict=True)
        )
        if UNKNOWN in [values[field.name] for values in typed]:
            pair = _pair(field.name, left, right)
            is_left_out = left is ABSENT and not field.required
            found.append(FieldPair(field.name, left, right, pair.is_differing and not is_left_out))
        else:
            found.append(FieldPair(field.name, left, right, not values_equal(field, left, right)))
    return tuple(found)


def _pair(name: str, left: Any, right: Any) -> FieldPair:
    return FieldPair(name, left, right, left is not right and left != right)


def label_of(item: ReviewItem, choice: str, who: str, entered: Any = ABSENT, *, is_masked: bool) -> GoldLabel:
    """The label that a choice makes.

    Parameters
    ----------
    item
        What was judged.
    choice
        See :data:`~understudy.ledger.gold.Choice`.
    who
        The person's key.
    entered
        For ``other``, the answer that was entered, checked against the task.
    is_masked
        Whether what was entered is masked, as the call's own texts are.

    Raises
    ------
    RequestProblem
        400 for an unknown choice.
    """
    values: dict[Choice, Any] = {
        "student": item.student,
        "teacher": item.teacher,
        "other": _masked(item.task, entered) if is_masked else entered,
        "skip": None,
    }
    for name, value in values.items():
        if name == choice:
            # In ASCII: whatever a text holds, either database stores it.
            text = None if name == "skip" else json.dumps(value, default=str)
            return GoldLabel(
                call_id=item.call.id, task=item.call.task, chosen=name, value=text, labelled_by=who
            )
    raise RequestProblem(400, "unknown_choice", "There is no such choice.")


def _masked(task: Task | None, entered: Any) -> Any:
    """The answer with what was copied or written freely masked; values out of a list are no one's secret."""
    free = {field.name for field in task.fields if field.kind in ("span", "text")} if task else None
    if isinstance(entered, Mapping):
        return {
            name: mask_json(_plain(value)) if free is None or name in free else value
            for name, value in entered.items()
        }
    return mask_json(_plain(entered)) if free is None or free else entered


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value
