from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import select, text

from understudy.errors import ConfigError
from understudy.ledger.database import Ledger
from understudy.ledger.engine import ledger_url as parsed_url
from understudy.ledger.errors import LedgerError
from understudy.ledger.queries import recent
from understudy.ledger.record import MAX_COUNT
from understudy.ledger.schema import calls


def test_what_goes_in_comes_out(ledger, record):
    full = record(
        model="gpt-4o", rung="linear", confidence=0.1 + 0.2, artefact_id="a1", input_tokens=MAX_COUNT,
        output_tokens=0, cached_tokens=3, cost_nanousd=1, teacher_cost_nanousd=MAX_COUNT, is_streamed=True,
        is_agreeing=False, key_name="web", error="upstream_timeout", time_ms=2,
    )  # fmt: skip
    empty = record(time_ms=1, task=None)
    assert ledger.insert([full, empty]) == 2
    assert recent(ledger, 10) == [full, empty]


def test_an_id_counts_once_however_often_it_is_given(ledger, record):
    first, second = record(), record()
    assert ledger.insert([]) == 0
    assert ledger.insert([first, first]) == 1
    assert ledger.insert([first, second, first]) == 1
    assert ledger.insert([record(id=first.id, status=500)]) == 0
    assert {each.id: each.status for each in recent(ledger, 10)} == {first.id: 200, second.id: 200}


def test_more_rows_than_a_statement_has_parameters(ledger, record):
    records = [record() for _ in range(4000)]
    assert ledger.insert(records) == 4000
    assert ledger.insert(records) == 0


def test_characters_that_postgresql_cannot_store_are_replaced(ledger, record):
    ledger.insert([record(model="a\x00b\ud800c 😀 é", request="\udcff")])
    (found,) = recent(ledger, 1)
    assert found.model == "a\ufffdb\ufffdc 😀 é"
    with ledger.reading() as connection:
        assert connection.scalar(select(calls.c.request)) == "\ufffd"


def test_a_failed_transaction_leaves_nothing(ledger, record):
    row = {name: getattr(record(), name) for name in calls.c.keys()}  # noqa: SIM118 - these are no dict's keys

    def fail():
        with ledger.writing() as connection:
            connection.execute(calls.insert().values(**row))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert recent(ledger, 1) == []


def test_errors_show_neither_statement_nor_values(ledger):
    with pytest.raises(LedgerError) as failed, ledger.reading() as connection:
        connection.execute(text("SELECT :secret FROM nowhere_to_be_found"), {"secret": "a user's text"})
    assert "a user's text" not in str(failed.value)
    assert "SELECT" not in str(failed.value)
    assert failed.value.todo


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ledger.db", "sqlite:///ledger.db"),
        ("a b/what?#.db", "sqlite:///a b/what%3F%23.db"),
        ("sqlite:///ledger.db", "sqlite:///ledger.db"),
        ("sqlite:////var/ledger.db", "sqlite:////var/ledger.db"),
        ("postgres://u:p@h:1/d", "postgresql+psycopg://u:***@h:1/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql+psycopg://u@h/d?sslmode=require"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
    ],
)
def test_places_are_understood(given, expected):
    assert parsed_url(given).render_as_string() == expected


@pytest.mark.parametrize(
    "given",
    [
        "",
        ":memory:",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:secret@h/d",
        "postgresql://u:secret@h:port/d",
    ],
)
def test_other_places_are_refused_without_showing_a_password(given):
    with pytest.raises(ConfigError) as refused:
        parsed_url(given)
    assert "secret" not in str(refused.value)


def test_a_file_with_odd_signs_in_its_name_is_that_file(tmp_path):
    Ledger.open(tmp_path / "new folder" / "100% of?#.db").close()
    assert (tmp_path / "new folder" / "100% of?#.db").is_file()


def test_a_missing_file_is_not_made_for_who_only_reads(tmp_path):
    with pytest.raises(ConfigError, match="no ledger"):
        Ledger.open(tmp_path / "ledger.db", may_create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_named_without_its_password():
    pytest.importorskip("psycopg")
    url = "postgresql://me:secret@127.0.0.1:1/books"
    with pytest.raises(LedgerError) as failed:
        Ledger.open(url)
    assert "secret" not in str(failed.value)
    assert "127.0.0.1:1/books" in str(failed.value)
    lazy = Ledger.open(url, is_lazy=True)
    with pytest.raises(LedgerError):
        lazy.ping()
    lazy.close()


def test_a_file_that_is_no_database_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("no database " * 100)
    with pytest.raises(LedgerError, match="does not do"):
        Ledger.open(tmp_path / "notes.txt")


def test_commits_are_durable_in_sqlite(sqlite_ledger):
    with sqlite_ledger.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_what_a_call_passes_through_does_not_import_sqlalchemy():
    names = "errors framing record spool spool_file group_commit drain masking".split()
    lines = [f"import understudy.ledger.{name}" for name in names]
    code = "; ".join([*lines, "import sys", "assert 'sqlalchemy' not in sys.modules"])
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
