from __future__ import annotations

import asyncio
import resource
import signal
import threading

import pytest

from understudy.ledger.errors import LedgerError, RecordRefusedError
from understudy.ledger.framing import MAX_LINE_BYTES
from understudy.ledger.group_commit import GroupCommit
from understudy.ledger.record import CallRecord
from understudy.ledger.spool import Spool


class CountingSpool(Spool):
    """A real spool that counts groups, and can be held up."""

    def __init__(self, folder):
        super().__init__(folder)
        self.groups = []
        self.gate = threading.Event()
        self.gate.set()

    def write(self, lines):
        self.gate.wait(10)
        super().write(lines)
        self.groups.append(len(lines))


@pytest.fixture
def spool(tmp_path):
    spool = CountingSpool(tmp_path)
    yield spool
    spool.gate.set()
    spool.close()


def ids_in(spool):
    return [CallRecord.from_json(payload).id for payload in spool.read(10_000).payloads]


def test_appends_that_come_together_share_a_write(spool, record):
    async def run():
        commit = GroupCommit(spool)
        records = [record() for _ in range(200)]
        spool.gate.clear()
        first = asyncio.create_task(commit.append(records[0]))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(commit.append(each)) for each in records[1:]]
        await asyncio.sleep(0.05)
        assert commit.n_waiting == 199
        assert not first.done()
        spool.gate.set()
        await asyncio.gather(first, *rest)
        assert ids_in(spool) == [each.id for each in records]
        await commit.close()

    asyncio.run(run())
    assert spool.groups == [1, 199]


def test_acknowledged_means_written(spool, record):
    async def run():
        commit = GroupCommit(spool)
        for number in range(1, 6):
            await commit.append(record())
            assert spool.n_written == number
        await commit.close()
        with pytest.raises(LedgerError, match="closed"):
            await commit.append(record())

    asyncio.run(run())


def test_close_waits_for_what_was_appended(spool, record):
    async def run():
        commit = GroupCommit(spool)
        tasks = [asyncio.create_task(commit.append(record())) for _ in range(50)]
        await asyncio.sleep(0)
        await commit.close()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert spool.n_written == 50


def test_exactly_the_group_that_failed_gets_the_error(spool, record):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def run():
        commit = GroupCommit(spool)
        await commit.append(record())
        resource.setrlimit(resource.RLIMIT_FSIZE, (spool.size + 600, before[1]))
        try:
            spool.gate.clear()
            small = asyncio.create_task(commit.append(record()))
            await asyncio.sleep(0.05)
            large = [asyncio.create_task(commit.append(record(request="x" * 1000))) for _ in range(3)]
            await asyncio.sleep(0.05)
            spool.gate.set()
            await small
            failed = await asyncio.gather(*large, return_exceptions=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [type(error) for error in failed] == [LedgerError] * 3
        assert len({id(error) for error in failed}) == 3
        await commit.append(record())
        await commit.close()

    asyncio.run(run())
    assert spool.groups == [1, 1, 1]
    assert len(ids_in(spool)) == 3


def test_a_record_that_is_too_large_fails_alone(spool, record):
    async def run():
        commit = GroupCommit(spool)
        given = [record(), record(response="x" * (MAX_LINE_BYTES + 1)), record()]
        results = await asyncio.gather(*(commit.append(each) for each in given), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), RecordRefusedError, type(None)]
        await commit.close()

    asyncio.run(run())


def test_memory_is_bounded_while_the_disk_hangs(spool, record):
    async def run():
        commit = GroupCommit(spool, most_waiting=5, most_waiting_bytes=5000)
        spool.gate.clear()
        tasks = [asyncio.create_task(commit.append(record())) for _ in range(20)]
        await asyncio.sleep(0.05)
        big = asyncio.create_task(commit.append(record(request="x" * 6000)))
        await asyncio.sleep(0.05)
        spool.gate.set()
        results = await asyncio.gather(*tasks, big, return_exceptions=True)
        refused = [result for result in results if result is not None]
        assert all(isinstance(error, LedgerError) and "too many" in error.what for error in refused)
        assert len(refused) + spool.n_written == 21
        assert spool.n_written in (5, 6)
        await commit.close()

    asyncio.run(run())


def test_a_cancelled_append_holds_up_nobody(spool, record):
    async def run():
        commit = GroupCommit(spool)
        spool.gate.clear()
        tasks = [asyncio.create_task(commit.append(record())) for _ in range(3)]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        spool.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[1], asyncio.CancelledError)
        assert results[0] is results[2] is None
        await commit.close()

    asyncio.run(run())
