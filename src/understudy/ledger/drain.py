"""Moves calls from the spool to the database, in a thread of its own.

A batch is read, inserted in one transaction and only then marked as drained: whatever happens in between, it is
inserted again, and the ids see to it that nothing counts twice. While the database is down the calls stay on the
disk and this keeps trying; memory holds one batch. Files that other processes left behind are adopted.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from understudy.errors import UnderstudyError
from understudy.ledger.audit import AuditRecord, read_record
from understudy.ledger.errors import RecordRefusedError
from understudy.ledger.framing import SpoolBatch
from understudy.ledger.record import CallRecord
from understudy.ledger.spool import Spool
from understudy.ledger.spool_file import SpoolFile, orphans

if TYPE_CHECKING:
    from understudy.ledger.database import Ledger

__all__ = ["REFUSED_NAME", "Drainer"]

REFUSED_NAME: Final = "refused.jsonl"
"""File in the spool folder for records that no database takes: kept for people, not tried again."""

_log = logging.getLogger("understudy.ledger")


_FAR_BEHIND: Final = 1_000
_PAUSES: Final = 4.0


class Drainer:
    """Drains a spool, and the orphans of its folder, to a ledger.

    Parameters
    ----------
    spool
        This process's spool.
    ledger
        Where the calls go. It may be opened lazily, and be down.
    interval_s
        Seconds between two looks at the spool.
    most_records
        Most calls in one transaction.
    adopt_every_s
        Seconds between two looks for orphans; the first comes at once.
    most_backoff_s
        Longest wait after a failure, seconds. Waits double from `interval_s`.
    """

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        *,
        interval_s: float = 0.2,
        most_records: int = 80,
        adopt_every_s: float = 30.0,
        most_backoff_s: float = 10.0,
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._interval_s = interval_s
        self._most_records = most_records
        self._adopt_every_s = adopt_every_s
        self._most_backoff_s = most_backoff_s
        self._wake = threading.Event()
        self._progress = threading.Condition()
        self._is_stopping = False
        self._n_flushing = 0
        self._n_failures = 0
        self._next_adoption_s = 0.0
        self._last_error: str | None = None
        self._n_damaged = self._n_refused = self._n_orphan_lines = 0
        self._thread = threading.Thread(target=self._run, name="ledger-drain", daemon=True)

    @property
    def lag_records(self) -> int:
        """Calls that are in the spool, or in orphans as last counted, and not in the database."""
        n_drained = self._spool.n_drained  # Read first: it never passes what was written later.
        return self._spool.n_written - n_drained + self._n_orphan_lines

    @property
    def last_error(self) -> str | None:
        """Class and first line of what keeps the database from being reached; ``None`` while it works."""
        return self._last_error

    @property
    def n_damaged(self) -> int:
        """Lines that were skipped because their checksum is wrong."""
        return self._n_damaged

    @property
    def n_refused(self) -> int:
        """Records that were put into the file :data:`REFUSED_NAME`."""
        return self._n_refused

    def start(self) -> Drainer:
        """Start the thread."""
        self._thread.start()
        return self

    def flush(self, timeout_s: float) -> bool:
        """Wait until what this process has appended so far is in the database.

        Returns
        -------
        bool
            Whether it is; false if `timeout_s` seconds were too few.
        """
        target = self._spool.n_written
        with self._progress:
            self._n_flushing += 1
            self._wake.set()
            try:
                return self._progress.wait_for(lambda: self._spool.n_drained >= target, timeout_s)
            finally:
                self._n_flushing -= 1

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Flush for up to `timeout_s` seconds, then end the thread. What is left stays in the spool.

        Returns
        -------
        bool
            Whether everything was drained.
        """
        is_drained = self.flush(timeout_s) if self._thread.is_alive() else self.lag_records == 0
        self._is_stopping = True
        self._wake.set()
        if self._thread.is_alive():
            # A database that does not answer must not hold up the end of the server.
            self._thread.join(timeout_s)
        return is_drained

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                self._drain_spool()
                self._adopt_if_due()
            except Exception as error:
                # Whatever it is, the calls are safe on the disk, and this must go on.
                self._failed(error)
            self._wake.wait(self._pause_s())
            self._wake.clear()

    def _pause_s(self) -> float:
        if not self._n_failures or self._n_flushing:
            return self._interval_s
        return min(self._most_backoff_s, self._interval_s * 2.0 ** min(self._n_failures, 20))

    def _failed(self, error: Exception) -> None:
        self._n_failures += 1
        self._last_error = _first_line(error)
        if self._n_failures == 1:
            _log.warning("calls stay in the spool: %s", self._last_error)

    def _worked(self) -> None:
        if self._n_failures:
            _log.warning("the ledger's database is back; %d calls to go", self.lag_records)
        self._n_failures, self._last_error = 0, None

    def _drain_spool(self) -> None:
        while not self._is_stopping:
            began_s = time.perf_counter()
            # Far behind, what counts is to catch up, and large batches cost less.
            is_far_behind = self._spool.n_written - self._spool.n_drained > _FAR_BEHIND
            batch = self._spool.read(_FAR_BEHIND if is_far_behind else self._most_records)
            if not batch.n_lines:
                return
            self._insert(batch)
            self._spool.mark_drained(batch)
            with self._progress:
                self._progress.notify_all()
            if not is_far_behind and not self._n_flushing:
                # In small bites with pauses between: while this thread computes, the one that answers waits for it.
                self._wake.wait(_PAUSES * (time.perf_counter() - began_s))

    def _adopt_if_due(self) -> None:
        if time.monotonic() < self._next_adoption_s:
            return
        folder = self._spool.folder
        self._n_orphan_lines = sum(orphan.count_lines() for orphan in orphans(folder))
        for orphan in orphans(folder):
            if not self._drain_orphan(orphan):
                return
        self._n_orphan_lines = 0
        self._next_adoption_s = time.monotonic() + self._adopt_every_s

    def _drain_orphan(self, orphan: SpoolFile) -> bool:
        """Empty and delete one file; false if asked to stop before the end."""
        while (batch := orphan.read(self._most_records)).n_lines:
            if self._is_stopping:
                return False
            self._insert(batch)
            orphan.mark_drained(batch)
            self._n_orphan_lines = max(0, self._n_orphan_lines - batch.n_lines)
            # Others may be waiting for this process's own calls.
            self._drain_spool()
        orphan.delete()
        return True

    def _insert(self, batch: SpoolBatch) -> None:
        """Have a batch durably in the database, or raise."""
        readable: list[tuple[bytes, CallRecord | AuditRecord]] = []
        refused: list[bytes] = []
        for payload in batch.payloads:
            try:
                readable.append((payload, read_record(payload)))
            except RecordRefusedError:
                refused.append(payload)
        try:
            self._ledger.insert([record for _, record in readable])
        except RecordRefusedError:
            refused += self._insert_singly(readable)
        if refused:
            _set_aside(self._spool.folder / REFUSED_NAME, refused)
            self._n_refused += len(refused)
            _log.warning("%d records were refused and put into %s", len(refused), REFUSED_NAME)
        self._n_damaged += batch.n_damaged
        self._worked()

    def _insert_singly(self, readable: Sequence[tuple[bytes, CallRecord | AuditRecord]]) -> list[bytes]:
        # One bad record must not keep the others out, nor be lost.
        refused = []
        for payload, record in readable:
            try:
                self._ledger.insert([record])
            except RecordRefusedError:
                refused.append(payload)
        return refused


def _set_aside(path: Path, payloads: Sequence[bytes]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as stream:
        stream.write(b"".join(payload + b"\n" for payload in payloads))
        stream.flush()
        os.fsync(fd)


def _first_line(error: Exception) -> str:
    if isinstance(error, UnderstudyError):
        text = error.given or error.what
    else:
        text = (error.strerror or "") if isinstance(error, OSError) else ""
    return f"{type(error).__name__}: {text}".splitlines()[0].rstrip(": ")
