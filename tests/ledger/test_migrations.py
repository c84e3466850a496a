from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect, select

from understudy.ledger.database import Ledger
from understudy.ledger.engine import ledger_url as parsed_url
from understudy.ledger.engine import make_engine
from understudy.ledger.errors import LedgerError
from understudy.ledger.migrations import MIGRATIONS, Migration, migrate
from understudy.ledger.queries import totals
from understudy.ledger.schema import metadata, migrations_applied

HERE = Path(__file__).parent
N_PROCESSES = 5


@pytest.fixture
def engine(ledger_url):
    engine = make_engine(parsed_url(ledger_url))
    yield engine
    engine.dispose()


def applied(engine):
    with engine.connect() as connection:
        return list(connection.scalars(select(migrations_applied.c.number).order_by("number")))


def test_numbers_have_no_gaps():
    assert [migration.number for migration in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


# SQLAlchemy does not reflect indices over expressions in SQLite, and says so.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_migrations_make_the_tables_that_the_code_names(engine):
    assert migrate(engine) == tuple(migration.number for migration in MIGRATIONS)
    assert migrate(engine) == ()
    inspector = inspect(engine)
    for table in metadata.tables.values():
        found = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert list(found) == [column.name for column in table.columns]
        for column in table.columns:
            assert found[column.name]["nullable"] == column.nullable, column.name
            assert found[column.name]["type"].python_type is column.type.python_type, column.name
    indexed = {tuple(index["column_names"]) for index in inspector.get_indexes("understudy_calls")}
    assert indexed >= {("time_ms",), ("task", "time_ms"), ("key_name", "time_ms")}


def test_an_old_database_is_brought_up_to_date_with_its_rows(engine, ledger_url, record):
    migrate(engine)
    ledger = Ledger.open(ledger_url)
    ledger.insert([record()])
    longer = (
        *MIGRATIONS,
        Migration(len(MIGRATIONS) + 1, "more", ("ALTER TABLE understudy_calls ADD COLUMN more TEXT",)),
    )
    assert migrate(engine, longer) == (longer[-1].number,)
    assert totals(ledger).n_calls == 1
    ledger.close()


def test_rows_of_the_first_release_are_kept_and_counted(engine, ledger_url):
    from understudy.ledger.breakdown import breakdown, merged
    from understudy.ledger.disagreements import queue_counts

    migrate(engine, MIGRATIONS[:2])
    with engine.begin() as connection:
        false = "false" if connection.dialect.name == "postgresql" else "0"
        connection.exec_driver_sql(
            "INSERT INTO understudy_calls (id, time_ms, answered_by, mode, status, latency_us, is_streamed, "
            f"is_agreeing, request) VALUES ('a', 1, 'upstream', 'shadow', 200, 5, {false}, {false}, '{{}}')"
        )
    ledger = Ledger.open(ledger_url)
    assert merged(breakdown(ledger, "day", 0).values()) == totals(ledger)
    assert totals(ledger).n_calls == 1
    assert queue_counts(ledger).n_without_texts == 1
    ledger.close()


def test_a_newer_database_is_refused(engine, ledger_url):
    longer = (*MIGRATIONS, Migration(len(MIGRATIONS) + 1, "from the future", ()))
    migrate(engine, longer)
    with pytest.raises(LedgerError, match="newer") as refused:
        Ledger.open(ledger_url)
    assert "upgrade" in refused.value.todo


def test_a_migration_that_fails_leaves_no_half(engine, ledger_url):
    broken = (
        *MIGRATIONS,
        Migration(len(MIGRATIONS) + 1, "broken", ("CREATE TABLE half (id TEXT)", "NONSENSE")),
    )
    with pytest.raises(Exception, match="NONSENSE"):
        migrate(engine, broken)
    assert not inspect(engine).has_table("half")
    assert not inspect(engine).has_table("understudy_calls")
    Ledger.open(ledger_url).close()
    assert applied(engine) == [migration.number for migration in MIGRATIONS]


def test_processes_that_start_at_once_migrate_once(engine, ledger_url):
    command = [sys.executable, str(HERE / "processes.py"), "open_ledger", ledger_url]
    pipe = subprocess.PIPE
    workers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(N_PROCESSES)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        assert worker.communicate(timeout=60)[0] == "1\n"
        assert worker.returncode == 0
    assert applied(engine) == [migration.number for migration in MIGRATIONS]
    ledger = Ledger.open(ledger_url)
    assert totals(ledger).n_calls == N_PROCESSES
    ledger.close()
