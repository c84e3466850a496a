"""Raw answers to typed columns, by the task's parser; counts of what does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.dataset.collect import Packed, unpack
from understudy.task.parse import OutputParser
from understudy.task.problem import Problem
from understudy.task.task import Task

__all__ = ["TypedAnswers", "parse_answers", "parse_golds", "parse_votes", "soft_targets"]

_MEMO_SIZE = 100_000
_MIN_KNOWN_SHARE = 0.5
_PROGRESS_ROWS = 20_000


@dataclass(slots=True)
class TypedAnswers:
    """Columns of values.

    Attributes
    ----------
    columns
        Per field name `n` values, UNKNOWN where none is usable.
    is_off
        Rows with an answer that does not fit the task in some field, shape (n,).
    reasons
        Misfits per reason.
    n_missing
        Rows without any answer.
    n_extra
        Rows with keys that no field reads.
    """

    columns: dict[str, list[Any]]
    is_off: npt.NDArray[np.bool_]
    reasons: Counter[str] = field(default_factory=Counter)
    n_missing: int = 0
    n_extra: int = 0


def parse_answers(
    task: Task,
    raws: Sequence[Packed],
    *,
    lenient: bool = False,
    progress: Callable[[str, float | None], None] | None = None,
) -> TypedAnswers:
    """Parse `n` recorded answers."""
    parser = OutputParser(task, lenient=lenient)
    names = [item.name for item in task.fields]
    columns: dict[str, list[Any]] = {name: [UNKNOWN] * len(raws) for name in names}
    answers = TypedAnswers(columns, np.zeros(len(raws), dtype=bool))
    memo: dict[Any, Any] = {}
    for row, raw in enumerate(raws):
        if progress is not None and row % _PROGRESS_ROWS == 0:
            progress("parsing answers", row / len(raws))
        if raw is ABSENT:
            answers.n_missing += 1
            continue
        parsed = parser.parse(unpack(raw))
        if parsed.problems:
            answers.is_off[row] = True
            answers.reasons.update(parsed.problems)
        answers.n_extra += parsed.n_extra_keys > 0
        for name in names:
            value = parsed.values[name]
            if isinstance(value, str | tuple):
                # One copy of each value, however many rows have it.
                kept = memo.get(value)
                if kept is None:
                    if len(memo) < _MEMO_SIZE:
                        memo[value] = value
                else:
                    value = kept
            columns[name][row] = value
    return answers


def parse_golds(
    task: Task, raws: Sequence[Packed], teacher: Mapping[str, Sequence[Any]], *, lenient: bool = False
) -> tuple[TypedAnswers, int]:
    """Parse gold answers, and count the keys that gold omits though the teacher answered them and that read
    as null.

    Gold often leaves keys out. Where gold writes null somewhere in the log, that is how it says "not
    there", and a key left out is one that nobody looked at: UNKNOWN. Where it never writes null, leaving
    out is how it says "not there": null for a nullable field. The loss: in the second case, keys that
    nobody looked at read as null too.
    """
    fields = tuple(replace(item, optional=True) for item in task.fields)
    answers = parse_answers(task if task.is_plain else replace(task, fields=fields), raws, lenient=lenient)
    n_read_as_null = 0
    if task.is_plain:
        return answers, n_read_as_null
    writes_null = any(value is None for column in answers.columns.values() for value in column)
    for item in task.fields:
        golds, given = answers.columns[item.name], teacher[item.name]
        for row, value in enumerate(golds):
            if value is not ABSENT or (item.optional and given[row] is ABSENT):
                continue
            if item.nullable and not writes_null:
                golds[row] = None
                n_read_as_null += 1
            elif writes_null or not item.optional:
                golds[row] = UNKNOWN
    return answers, n_read_as_null


def parse_votes(
    task: Task, votes: Mapping[int, bytes], *, lenient: bool = False
) -> dict[int, list[dict[str, Any]]]:
    """Further answers per row, parsed; unusable values are UNKNOWN."""
    parser = OutputParser(task, lenient=lenient)
    return {row: [parser.parse(raw).values for raw in unpack(packed)] for row, packed in votes.items()}


def soft_targets(
    task: Task,
    problems: Sequence[Problem],
    teacher: Mapping[str, Sequence[Any]],
    votes: Mapping[int, Sequence[Mapping[str, Any]]],
    label_probabilities: Mapping[int, bytes],
    n_rows: int,
) -> dict[str, npt.NDArray[np.float64]]:
    """Shares per value for the `classify` problems that votes or log-probabilities say something about.

    Log-probabilities (plain labels only) come first: what they leave open is spread evenly over the labels
    not listed; a row whose known labels hold less than half is left unknown. Votes count with the first answer.
    """
    soft: dict[str, npt.NDArray[np.float64]] = {}
    if not votes and not label_probabilities:
        return soft
    for problem in problems:
        if problem.mode != "classify":
            continue
        name = problem.field.name
        index = {(type(value), value): at for at, value in enumerate(problem.values)}
        rows: dict[int, npt.NDArray[np.float64]] = {}
        for row, answers in votes.items():
            shares = np.zeros(len(problem.values))
            for value in (teacher[name][row], *(answer[name] for answer in answers)):
                at = index.get((type(value), value))
                if at is not None:
                    shares[at] += 1
            if shares.sum() >= 2:
                rows[row] = shares / shares.sum()
        if task.is_plain and label_probabilities:
            rows.update(_from_probabilities(task, index, label_probabilities))
        if rows:
            table = np.full((n_rows, len(problem.values)), np.nan)
            for row, shares in rows.items():
                table[row] = shares
            soft[name] = table
    return soft


def _from_probabilities(
    task: Task, index: Mapping[Any, int], label_probabilities: Mapping[int, bytes]
) -> dict[int, npt.NDArray[np.float64]]:
    parser = OutputParser(task)
    name = task.fields[0].name
    rows = {}
    for row, packed in label_probabilities.items():
        shares = np.zeros(len(index))
        for label, share in unpack(packed).items():
            value = parser.parse(label).values[name]
            at = index.get((type(value), value))
            if at is not None:
                shares[at] += share
        total = shares.sum()
        if total < _MIN_KNOWN_SHARE:
            continue
        unlisted = shares == 0
        if total < 1 and unlisted.any():
            shares[unlisted] = (1 - total) / unlisted.sum()
        rows[row] = shares / shares.sum()
    return rows
