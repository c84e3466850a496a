"""Answers of several teachers to one: a label model for choices and booleans, the majority for other kinds.

The label model is Dawid and Skene's (1979), from crowd-kit: each teacher's errors by label are estimated from how
the teachers agree, and votes are weighed by them. It takes errors of different teachers to be independent given
the truth, which models of one family are not; two teachers say little about each other, three or more do. Without
crowd-kit, or where all teachers always say the same, it is the majority; ties go to the teacher named first.

Answers are held in memory, a small number per field and teacher for choices and booleans.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.task.field import Field
from understudy.task.parse import OutputParser
from understudy.task.task import Task
from understudy.text.normalise import compact_text

__all__ = ["Combiner", "FieldAccuracy"]

_ITERATIONS = 100
_LABEL_MODEL = "Dawid-Skene"
_INSTALL = "crowd-kit is not installed (pip install 'understudy[label]')"


@dataclass(frozen=True, slots=True)
class FieldAccuracy:
    """How one field was combined, and how good each teacher seems at it.

    Attributes
    ----------
    method
        ``Dawid-Skene`` or ``majority``.
    reason
        Why it is the majority, where a label model would be the rule; else ``None``.
    accuracies
        Per teacher: by the label model its estimated accuracy, else its agreement with the majority; ``None`` if it
        gave no answer that fits. Neither is accuracy against the truth.
    """

    method: str
    reason: str | None
    accuracies: tuple[float | None, ...]

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """JSON form."""
        return {
            "method": self.method,
            "reason": self.reason,
            "estimated_accuracy": dict(zip(names, self.accuracies, strict=True)),
        }


def _key(of: Field, value: Any) -> Any:
    """Equal for equal answers."""
    if isinstance(value, str) and of.kind in ("span", "text"):
        return compact_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return (type(value).__name__, value)


@dataclass
class _Votes:
    """Answers to one field: per row and teacher an index into `values`, or -1 for none that fits.

    Values that differ only as text does (in white space, say) are kept apart, so that a row gets one of its own,
    but count as the same answer: `classes` holds, per value, the index of the first that is equal to it.
    """

    of: Field
    values: list[Any] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    rows: list[tuple[int, ...]] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)
    first: dict[Any, int] = field(default_factory=dict)

    def add(self, answers: Sequence[Any]) -> None:
        """One row."""
        self.rows.append(tuple(-1 if answer is UNKNOWN else self._index(answer) for answer in answers))

    def _index(self, answer: Any) -> int:
        exact = (type(answer).__name__, answer)
        if exact not in self.known:
            at = self.known[exact] = len(self.values)
            self.values.append(answer)
            self.classes.append(self.first.setdefault(_key(self.of, answer), at))
        return self.known[exact]

    def majority(self) -> list[int]:
        """Per row the index said most often, -1 without any; ties to the first teacher that says one of them."""
        out = []
        for row in self.rows:
            counts = Counter(self.classes[at] for at in row if at >= 0)
            if not counts:
                out.append(-1)
                continue
            # max() keeps the first of equals, and a Counter keeps the order in which teachers speak.
            best = max(counts, key=lambda one: counts[one])
            out.append(next(at for at in row if at >= 0 and self.classes[at] == best))
        return out

    def agreement(self, chosen: Sequence[int], n_teachers: int) -> tuple[float | None, ...]:
        """Per teacher the share of its answers that are the chosen ones."""
        shares: list[float | None] = []
        for teacher in range(n_teachers):
            hits = [
                self.classes[row[teacher]] == self.classes[at]
                for row, at in zip(self.rows, chosen, strict=True)
                if row[teacher] >= 0
            ]
            shares.append(sum(hits) / len(hits) if hits else None)
        return tuple(shares)


class Combiner:
    """Collects answers row by row, then says what the teachers say together.

    Parameters
    ----------
    task
        The schema.
    n_teachers
        How many answer each row.
    """

    def __init__(self, task: Task, n_teachers: int) -> None:
        self.task, self.n_teachers = task, n_teachers
        self._parser = OutputParser(task)
        self._votes = [_Votes(of) for of in task.fields]
        self._chosen: list[list[int]] = []

    def add(self, answers: Sequence[Any]) -> int:
        """Keep a row of answers, ``UNKNOWN`` for a teacher without one; returns the row's number."""
        parsed = [self._parser.parse(answer).values for answer in answers]
        for votes in self._votes:
            votes.add([values[votes.of.name] for values in parsed])
        return len(self._votes[0].rows) - 1

    def fit(self) -> dict[str, FieldAccuracy]:
        """Combine all rows; per field how, and how good each teacher seems."""
        found = {}
        self._chosen = []
        for votes in self._votes:
            chosen, accuracy = self._fit_field(votes)
            self._chosen.append(chosen)
            found[votes.of.name] = accuracy
        return found

    def output(self, row: int) -> Any:
        """The combined answer of a row in the teacher's shape; ``UNKNOWN`` where no teacher fits some field."""
        values = {}
        for votes, chosen in zip(self._votes, self._chosen, strict=True):
            if chosen[row] < 0:
                return UNKNOWN
            value = votes.values[chosen[row]]
            values[votes.of.name] = list(value) if isinstance(value, tuple) else value
        output = self.task.assemble(values)
        return UNKNOWN if output is ABSENT else output

    def _fit_field(self, votes: _Votes) -> tuple[list[int], FieldAccuracy]:
        majority = votes.majority()
        agreement = votes.agreement(majority, self.n_teachers)
        if votes.of.kind not in ("choice", "boolean"):
            return majority, FieldAccuracy("majority", None, agreement)
        if len(votes.values) < 2:
            return majority, FieldAccuracy("majority", "all teachers always say the same", agreement)
        fitted = _dawid_skene(votes, self.n_teachers)
        if fitted is None:
            return majority, FieldAccuracy("majority", _INSTALL, agreement)
        by_row, accuracies = fitted
        chosen = [by_row.get(row, at) for row, at in enumerate(majority)]
        return chosen, FieldAccuracy(_LABEL_MODEL, None, accuracies)


def _dawid_skene(votes: _Votes, n_teachers: int) -> tuple[dict[int, int], tuple[float | None, ...]] | None:
    """Label per row and accuracy per teacher by crowd-kit, or ``None`` if it is not installed."""
    with warnings.catch_warnings():
        # Of pandas, about how crowd-kit calls it: nothing that a user could change.
        warnings.simplefilter("ignore")
        try:
            import pandas as pd  # type: ignore[import-untyped, unused-ignore]
            from crowdkit.aggregation import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
                DawidSkene,
            )
        except ImportError:
            return None
        said = [
            (row, teacher, at)
            for row, indices in enumerate(votes.rows)
            for teacher, at in enumerate(indices)
            if at >= 0
        ]
        model = DawidSkene(n_iter=_ITERATIONS)
        labels = model.fit_predict(pd.DataFrame(said, columns=["task", "worker", "label"]))
    priors = {int(label): float(share) for label, share in model.priors_.items()}
    accuracies: list[float | None] = []
    present = {teacher for _, teacher, _ in said}
    for teacher in range(n_teachers):
        if teacher not in present:
            accuracies.append(None)
            continue
        errors = model.errors_.loc[teacher]
        right = sum(
            share * float(errors.at[label, label])
            for label, share in priors.items()
            if label in errors.index and label in errors.columns
        )
        accuracies.append(min(1.0, right))
    return {int(row): int(label) for row, label in labels.items()}, tuple(accuracies)
