"""The ledger's database: opened by URL, written to in transactions that may be repeated.

A record is inserted once, however often it is given: its id decides. The spool in front of it relies on that.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from understudy.ledger.audit import AuditRecord
from understudy.ledger.audit_rows import insert_audits
from understudy.ledger.engine import begin_writing, ledger_url, make_engine
from understudy.ledger.errors import LedgerError, RecordRefusedError
from understudy.ledger.migrations import migrate
from understudy.ledger.record import CallRecord
from understudy.ledger.schema import calls

__all__ = ["Ledger"]


class Ledger:
    """A ledger in a SQLite file or a PostgreSQL database. Threads may share it. See :meth:`open`."""

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine = engine
        self._url = url
        self._lock = threading.Lock()
        self._is_migrated = False

    @classmethod
    def open(cls, url: str | Path, *, is_lazy: bool = False, may_create: bool = True) -> Ledger:
        """Open a ledger, and bring its tables up to date.

        Parameters
        ----------
        url
            A path (``ledger.db``), ``sqlite:///ledger.db``, or a PostgreSQL URL (``postgres://``,
            ``postgresql://``, ``postgresql+psycopg://``).
        is_lazy
            Whether the first use connects rather than this call, so that a server can start while its
            database is down.
        may_create
            Whether a SQLite file that is not there may be made.

        Raises
        ------
        ConfigError
            If the URL is not understood, or a file is missing that may not be made.
        LedgerError
            If the database does not answer, or is newer than this version.
        MissingDependencyError
            If the driver is not installed.
        """
        where = ledger_url(url)
        ledger = cls(make_engine(where, may_create=may_create), where)
        if not is_lazy:
            try:
                ledger.ping()
            except BaseException:
                ledger.close()
                raise
        return ledger

    @property
    def shown_url(self) -> str:
        """Where it lies, without password and query, which may hold another."""
        return self._url.set(query={}).render_as_string(hide_password=True)

    def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises
        ------
        LedgerError
            If it does not answer.
        """
        with self.reading() as connection:
            connection.execute(select(1))

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with.

        Raises
        ------
        LedgerError
            If the database does not answer or refuses a statement.
        """
        with self._translated():
            self._migrate_once()
            with self._engine.connect() as connection:
                yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction to write in: committed durably at the end, rolled back if the block raises.

        Raises
        ------
        RecordRefusedError
            If the database refuses a value.
        LedgerError
            If the database does not answer or refuses a statement.
        """
        with self._translated():
            self._migrate_once()
            with begin_writing(self._engine) as connection:
                yield connection

    def _migrate_once(self) -> None:
        if self._is_migrated:
            return
        with self._lock:
            if not self._is_migrated:
                migrate(self._engine)
                self._is_migrated = True

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DataError, IntegrityError) as error:
            raise RecordRefusedError("the ledger's database refuses a record", given=_kind(error)) from None
        except SQLAlchemyError as error:
            # The tables may be gone with the database: look again before the next use.
            self._is_migrated = False
            raise LedgerError(
                "the ledger's database does not do what it is asked to",
                given=f"{self.shown_url}: {_kind(error)}{_first_line(error)}",
                todo="see that the server runs and that its user may use this database",
            ) from None

    def insert(self, records: Sequence[CallRecord | AuditRecord]) -> int:
        """Insert records that are not there yet, in one transaction.

        Null characters and unpaired surrogates, which PostgreSQL cannot store, become U+FFFD.

        Parameters
        ----------
        records
            Calls and audits, any number; of an id that is there, or comes twice, the first stays.

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        RecordRefusedError
            If the database refuses one of the records; none was inserted.
        LedgerError
            If the database does not answer; none was inserted, or all were: inserting again is safe.
        """
        if not records:
            return 0
        of_calls = [_row(record) for record in records if isinstance(record, CallRecord)]
        of_audits = [_row(record) for record in records if isinstance(record, AuditRecord)]
        n_new = 0
        with self.writing() as connection:
            if of_calls:
                n_new += _insert_calls(connection, of_calls)
            if of_audits:
                n_new += insert_audits(connection, of_audits)
        return n_new

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._engine.dispose()


def _insert_calls(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = make(calls).on_conflict_do_nothing(index_elements=[calls.c.id])
    if connection.dialect.name == "sqlite":
        return connection.execute(statement, rows).rowcount
    # Counted by what comes back: psycopg says no number of rows for many statements in one.
    return len(connection.execute(statement.returning(calls.c.id), rows).all())


def _row(record: CallRecord | AuditRecord) -> dict[str, Any]:
    return {name: _storable(getattr(record, name)) for name in type(record).__dataclass_fields__}


def _storable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if "\x00" in value:
        value = value.replace("\x00", "\ufffd")
    if not value.isascii():
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _kind(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else None
    return type(cause if cause is not None else error).__name__


def _first_line(error: SQLAlchemyError) -> str:
    # Only what the driver says: SQLAlchemy's own message quotes the statement.
    lines = str(error.orig).splitlines() if isinstance(error, DBAPIError) else []
    return f": {lines[0]}" if lines else ""
