"""Calls on which a student and its teacher were compared: how often they differ, and which wait for a person.

A comparison is a call in shadow mode. What a student would have answered, rather than deferred, follows from the
threshold of its artefact, which the ledger does not know: whoever asks brings it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, literal_column, or_, select

from understudy.ledger.database import Ledger
from understudy.ledger.record import CallRecord
from understudy.ledger.schema import calls, gold

__all__ = ["Compared", "QueueCounts", "compared_counts", "find_call", "next_disagreement", "queue_counts"]

# Spelt as the partial index has it, for SQLite compares expressions.
_DISAGREES: ColumnElement[bool] = literal_column("(NOT understudy_calls.is_agreeing)")
_HAS_TEXTS = (
    calls.c.request.is_not(None),
    calls.c.response.is_not(None),
    calls.c.student_answer.is_not(None),
)


@dataclass(frozen=True, slots=True)
class Compared:
    """Comparisons of one artefact.

    Attributes
    ----------
    n
        Calls that were compared.
    n_differing
        Of these, where the two differ.
    n_answered, n_answered_differing
        The same among the calls that the student would have answered rather than deferred.
    """

    n: int = 0
    n_differing: int = 0
    n_answered: int = 0
    n_answered_differing: int = 0


def compared_counts(
    ledger: Ledger,
    task: str,
    artefact_id: str,
    since_ms: int,
    threshold: float | None,
    certified_rungs: Sequence[str] = (),
) -> Compared:
    """Comparisons of an artefact since a time.

    Parameters
    ----------
    ledger
        Where from.
    task, artefact_id
        As the rows have them.
    since_ms
        From when, milliseconds since 1970.
    threshold
        The confidence from which on the artefact answers; ``None``: never.
    certified_rungs
        Rungs that answer whatever their confidence.

    Raises
    ------
    LedgerError
        If the database does not answer.
    """
    c = calls.c
    answers: list[ColumnElement[bool]] = [c.rung.in_(list(certified_rungs))]
    if threshold is not None:
        answers.append(c.confidence >= threshold)
    would_answer = case((or_(*answers), 1), else_=0)
    query = (
        select(c.is_agreeing, would_answer.label("would_answer"), func.count().label("n"))
        .where(
            c.is_agreeing.is_not(None), c.task == task, c.artefact_id == artefact_id, c.time_ms >= since_ms
        )
        .group_by(c.is_agreeing, would_answer)
    )
    with ledger.reading() as connection:
        rows = connection.execute(query).mappings().all()

    def total(*, answered: bool, differing: bool) -> int:
        return sum(
            row["n"]
            for row in rows
            if (row["would_answer"] or not answered) and not (row["is_agreeing"] and differing)
        )

    return Compared(
        total(answered=False, differing=False),
        total(answered=False, differing=True),
        total(answered=True, differing=False),
        total(answered=True, differing=True),
    )


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What waits for a person.

    Attributes
    ----------
    n_waiting
        Calls that differ, whose texts are there, and that nobody has looked at.
    n_without_texts
        Calls that differ and cannot be shown, because their texts were not kept or were removed.
    """

    n_waiting: int
    n_without_texts: int


def _open_items(task: str | None) -> list[ColumnElement[bool]]:
    seen = select(gold.c.call_id).where(gold.c.call_id == calls.c.id).exists()
    found = [_DISAGREES, ~seen]
    if task is not None:
        found.append(calls.c.task == task)
    return found


def queue_counts(ledger: Ledger, task: str | None = None) -> QueueCounts:
    """How many disagreements wait for a person, of a task or (``None``) of all."""
    has_none = or_(*(~condition for condition in _HAS_TEXTS))
    query = select(func.count(), func.count(case((has_none, 1)))).where(*_open_items(task))
    with ledger.reading() as connection:
        n_open, n_without = connection.execute(query).one()
    return QueueCounts(n_open - n_without, n_without)


def next_disagreement(ledger: Ledger, task: str | None = None) -> CallRecord | None:
    """The latest call that differs, has texts, and that nobody has looked at; with its texts."""
    query = select(calls).where(*_open_items(task), *_HAS_TEXTS)
    query = query.order_by(calls.c.time_ms.desc(), calls.c.id.desc()).limit(1)
    with ledger.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else CallRecord(**row)


def find_call(ledger: Ledger, call_id: str) -> CallRecord | None:
    """One call with its texts; ``None`` if there is none of this id."""
    with ledger.reading() as connection:
        row = connection.execute(select(calls).where(calls.c.id == call_id)).mappings().first()
    return None if row is None else CallRecord(**row)
