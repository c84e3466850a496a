"""What the ledger's tests run in processes of their own, to be killed or to meet each other."""

from __future__ import annotations

import asyncio
import resource
import sys

from understudy.ledger.errors import LedgerError
from understudy.ledger.group_commit import GroupCommit
from understudy.ledger.record import CallRecord, new_call_id
from understudy.ledger.spool import Spool


def call(**changes):
    given = {
        "id": new_call_id(), "time_ms": 1, "answered_by": "student", "mode": "serve", "status": 200, "latency_us": 1,
        **changes,
    }  # fmt: skip
    return CallRecord(**given)


async def _append_for_ever(commit, n_tasks):
    async def appender():
        while True:
            record = call(request='{"messages": []}' * 20)
            await commit.append(record)
            # One write per line: a line cut by the kill must not look like an id.
            sys.stdout.write(record.id + "\n")
            sys.stdout.flush()

    await asyncio.gather(*(appender() for _ in range(n_tasks)))


def append_until_killed(folder, url):
    """Append and drain at once; print each id after it was acknowledged."""
    from understudy.ledger.database import Ledger
    from understudy.ledger.drain import Drainer

    spool = Spool(folder, rotate_bytes=20_000)
    Drainer(spool, Ledger.open(url), interval_s=0.01, adopt_every_s=0.05, most_records=7).start()
    asyncio.run(_append_for_ever(GroupCommit(spool), 4))


def append_some(folder, url, count):
    """Append a number of calls and see them drained."""
    from understudy.ledger.database import Ledger
    from understudy.ledger.drain import Drainer

    spool = Spool(folder, rotate_bytes=5_000)
    ledger = Ledger.open(url)
    drainer = Drainer(spool, ledger, interval_s=0.01, adopt_every_s=0.02, most_records=11).start()
    for _ in range(int(count)):
        record = call()
        spool.write([record.to_json().encode()])
        print(record.id)
    assert drainer.stop(60), drainer.last_error
    spool.close()
    ledger.close()


def append_to_full_disk(folder, limit_bytes):
    """Append until the spool may not grow further, twice; print what was acknowledged."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit_bytes), int(limit_bytes)))
    spool = Spool(folder)
    n_refused = 0
    while n_refused < 2:
        records = [call(error="x" * 100) for _ in range(3)]
        try:
            spool.write([record.to_json().encode() for record in records])
        except LedgerError:
            n_refused += 1
            continue
        print(*(record.id for record in records), sep="\n")
    small = call()  # What is smaller than the group may still fit.
    try:
        spool.write([small.to_json().encode()])
        print(small.id)
    except LedgerError:
        pass


def open_ledger(url):
    """Wait for the starting shot, then open."""
    from understudy.ledger.database import Ledger

    print("ready", flush=True)
    sys.stdin.readline()
    ledger = Ledger.open(url)
    print(ledger.insert([call()]))
    ledger.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
