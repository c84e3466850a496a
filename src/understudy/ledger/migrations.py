"""Numbered changes of the ledger's tables, applied in order when a ledger is opened.

The list only grows: a migration that was released is never edited, because databases exist that ran it. Each
is plain SQL that SQLite and PostgreSQL read alike. Several processes may open one database at the same moment:
one migrates, the others wait. There is no way back to an older version.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, func, insert, inspect, select

from understudy.ledger.engine import begin_writing
from understudy.ledger.errors import LedgerError
from understudy.ledger.schema import migrations_applied

__all__ = ["MIGRATIONS", "Migration", "migrate"]

_LOCK_KEY = 0x756E646572737479  # "understy": any constant, the same in all versions.


@dataclass(frozen=True, slots=True)
class Migration:
    """One change.

    Attributes
    ----------
    number
        Its place in the order, from 1 without gaps.
    name
        What it does, for people.
    statements
        SQL, for both databases; run in one transaction.
    """

    number: int
    name: str
    statements: tuple[str, ...]


MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(
        1,
        "calls",
        (
            """
            CREATE TABLE understudy_calls (
                id TEXT NOT NULL PRIMARY KEY,
                time_ms BIGINT NOT NULL,
                answered_by TEXT NOT NULL,
                mode TEXT NOT NULL,
                status BIGINT NOT NULL,
                latency_us BIGINT NOT NULL,
                task TEXT,
                model TEXT,
                rung TEXT,
                confidence DOUBLE PRECISION,
                artefact_id TEXT,
                input_tokens BIGINT,
                output_tokens BIGINT,
                cached_tokens BIGINT,
                cost_nanousd BIGINT,
                teacher_cost_nanousd BIGINT,
                is_streamed BOOLEAN NOT NULL,
                is_agreeing BOOLEAN,
                key_name TEXT,
                error TEXT,
                request TEXT,
                response TEXT
            )
            """,
        ),
    ),
    Migration(
        2,
        "indices for time, task and key",
        (
            "CREATE INDEX understudy_calls_time ON understudy_calls (time_ms)",
            "CREATE INDEX understudy_calls_task_time ON understudy_calls (task, time_ms)",
            "CREATE INDEX understudy_calls_key_time ON understudy_calls (key_name, time_ms)",
        ),
    ),
    Migration(
        3,
        "what the student said where upstream answered; labels by people",
        (
            "ALTER TABLE understudy_calls ADD COLUMN student_answer TEXT",
            """
            CREATE TABLE understudy_gold (
                call_id TEXT NOT NULL PRIMARY KEY,
                task TEXT,
                chosen TEXT NOT NULL,
                value TEXT,
                labelled_by TEXT NOT NULL,
                time_ms BIGINT NOT NULL
            )
            """,
            "CREATE INDEX understudy_gold_by ON understudy_gold (labelled_by, time_ms)",
        ),
    ),
    Migration(
        4,
        "indices for the dashboard: a day's sums, comparisons and disagreements without reading whole rows",
        (
            """
            CREATE INDEX understudy_calls_day ON understudy_calls (
                (time_ms / 86400000), task, answered_by, mode, time_ms, latency_us, cost_nanousd,
                teacher_cost_nanousd, is_agreeing, artefact_id
            )
            """,
            """
            CREATE INDEX understudy_calls_compared ON understudy_calls (
                task, artefact_id, time_ms, is_agreeing, mode, confidence, rung
            ) WHERE is_agreeing IS NOT NULL
            """,
            "CREATE INDEX understudy_calls_disagreeing ON understudy_calls (time_ms, id) WHERE NOT is_agreeing",
        ),
    ),
    Migration(
        5,
        "audits: what upstream says to calls that a student had answered",
        (
            """
            CREATE TABLE understudy_audits (
                call_id TEXT NOT NULL PRIMARY KEY,
                time_ms BIGINT NOT NULL,
                status BIGINT NOT NULL,
                is_agreeing BOOLEAN,
                cost_nanousd BIGINT,
                input_tokens BIGINT,
                output_tokens BIGINT,
                error TEXT,
                response TEXT,
                student_answer TEXT,
                is_counted BOOLEAN NOT NULL
            )
            """,
            "CREATE INDEX understudy_audits_open ON understudy_audits (call_id) WHERE NOT is_counted",
        ),
    ),
)


def migrate(engine: Engine, migrations: tuple[Migration, ...] = MIGRATIONS) -> tuple[int, ...]:
    """Bring a database up to date.

    Parameters
    ----------
    engine
        From :func:`~understudy.ledger.engine.make_engine`.
    migrations
        In order, numbered from 1.

    Returns
    -------
    tuple of int
        The numbers applied now; empty if it was up to date.

    Raises
    ------
    LedgerError
        If the database is newer than `migrations`.
    """
    # A look without the lock first: most starts find nothing to do, and a role that may only read can look.
    with engine.connect() as connection:
        if _version(connection, migrations) == len(migrations):
            return ()
    with begin_writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
        return tuple(_apply(connection, migrations))


def _version(connection: Connection, migrations: tuple[Migration, ...]) -> int:
    if not inspect(connection).has_table(migrations_applied.name):
        return 0
    version = connection.scalar(select(func.max(migrations_applied.c.number))) or 0
    if version > len(migrations):
        raise LedgerError(
            "the ledger's database is newer than this version of understudy",
            given=f"migration {version}, this version knows {len(migrations)}",
            todo="pip install --upgrade understudy, or give another database",
        )
    return int(version)


def _apply(connection: Connection, migrations: tuple[Migration, ...]) -> list[int]:
    version = _version(connection, migrations)
    if version == 0:
        migrations_applied.create(connection, checkfirst=True)
    applied = []
    for migration in migrations[version:]:
        for statement in migration.statements:
            connection.exec_driver_sql(statement)
        connection.execute(
            insert(migrations_applied).values(
                number=migration.number, name=migration.name, applied_ms=time.time_ns() // 1_000_000
            )
        )
        applied.append(migration.number)
    return applied
