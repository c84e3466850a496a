"""Facts about the teacher: how often it is right (against gold), how often it agrees with itself (repeats,
votes).

Self-agreement S is the chance that two answers to one input are equal. Nobody can predict a single answer
of such a teacher better than always naming its commonest one; as the share of the commonest is at most the
square root of the sum of squared shares, agreement with the teacher over all calls is at most sqrt(S).
Deferring the noisy inputs can do better among the answered ones. It says nothing of inputs that were asked
once. Where equality is a score above a threshold (texts by ROUGE-L or chrF) a text in the middle may be like all
answers that are not like each other: there the square root bounds nothing, and no ceiling is stated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import ABSENT, UNKNOWN, InputParts
from understudy.task.field import Field, values_equal
from understudy.task.task import Task
from understudy.text.normalise import compact_text
from understudy.text.overlap import last_number

__all__ = ["Share", "TeacherFacts", "share_of", "teacher_accuracy", "teacher_facts"]

RECORD = "(record)"
"""Stands for all fields together."""

_MOST_PAIRED = 12
_Z = 1.959963984540054  # 97.5 % point of the normal distribution


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval.

    Attributes
    ----------
    value, low, high
        In [0, 1]; Wilson's interval (Wilson 1927).
    n
        What it is a share of.
    """

    value: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def share_of(total: float, n: int) -> Share | None:
    """The share total / n with Wilson's 95 % interval, or ``None`` for n = 0.

    For a mean of values in [0, 1] that are not all 0 or 1 the interval is too wide, never too narrow: their
    variance is at most that of a coin with the same mean.
    """
    if n == 0:
        return None
    value = total / n
    middle = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * (value * (1 - value) / n + _Z**2 / (4 * n * n)) ** 0.5
    low = 0.0 if total <= 0 else max(0.0, middle - half)
    return Share(value, low, 1.0 if total >= n else min(1.0, middle + half), n)


@dataclass(frozen=True, slots=True)
class TeacherFacts:
    """What a log tells of its teacher; per field name, and under :data:`RECORD` for whole records.

    Attributes
    ----------
    accuracy
        Share of usable answers equal to gold.
    accuracy_of_all
        The same with off-schema and missing answers counted as wrong.
    self_agreement
        Chance that two answers to one input are equal; `n` counts inputs.
    ceiling
        The most that agreement over all calls can reach: the root of the upper end of `self_agreement`, or 1 where
        equality is a score above a threshold.
    """

    accuracy: dict[str, Share]
    accuracy_of_all: dict[str, Share]
    self_agreement: dict[str, Share]
    ceiling: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "accuracy": {name: share.to_dict() for name, share in self.accuracy.items()},
            "accuracy_of_all": {name: share.to_dict() for name, share in self.accuracy_of_all.items()},
            "self_agreement": {name: share.to_dict() for name, share in self.self_agreement.items()},
            "ceiling": dict(self.ceiling),
        }


Columns = Mapping[str, Sequence[Any]]


def teacher_facts(
    task: Task,
    inputs: Sequence[InputParts],
    exact: npt.NDArray[np.int64],
    teacher: Columns,
    gold: Columns,
    votes: Mapping[int, Sequence[Mapping[str, Any]]],
) -> TeacherFacts:
    """All facts.

    Parameters
    ----------
    task
        The task.
    inputs
        `n` inputs.
    exact
        Row of the first input equal after normalisation, shape (n,). Repeats are equal to the letter.
    teacher, gold
        Columns of `n` values.
    votes
        Per row the further answers, parsed.
    """
    accuracy, of_all = teacher_accuracy(task, teacher, gold)
    agreement = _self_agreement(task, _repeats(inputs, exact, teacher, votes, task))
    unbounded = {field.name for field in task.fields if field.is_equal_by_score}
    if unbounded:
        unbounded.add(RECORD)
    ceiling = {
        name: 1.0 if name in unbounded else min(1.0, share.high**0.5) for name, share in agreement.items()
    }
    return TeacherFacts(accuracy, of_all, agreement, ceiling)


def teacher_accuracy(
    task: Task, teacher: Columns, gold: Columns
) -> tuple[dict[str, Share], dict[str, Share]]:
    """Share of answers equal to gold: among usable answers, and among all rows with gold.

    A record is right if no field that gold speaks of differs; a field that is absent from both is not
    counted.
    """
    usable: dict[str, Share] = {}
    of_all: dict[str, Share] = {}
    n_rows = len(next(iter(teacher.values()), ()))
    is_wrong, is_unusable, has_gold = (np.zeros(n_rows, dtype=bool) for _ in range(3))
    for field in task.fields:
        right, wrong, unusable = (np.zeros(n_rows, dtype=bool) for _ in range(3))
        for row, (answer, true) in enumerate(zip(teacher[field.name], gold[field.name], strict=True)):
            if true is UNKNOWN or (true is ABSENT and answer is ABSENT):
                continue
            if answer is UNKNOWN:
                unusable[row] = True
            elif values_equal(field, answer, true):
                right[row] = True
            else:
                wrong[row] = True
        n_usable = int(right.sum() + wrong.sum())
        _put(usable, field.name, share_of(float(right.sum()), n_usable))
        _put(
            of_all,
            field.name,
            share_of(float(right.sum()), n_usable + int(unusable.sum())) if n_usable else None,
        )
        is_wrong |= wrong
        is_unusable |= unusable
        has_gold |= right | wrong | unusable
    if len(task.fields) > 1:
        whole = has_gold & ~is_unusable
        n_right = float((whole & ~is_wrong).sum())
        _put(usable, RECORD, share_of(n_right, int(whole.sum())))
        _put(of_all, RECORD, share_of(n_right, int(has_gold.sum())) if whole.any() else None)
    return usable, of_all


def _put(shares: dict[str, Share], name: str, share: Share | None) -> None:
    if share is not None:
        shares[name] = share


def _repeats(
    inputs: Sequence[InputParts],
    exact: npt.NDArray[np.int64],
    teacher: Columns,
    votes: Mapping[int, Sequence[Mapping[str, Any]]],
    task: Task,
) -> list[list[Mapping[str, Any]]]:
    """Answers per input that has at least two."""
    names = [field.name for field in task.fields]
    counts = np.bincount(exact, minlength=len(exact)) if len(exact) else np.empty(0, dtype=np.int64)
    asked: dict[InputParts, list[Mapping[str, Any]]] = {}
    for row in np.flatnonzero(counts[exact] > 1).tolist() if len(exact) else ():
        asked.setdefault(inputs[row], []).append({name: teacher[name][row] for name in names})
        asked[inputs[row]].extend(votes.get(row, ()))
    for row in votes:
        if inputs[row] not in asked:
            asked[inputs[row]] = [{name: teacher[name][row] for name in names}, *votes[row]]
    return [answers for answers in asked.values() if len(answers) > 1]


def _key(field: Field, value: Any) -> Any:
    if isinstance(value, str):
        if field.metric == "exact" or field.is_equal_by_score:
            return value
        if field.metric == "numeric" and (number := last_number(value)) is not None:
            return ("number", number)
        return compact_text(value) if field.kind in ("span", "text") else value
    if isinstance(value, tuple):
        return frozenset(value)
    return (type(value).__name__, value) if isinstance(value, bool) else value


def _pair_agreement(keys: Sequence[Any]) -> float:
    counts = Counter(keys)
    n = len(keys)
    return sum(count * (count - 1) for count in counts.values()) / (n * (n - 1))


def _scored_agreement(fields: Sequence[Field], rows: Sequence[tuple[Any, ...]]) -> float:
    """The same for fields whose equality is no equivalence: pair by pair, of at most `_MOST_PAIRED` answers."""
    pairs = list(permutations(rows[:_MOST_PAIRED], 2))
    equal = sum(
        all(
            _is_equal(field, one, two) if field.is_equal_by_score else one == two
            for field, one, two in zip(fields, left, right, strict=True)
        )
        for left, right in pairs
    )
    return equal / len(pairs)


def _is_equal(field: Field, left: Any, right: Any) -> bool:
    return left is right or (
        isinstance(left, str) and isinstance(right, str) and values_equal(field, left, right)
    )


def _self_agreement(task: Task, repeats: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Share]:
    totals: dict[str, list[float]] = {}
    for answers in repeats:
        rows = [tuple(_key(field, answer[field.name]) for field in task.fields) for answer in answers]
        for at, field in enumerate(task.fields):
            # A field that is absent from every answer (another category's) agrees trivially: not counted.
            keys = [row[at] for row in rows if row[at] is not UNKNOWN]
            if len(keys) > 1 and any(key is not ABSENT for key in keys):
                same = (
                    _scored_agreement([field], [(key,) for key in keys])
                    if field.is_equal_by_score
                    else _pair_agreement(keys)
                )
                totals.setdefault(field.name, []).append(same)
        whole = [row for row in rows if all(key is not UNKNOWN for key in row)]
        if len(task.fields) > 1 and len(whole) > 1:
            is_scored = any(field.is_equal_by_score for field in task.fields)
            same = _scored_agreement(task.fields, whole) if is_scored else _pair_agreement(whole)
            totals.setdefault(RECORD, []).append(same)
    shares: dict[str, Share] = {}
    for name, values in totals.items():
        _put(shares, name, share_of(sum(values), len(values)))
    return shares
