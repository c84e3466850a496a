"""Forgetting: texts first, later whole rows. In small transactions, so that calls go on being recorded.

SQLite overwrites what was forgotten within its file, but the file does not shrink; PostgreSQL lets go of it at
the next vacuum. It does not reach into spool files, backups or replicas: a spool file of a process that is gone
may bring rows back that were purged, until it was adopted.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, or_, select, update

from understudy.ledger.database import Ledger
from understudy.ledger.schema import AUDIT_TEXT_COLUMNS, TEXT_COLUMNS, audits, calls, gold

__all__ = ["forget_texts", "purge"]

_ROWS: Final = 2000
"""Rows of one transaction: a few milliseconds during which SQLite takes no other write."""


def forget_texts(ledger: Ledger, older_than_ms: int) -> int:
    """Remove requests and answers of old calls, gold answers included; who answered and what it cost stays.

    Parameters
    ----------
    ledger
        Where.
    older_than_ms
        Calls before this instant, milliseconds since 1970.

    Returns
    -------
    int
        How many calls had texts.

    Raises
    ------
    LedgerError
        If the database does not answer. What was forgotten until then stays forgotten.
    """
    has_texts = or_(*(calls.c[name].is_not(None) for name in TEXT_COLUMNS))
    old = select(calls.c.id).where(calls.c.time_ms < older_than_ms, has_texts).limit(_ROWS)
    statement = update(calls).where(calls.c.id.in_(old)).values(dict.fromkeys(TEXT_COLUMNS))
    _forget_beside(ledger, older_than_ms)
    count = 0
    while True:
        with ledger.writing() as connection:
            n_rows = connection.execute(statement).rowcount
        count += n_rows
        if not n_rows:
            return count


def _forget_beside(ledger: Ledger, older_than_ms: int) -> None:
    """Texts of old calls that lie in other tables: audits, and gold answers, which may repeat a text."""
    old = select(calls.c.id).where(calls.c.time_ms < older_than_ms)
    has_texts = or_(*(audits.c[name].is_not(None) for name in AUDIT_TEXT_COLUMNS))
    with ledger.writing() as connection:
        connection.execute(
            update(audits)
            .where(has_texts, audits.c.call_id.in_(old))
            .values(dict.fromkeys(AUDIT_TEXT_COLUMNS))
        )
        connection.execute(
            update(gold).where(gold.c.value.is_not(None), gold.c.call_id.in_(old)).values(value=None)
        )


def purge(ledger: Ledger, older_than_ms: int) -> int:
    """Delete old calls altogether, with their audits and labels: totals of that time are gone too.

    Parameters
    ----------
    ledger
        Where.
    older_than_ms
        Calls before this instant, milliseconds since 1970.

    Returns
    -------
    int
        How many were deleted.

    Raises
    ------
    LedgerError
        If the database does not answer. What was deleted until then stays deleted.
    """
    old = select(calls.c.id).where(calls.c.time_ms < older_than_ms)
    statement = delete(calls).where(calls.c.id.in_(old.limit(_ROWS)))
    with ledger.writing() as connection:
        for table in (gold, audits):
            connection.execute(delete(table).where(table.c.call_id.in_(old)))
    count = 0
    while True:
        with ledger.writing() as connection:
            n_rows = connection.execute(statement).rowcount
        count += n_rows
        if not n_rows:
            return count
