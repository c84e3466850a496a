"""The spool for asyncio: appends that come while a write runs share the next one.

A write with fsync takes as long for a hundred lines as for one. The first append starts a write at once; those
that come while it runs form the next group. So no append waits for a timer, and many at once cost one fsync.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from understudy.ledger.audit import AuditRecord
from understudy.ledger.errors import LedgerError
from understudy.ledger.framing import check_size
from understudy.ledger.record import CallRecord
from understudy.ledger.spool import Spool

__all__ = ["GroupCommit"]

_MOST_GROUP_BYTES: Final = 16 * 2**20
_Waiting = tuple[bytes, "asyncio.Future[None]"]


class GroupCommit:
    """Appends records to a spool from one event loop.

    Parameters
    ----------
    spool
        Where they go. It is not closed here.
    most_waiting, most_waiting_bytes
        Above so many records, or so many bytes, that wait for the disk, an append is refused: memory is
        bounded whatever the disk does.
    """

    def __init__(
        self, spool: Spool, *, most_waiting: int = 10_000, most_waiting_bytes: int = 256 * 2**20
    ) -> None:
        self._spool = spool
        self._most_waiting = most_waiting
        self._most_waiting_bytes = most_waiting_bytes
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._flusher: asyncio.Task[None] | None = None
        self._is_closed = False
        # A thread of its own: the loop's default pool may be full of students that think.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="ledger-spool")

    @property
    def n_waiting(self) -> int:
        """Records that wait for their group to begin."""
        return len(self._waiting)

    async def append(self, record: CallRecord | AuditRecord) -> None:
        """Record one call; when this returns, it survives the end of the process.

        An append that is cancelled may still be recorded.

        Raises
        ------
        LedgerError
            If this record's group could not be written, too much waits, or this was closed.
        RecordRefusedError
            If the record is too large.
        """
        payload = record.to_json().encode("utf-8", "surrogatepass")
        check_size(payload)  # A record that is too large must fail alone, not with its group.
        self._check_room(len(payload))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((payload, done))
        self._waiting_bytes += len(payload)
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        await done

    def _check_room(self, n_bytes: int) -> None:
        if self._is_closed:
            raise LedgerError("the ledger was closed", todo="record calls before the server stops")
        is_full = self._waiting_bytes + n_bytes > self._most_waiting_bytes and self._waiting
        if is_full or len(self._waiting) >= self._most_waiting:
            raise LedgerError(
                "a call could not be recorded: too many wait for the disk",
                given=f"{len(self._waiting):,} records, {self._waiting_bytes:,} bytes",
                todo="use a faster disk for the spool, or lower the load",
            )

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        n_bytes = 0
        while self._waiting and (not group or n_bytes + len(self._waiting[0][0]) <= _MOST_GROUP_BYTES):
            n_bytes += len(self._waiting[0][0])
            group.append(self._waiting.popleft())
        self._waiting_bytes -= n_bytes
        return group

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group = self._next_group()
                try:
                    await loop.run_in_executor(self._executor, self._spool.write, [line for line, _ in group])
                except Exception as error:
                    _fail(group, error)
                except BaseException:
                    _fail(group, asyncio.CancelledError())
                    raise
                else:
                    for _, done in group:
                        if not done.done():
                            done.set_result(None)
        finally:
            self._flusher = None

    async def close(self) -> None:
        """Wait for what was appended, and take no more. Idempotent."""
        self._is_closed = True
        if self._flusher is not None:
            await self._flusher
        self._executor.shutdown(wait=True)


def _fail(group: list[_Waiting], error: BaseException) -> None:
    for _, done in group:
        if done.done():
            continue
        if isinstance(error, asyncio.CancelledError):
            done.cancel()
        elif isinstance(error, LedgerError):
            # One exception each: several tasks raising the same object would mix up their tracebacks.
            own = type(error)(error.what, given=error.given, todo=error.todo)
            own.__cause__ = error.__cause__
            done.set_exception(own)
        else:
            own = LedgerError("a call could not be recorded", given=type(error).__name__)
            own.__cause__ = error
            done.set_exception(own)
