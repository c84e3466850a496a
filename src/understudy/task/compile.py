"""Fields to learnable problems: which of the five modes fits what a column of values holds.

choice and boolean are classified; numbers are classified (few that recur), pointed at (they stand in the
input) or regressed; sets of labels are multi-label; spans are pointed at; text is written. Lists that are kept as
their JSON text have no problem: they are always deferred. Which of the problems a run takes on is the ladder's to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from understudy.calls.call import ABSENT, UNKNOWN, InputParts
from understudy.task.field import Field
from understudy.task.problem import Problem
from understudy.task.sketch import value_in_text
from understudy.task.task import Task

__all__ = ["compile_problems", "deferred_fields", "learnt_by_default"]

MAX_NUMBER_CLASSES = 20
_MIN_PER_NUMBER = 5
_MIN_COPIED = 0.8
_CHECKED_ROWS = 5_000
_MIN_CONSTANT_SHARE = 0.02
_MIN_CONSTANT_ROWS = 3
_MAX_CONSTANTS = 3


def compile_problems(
    task: Task, columns: Mapping[str, Sequence[Any]], inputs: Sequence[InputParts]
) -> list[Problem]:
    """One problem per field that can be learnt, in the task's order.

    Parameters
    ----------
    task
        The task.
    columns
        Per field name `n` values (UNKNOWN where nobody said).
    inputs
        The `n` inputs, to see whether values stand in them.
    """
    problems = []
    for field in task.fields:
        values = columns.get(field.name, ())
        if field.kind in ("choice", "boolean"):
            labels = field.labels if field.kind == "choice" else (False, True)
            problems.append(Problem(field, "classify", (*labels, *_empties(field, values))))
        elif field.kind == "choices":
            problems.append(Problem(field, "multilabel", field.labels))
        elif field.kind == "number":
            problems.append(_number_problem(field, values, inputs))
        elif field.kind == "span":
            constants = _constants(values, inputs)
            problems.append(Problem(field, "point", (*constants, *_empties(field, values))))
        elif field.kind == "text" and not field.holds_json:
            problems.append(Problem(field, "write", _empties(field, values)))
    return problems


def learnt_by_default(problem: Problem) -> bool:
    """Whether a run takes a problem on without being told to: a text that nobody requires is left to the teacher."""
    return problem.mode != "write" or problem.field.required


def deferred_fields(task: Task) -> tuple[str, ...]:
    """Names of the fields that a run leaves to the teacher, if it is not told to write them."""
    return tuple(
        field.name
        for field in task.fields
        if field.kind == "text" and (field.holds_json or not field.required)
    )


def _empties(field: Field, values: Sequence[Any]) -> tuple[Any, ...]:
    """Null and absent, where legal and seen (or where nothing was seen at all)."""
    has_null = any(value is None for value in values)
    has_absent = any(value is ABSENT for value in values)
    empties: list[Any] = []
    if field.nullable and (has_null or not len(values)):
        empties.append(None)
    if field.optional and (has_absent or not len(values)):
        empties.append(ABSENT)
    return tuple(empties)


def _known(values: Sequence[Any]) -> list[tuple[int, Any]]:
    return [
        (row, value)
        for row, value in enumerate(values)
        if value is not UNKNOWN and value is not None and value is not ABSENT
    ]


def _number_problem(field: Field, values: Sequence[Any], inputs: Sequence[InputParts]) -> Problem:
    known = _known(values)
    counts: Counter[float] = Counter()
    for _, value in known:
        counts[value] += 1
        if len(counts) > MAX_NUMBER_CLASSES:
            break
    if counts and len(counts) <= MAX_NUMBER_CLASSES and len(known) >= _MIN_PER_NUMBER * len(counts):
        return Problem(field, "classify", (*sorted(counts), *_empties(field, values)))
    step = max(1, len(known) // _CHECKED_ROWS)
    checked = list(islice(known, 0, None, step))
    n_copied = sum(_stands_in_parts(value, inputs[row]) for row, value in checked)
    if checked and n_copied >= _MIN_COPIED * len(checked):
        return Problem(field, "point", _empties(field, values))
    # A regression cannot say null or absent: such rows come out wrong, and the certificate counts them so.
    return Problem(field, "regress")


def _stands_in_parts(value: Any, parts: InputParts) -> bool:
    return any(value_in_text(value, part) for part in parts)


def _constants(values: Sequence[Any], inputs: Sequence[InputParts]) -> tuple[str, ...]:
    """Texts such as "n/a" that recur and do not stand in the input: classes beside the span."""
    known = _known(values)
    step = max(1, len(known) // _CHECKED_ROWS)
    checked = known[::step]
    floor = max(_MIN_CONSTANT_ROWS, _MIN_CONSTANT_SHARE * len(checked))
    counts = Counter(value for _, value in checked)
    found: list[str] = []
    for value, count in counts.most_common():
        if count < floor or len(found) == _MAX_CONSTANTS:
            break
        rows = [row for row, given in checked if given == value]
        if sum(_stands_in_parts(value, inputs[row]) for row in rows) < 0.1 * len(rows):
            found.append(value)
    return tuple(found)
