"""Where the ledger lies, and how each of the two databases is opened. All that differs between them is here.

SQLite: write-ahead log, so that readers do not wait for writers; ``synchronous=FULL``, because a spool file is
deleted once its records are committed, and with less a power loss could take the last commits back.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError

from understudy.errors import ConfigError, MissingDependencyError

__all__ = ["BUSY_TIMEOUT_S", "begin_writing", "ledger_url", "make_engine"]

BUSY_TIMEOUT_S: Final = 10.0
"""How long SQLite waits for another process's write, seconds."""

_BEGIN = "understudy_begin"
# libpq: give up on a server that does not answer, rather than wait for the kernel's quarter of an hour.
_POSTGRES_OPTIONS = {
    "application_name": "understudy",
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "tcp_user_timeout": "20000",
}


def ledger_url(place: str | Path) -> URL:
    """The database that a user means.

    Parameters
    ----------
    place
        A path (``ledger.db``), ``sqlite:///ledger.db``, or a PostgreSQL URL (``postgres://``,
        ``postgresql://``, ``postgresql+psycopg://``).

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    text = str(place)
    todo = "give a path (ledger.db) or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    if "://" not in text:
        if not text.strip() or text == ":memory:":
            raise ConfigError("a ledger needs a file or a server", given=repr(text), todo=todo)
        return URL.create("sqlite", database=text)
    # The text may hold a password: no message shows more than what stands before the colon.
    scheme = text.split("://", 1)[0]
    if scheme not in ("sqlite", "postgres", "postgresql", "postgresql+psycopg"):
        raise ConfigError("a ledger of this kind is not known", given=f"{scheme}://", todo=todo)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError("a ledger's URL is not understood", given=f"{scheme}://...", todo=todo) from error
    if scheme == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ConfigError("a ledger in memory would keep nothing", given=text, todo=todo)
        return url
    return url.set(drivername="postgresql+psycopg")


def make_engine(url: URL, *, may_create: bool = True) -> Engine:
    """The engine of a URL from :func:`ledger_url`; it does not connect yet.

    Parameters
    ----------
    url
        Where.
    may_create
        Whether a SQLite file that is not there may be made.

    Raises
    ------
    ConfigError
        If the file is not there and may not be made, or its folder cannot be.
    MissingDependencyError
        If the driver is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, may_create)
    options = {name: value for name, value in _POSTGRES_OPTIONS.items() if name not in url.query}
    try:
        engine = create_engine(url, connect_args=options, pool_pre_ping=True, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise MissingDependencyError.of("psycopg", "postgres") from error
    event.listen(engine, "begin", _begin_postgres)
    return engine


def _sqlite_engine(url: URL, may_create: bool) -> Engine:
    path = Path(url.database or "")
    if not may_create and not path.is_file():
        raise ConfigError("there is no ledger", given=str(path), todo="check the path")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        given = f"{path.parent}: {error.strerror}"
        raise ConfigError("the ledger's folder cannot be made", given=given, todo="check the path") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=True)
    event.listen(engine, "connect", _connect_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _connect_sqlite(connection: DBAPIConnection, _: object) -> None:
    assert isinstance(connection, sqlite3.Connection)
    # Transactions begin where _begin_sqlite says, not where the driver guesses.
    connection.isolation_level = None
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    # Texts that were forgotten are overwritten in the file, not only unlinked from it.
    connection.execute("PRAGMA secure_delete = ON")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # The first switch needs the file alone, and does not wait for it by itself as a statement does.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get(_BEGIN, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _begin_postgres(connection: Connection) -> None:
    if _BEGIN in connection.get_execution_options():
        # A server may be set to acknowledge commits that it has not written.
        connection.exec_driver_sql("SET LOCAL synchronous_commit = on")


@contextlib.contextmanager
def begin_writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: durable once the block ended, rolled back if it raised."""
    # In SQLite a transaction that reads first and writes later fails when another writes between.
    options: dict[str, Any] = {_BEGIN: "IMMEDIATE"}
    with engine.execution_options(**options).begin() as connection:
        yield connection
