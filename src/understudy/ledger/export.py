"""Calls with texts, out of the ledger, in the form that ``understudy.calls`` reads as a chat log.

So what upstream answered in production can be learnt from. A call without texts cannot, and is counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, and_, case, false, func, or_, select

from understudy.ledger.database import Ledger
from understudy.ledger.record import AnsweredBy
from understudy.ledger.schema import audits, calls, gold

__all__ = ["ExportCounts", "export_calls"]

_NANO: Final = 1_000_000_000
_PAGE_ROWS = 200
_FIRST_ERROR_STATUS = 400
_IS_AUDITED = and_(audits.c.call_id.is_not(None), audits.c.status < _FIRST_ERROR_STATUS)


@dataclass
class ExportCounts:
    """What became of the calls that were asked for.

    Attributes
    ----------
    exported
        Given out so far.
    without_texts
        Left out: their request or response was not kept, or was forgotten.
    unreadable
        Left out: a text is no JSON object.
    """

    exported: int = 0
    without_texts: int = 0
    unreadable: int = 0


def export_calls(
    ledger: Ledger,
    task: str | None = None,
    since_ms: int | None = None,
    answered_by: Sequence[AnsweredBy] = ("upstream",),
    most: int | None = None,
    *,
    counts: ExportCounts | None = None,
) -> Iterator[dict[str, Any]]:
    """Calls in the order of their time, as a stream; one page of rows is in memory.

    Parameters
    ----------
    ledger
        Where from. A connection is held until the iterator ends or is closed.
    task
        Only this task's, or ``None``.
    since_ms
        Only from then on, milliseconds since 1970.
    answered_by
        Whose answers. Those of ``upstream`` are the teacher's, audits among them; a student must not learn from
        its own.
    most
        At most so many.
    counts
        Filled while reading.

    Yields
    ------
    dict
        ``id``, ``request``, ``response``, ``time`` (seconds since 1970) and, where known, ``latency_ms``, and
        ``cost_usd``: what the teacher's answer costs. As a float, it is no longer exact beyond 15 digits.
        ``gold``: the right answer, where a person has said which it is.

    Raises
    ------
    LedgerError
        If the database does not answer.
    """
    counts = ExportCounts() if counts is None else counts
    c = calls.c
    # Of an audited call it is upstream's answer that is wanted, not the student's, unless that was asked for.
    is_audited = false() if "student" in answered_by or "upstream" not in answered_by else _IS_AUDITED
    where = [or_(c.answered_by.in_(list(answered_by)), is_audited), c.status < _FIRST_ERROR_STATUS]
    if task is not None:
        where.append(c.task == task)
    if since_ms is not None:
        where.append(c.time_ms >= since_ms)
    response = case((is_audited, audits.c.response), else_=c.response)
    has_none = or_(c.request.is_(None), response.is_(None))
    # What upstream did cost is what the teacher costs; what a student did cost is not.
    upstream_cost = case((c.answered_by == "upstream", c.cost_nanousd))
    teacher_cost = func.coalesce(c.teacher_cost_nanousd, upstream_cost)
    columns = (
        c.id,
        c.time_ms,
        c.request,
        response.label("response"),
        case((is_audited, None), else_=c.latency_us).label("latency_us"),
        case((is_audited, audits.c.cost_nanousd), else_=teacher_cost).label("cost"),
        gold.c.value.label("gold"),
    )
    tables = calls.outerjoin(gold, gold.c.call_id == c.id).outerjoin(audits, audits.c.call_id == c.id)
    query = select(*columns).select_from(tables).where(*where, ~has_none).order_by(c.time_ms, c.id)
    with ledger.reading() as connection:
        missing = select(func.count()).select_from(tables).where(*where, has_none)
        counts.without_texts += connection.scalar(missing) or 0
        streaming = connection.execution_options(yield_per=_PAGE_ROWS)
        # Closed here, for a reader may stop early: PostgreSQL's cursor lives until it is told.
        with streaming.execute(query).mappings() as rows:
            for row in rows:
                if most is not None and counts.exported >= most:
                    return
                exported = _exported(row)
                if exported is None:
                    counts.unreadable += 1
                    continue
                counts.exported += 1
                yield exported


def _exported(row: RowMapping) -> dict[str, Any] | None:
    request, response = _object(row["request"]), _object(row["response"])
    if request is None or response is None:
        return None
    return {
        "id": row["id"],
        "request": request,
        "response": response,
        "time": row["time_ms"] / 1000,
        **({} if row["latency_us"] is None else {"latency_ms": row["latency_us"] / 1000}),
        **({} if row["cost"] is None else {"cost_usd": int(row["cost"]) / _NANO}),
        **({} if row["gold"] is None else {"gold": json.loads(row["gold"])}),
    }


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
