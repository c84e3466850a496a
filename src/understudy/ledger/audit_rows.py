"""Audits in the database: inserted once, and taken up by their calls' rows once; see ``audit`` for what that means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from understudy.ledger.schema import audits, calls

__all__ = ["insert_audits"]


def insert_audits(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    """Insert audits that are not there yet, and have the calls' rows take them up.

    Parameters
    ----------
    connection
        In a transaction that writes.
    rows
        Attributes of audits by name.

    Returns
    -------
    int
        How many were new.
    """
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = (
        make(audits).on_conflict_do_nothing(index_elements=[audits.c.call_id]).returning(audits.c.call_id)
    )
    n_new = len(connection.execute(statement, [{**row, "is_counted": False} for row in rows]).all())
    # Also those whose call came later than they did: whichever process drains next takes them up, each once.
    counted = (
        update(audits)
        .where(~audits.c.is_counted, exists(select(calls.c.id).where(calls.c.id == audits.c.call_id)))
        .values(is_counted=True)
        .returning(audits.c.call_id, audits.c.cost_nanousd, audits.c.is_agreeing)
    )
    found = [
        {"of": call_id, "cost": cost, "agreeing": agreeing}
        for call_id, cost, agreeing in connection.execute(counted).all()
    ]
    if found:
        taken = (
            update(calls)
            .where(calls.c.id == bindparam("of"))
            .values(
                cost_nanousd=calls.c.cost_nanousd + bindparam("cost", type_=calls.c.cost_nanousd.type),
                is_agreeing=bindparam("agreeing"),
            )
        )
        connection.execute(taken, found)
    return n_new
