"""Errors of the ledger. Their messages never show a text of a call, a parameter of a statement or a password."""

from __future__ import annotations

from understudy.errors import UnderstudyError

__all__ = ["LedgerError", "RecordRefusedError"]


class LedgerError(UnderstudyError):
    """A call could not be recorded, or the ledger's database does not answer."""

    exit_code = 7


class RecordRefusedError(LedgerError):
    """A record, not the state of the disk or the database, is at fault: trying again does not help."""
