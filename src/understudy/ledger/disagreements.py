"""Calls on which a student and its teacher were compared: how often they differ, and which wait for a person.

A comparison is a call in shadow mode, or an audited one. What a student would have answered, rather than deferred, follows from the
threshold of its artefact, which the ledger does not know: whoever asks brings it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal_column, or_, select

from understudy.ledger.database import Ledger
from understudy.ledger.record import CallRecord
from understudy.ledger.schema import audits, calls, gold

__all__ = [
    "Compared",
    "QueueCounts",
    "answered_share",
    "compared_counts",
    "find_call",
    "next_disagreement",
    "queue_counts",
]

_DAY_MS = 86_400_000
# Spelt as the partial index has it, for SQLite compares expressions.
_DISAGREES: ColumnElement[bool] = literal_column("(NOT understudy_calls.is_agreeing)")
# Of an audited call the row holds the student's reply; what upstream said is the audit's.
_IS_AUDITED = audits.c.call_id.is_not(None)
_TEACHER = case((_IS_AUDITED, audits.c.response), else_=calls.c.response)
_STUDENT = case((_IS_AUDITED, audits.c.student_answer), else_=calls.c.student_answer)
_HAS_TEXTS = (calls.c.request.is_not(None), _TEACHER.is_not(None), _STUDENT.is_not(None))
_WITH_AUDITS = calls.outerjoin(audits, audits.c.call_id == calls.c.id)


@dataclass(frozen=True, slots=True)
class Compared:
    """Comparisons of one artefact.

    Attributes
    ----------
    n
        Calls that were compared in shadow mode.
    n_differing
        Of these, where the two differ.
    n_answered, n_answered_differing
        The same among the calls that the student would have answered rather than deferred.
    n_audited, n_audited_differing
        Answers of the student that were audited, and where the two differ.
    """

    n: int = 0
    n_differing: int = 0
    n_answered: int = 0
    n_answered_differing: int = 0
    n_audited: int = 0
    n_audited_differing: int = 0


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
        select(c.mode, c.is_agreeing, would_answer.label("would_answer"), func.count().label("n"))
        .where(
            c.is_agreeing.is_not(None), c.task == task, c.artefact_id == artefact_id, c.time_ms >= since_ms
        )
        .group_by(c.mode, c.is_agreeing, would_answer)
    )
    with ledger.reading() as connection:
        rows = connection.execute(query).mappings().all()

    shadow = [row for row in rows if row["mode"] == "shadow"]
    answered = [row for row in shadow if row["would_answer"]]
    audited = [row for row in rows if row["mode"] != "shadow"]
    counts: list[int] = []
    for part in (shadow, answered, audited):
        counts += [sum(row["n"] for row in part), sum(row["n"] for row in part if not row["is_agreeing"])]
    return Compared(*counts)


def answered_share(ledger: Ledger, task: str, artefact_id: str, since_ms: int) -> tuple[int, int]:
    """Calls of a task in serve mode that an artefact answered, and all that it was asked, since the start of a day."""
    c = calls.c
    # The day as the index has it, which holds all that is asked for.
    day: ColumnElement[int] = literal_column("(understudy_calls.time_ms / 86400000)")
    query = select(func.count(case((c.answered_by == "student", 1))), func.count()).where(
        day >= since_ms // _DAY_MS,
        c.time_ms >= since_ms,
        c.task == task,
        c.mode == "serve",
        c.artefact_id == artefact_id,
    )
    with ledger.reading() as connection:
        n_answered, n = connection.execute(query).one()
    return n_answered, n


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
    query = select(func.count(), func.count(case((has_none, 1)))).select_from(_WITH_AUDITS)
    query = query.where(*_open_items(task))
    with ledger.reading() as connection:
        n_open, n_without = connection.execute(query).one()
    return QueueCounts(n_open - n_without, n_without)


def next_disagreement(ledger: Ledger, task: str | None = None) -> CallRecord | None:
    """The latest call that differs, has texts, and that nobody has looked at; with its texts."""
    query = _records().where(*_open_items(task), *_HAS_TEXTS)
    return _first(ledger, query.order_by(calls.c.time_ms.desc(), calls.c.id.desc()).limit(1))


def find_call(ledger: Ledger, call_id: str) -> CallRecord | None:
    """One call with its texts; ``None`` if there is none of this id.

    Its ``response`` is upstream's, and its ``student_answer`` the student's, of an audited call too.
    """
    return _first(ledger, _records().where(calls.c.id == call_id))


def _records() -> Select[Any]:
    columns = [column for column in calls.c if column.name not in ("response", "student_answer")]
    return select(*columns, _TEACHER.label("response"), _STUDENT.label("student_answer")).select_from(
        _WITH_AUDITS
    )


def _first(ledger: Ledger, query: Select[Any]) -> CallRecord | None:
    with ledger.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else CallRecord(**row)
