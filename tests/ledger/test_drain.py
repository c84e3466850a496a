from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from own_postgres import OwnPostgres
from sqlalchemy import select

from understudy.ledger.database import Ledger
from understudy.ledger.drain import REFUSED_NAME, Drainer
from understudy.ledger.framing import frame
from understudy.ledger.group_commit import GroupCommit
from understudy.ledger.queries import totals
from understudy.ledger.record import CallRecord
from understudy.ledger.schema import calls
from understudy.ledger.spool import Spool

HERE = Path(__file__).parent


def line(record):
    return record.to_json().encode()


def ids_in(ledger):
    with ledger.reading() as connection:
        return list(connection.scalars(select(calls.c.id)))


@contextlib.contextmanager
def draining(folder, ledger, **options):
    spool = Spool(folder)
    drainer = Drainer(spool, ledger, **{"interval_s": 0.01, "adopt_every_s": 0.02, **options}).start()
    try:
        yield spool, drainer
    finally:
        drainer.stop()
        spool.close()


def wait_until(is_so, seconds=30):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def process(*words):
    command = [sys.executable, str(HERE / "processes.py"), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_calls_reach_the_database(tmp_path, ledger, record):
    with draining(tmp_path / "spool", ledger, most_records=3) as (spool, drainer):
        records = [record() for _ in range(20)]
        spool.write([line(each) for each in records])
        assert drainer.flush(10)
        assert sorted(ids_in(ledger)) == sorted(each.id for each in records)
        assert (drainer.lag_records, drainer.last_error, drainer.n_damaged, drainer.n_refused) == (
            0,
            None,
            0,
            0,
        )
        assert drainer.stop()
    assert list((tmp_path / "spool").iterdir()) == []


def test_draining_twice_counts_once(tmp_path, ledger, record):
    folder = tmp_path / "spool"
    records = [record() for _ in range(10)]
    for _ in range(3):
        left = Spool(folder)
        left.write([line(each) for each in records])
        left.close()
    with draining(folder, ledger) as (_, drainer):
        wait_until(lambda: len(list(folder.iterdir())) == 1)
        assert drainer.lag_records == 0
    assert sorted(ids_in(ledger)) == sorted(each.id for each in records)


def test_a_spool_in_use_is_nobodys_orphan(tmp_path, sqlite_ledger, record):
    other = Spool(tmp_path)
    other.write([line(record())])
    with draining(tmp_path, sqlite_ledger):
        time.sleep(0.1)
        assert ids_in(sqlite_ledger) == []
    assert other.read(10).n_lines == 1
    other.close()


def test_what_no_database_takes_is_set_aside_and_holds_up_nothing(tmp_path, ledger, record):
    with draining(tmp_path, ledger) as (spool, drainer):
        spool.write([line(record()), b'{"id":"from the future"}', line(record())])
        assert drainer.flush(10)
        assert len(ids_in(ledger)) == 2
        assert drainer.n_refused == 1
    assert (tmp_path / REFUSED_NAME).read_bytes() == b'{"id":"from the future"}\n'


def test_one_row_that_the_database_refuses_does_not_keep_the_others_out(tmp_path, sqlite_ledger, record):
    with sqlite_ledger.writing() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX one_status ON understudy_calls (status)")
    with draining(tmp_path, sqlite_ledger) as (spool, drainer):
        records = [record(status=status) for status in (200, 400, 200, 500)]
        spool.write([line(each) for each in records])
        assert drainer.flush(10)
        assert drainer.n_refused == 1
    assert len(ids_in(sqlite_ledger)) == 3
    assert CallRecord.from_json((tmp_path / REFUSED_NAME).read_bytes()) == records[2]


def test_damaged_lines_are_counted_and_skipped(tmp_path, sqlite_ledger, record):
    good = [record(), record()]
    damaged = frame(line(record())).replace(b"student", b"stud\xff\xffnt")
    content = frame(line(good[0])) + damaged + frame(line(good[1])) + frame(line(record()))[:-9]
    (tmp_path / "calls-0.spool").write_bytes(content)
    with draining(tmp_path, sqlite_ledger) as (_, drainer):
        wait_until(lambda: not (tmp_path / "calls-0.spool").exists())
        assert drainer.n_damaged == 1
    assert sorted(ids_in(sqlite_ledger)) == sorted(each.id for each in good)


def test_a_server_starts_while_its_database_is_down(tmp_path, record):
    pytest.importorskip("psycopg")
    ledger = Ledger.open("postgresql://me:secret@127.0.0.1:1/d", is_lazy=True)
    left = Spool(tmp_path)
    left.write([line(record())] * 4)
    left.close()
    with draining(tmp_path, ledger) as (spool, drainer):
        spool.write([line(record())])
        wait_until(lambda: drainer.last_error is not None)
        assert drainer.lag_records >= 1
        assert "OperationalError" in drainer.last_error
        assert "secret" not in drainer.last_error
        assert not drainer.stop(0.05)
    assert len(list(tmp_path.iterdir())) == 2
    ledger.close()


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_every_acknowledged_call_counts_exactly_once(tmp_path, ledger_url, seed):
    folder = tmp_path / "spool"
    Ledger.open(ledger_url).close()
    child = process("append_until_killed", folder, ledger_url)
    acknowledged = [child.stdout.readline().strip()]
    killer = threading.Timer(random.Random(seed).uniform(0.05, 0.5), child.send_signal, [signal.SIGKILL])
    killer.start()
    acknowledged += [each.strip() for each in child.stdout if each.endswith("\n")]
    assert child.wait(30) == -signal.SIGKILL
    child.stdout.close()
    killer.join()
    ledger = Ledger.open(ledger_url)
    with draining(folder, ledger) as (spool, drainer):
        wait_until(lambda: list(folder.iterdir()) == [spool._files[0].path])
        assert drainer.n_refused == 0
    ids = ids_in(ledger)
    assert len(ids) == len(set(ids))
    assert set(acknowledged) <= set(ids)
    # A call may be there that was written and not yet acknowledged when the process died: one for each appender.
    assert len(set(ids) - set(acknowledged)) <= 4
    ledger.close()


def test_processes_share_a_folder_and_a_database(tmp_path, ledger_url):
    children = [process("append_some", tmp_path / "spool", ledger_url, 150) for _ in range(2)]
    printed = [child.communicate(timeout=60)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    ledger = Ledger.open(ledger_url)
    ids = ids_in(ledger)
    assert len(ids) == 300
    assert set(ids) == set(printed[0]) | set(printed[1])
    ledger.close()
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.fixture
def own_postgres():
    pytest.importorskip("psycopg")
    server = OwnPostgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_appends_go_on_while_the_database_is_down(tmp_path, own_postgres, record):
    ledger = Ledger.open(own_postgres.url)
    appended = []

    async def append(commit, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            made = [record() for _ in range(5)]
            await asyncio.gather(*(commit.append(each) for each in made))
            appended.extend(each.id for each in made)
            await asyncio.sleep(0.005)

    async def run(spool, drainer):
        commit = GroupCommit(spool)
        await append(commit, 0.2)
        stop = asyncio.create_task(asyncio.to_thread(own_postgres.stop))
        await append(commit, 0.5)
        await stop
        before = len(appended)
        await append(commit, 0.3)
        assert len(appended) > before
        await asyncio.to_thread(wait_until, lambda: drainer.last_error is not None)
        assert drainer.lag_records >= len(appended) - before
        start = asyncio.create_task(asyncio.to_thread(own_postgres.start))
        await append(commit, 0.3)
        await start
        await append(commit, 0.1)
        await commit.close()

    with draining(tmp_path, ledger, most_backoff_s=0.2) as (spool, drainer):
        asyncio.run(run(spool, drainer))
        assert drainer.flush(30), drainer.last_error
        assert drainer.last_error is None
        assert drainer.lag_records == 0
    assert sorted(ids_in(ledger)) == sorted(appended)
    assert totals(ledger).n_calls == len(appended)
    ledger.close()
