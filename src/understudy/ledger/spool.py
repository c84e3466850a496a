"""The write-ahead spool: what was appended survives the end of the process, before any database saw it.

A folder with append-only files, each of one process and locked by it while it lives. A file that grew large is
followed by a new one and deleted once it is drained. It does not know what a line says, nor where it goes.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from understudy.ledger.errors import LedgerError
from understudy.ledger.framing import SpoolBatch, frame
from understudy.ledger.spool_file import SpoolFile, make_folder

__all__ = ["ROTATE_BYTES", "Spool"]

ROTATE_BYTES: Final = 4 * 2**20
"""Size above which a new file is begun, bytes. Texts stay on the disk until their file is drained and left."""


class Spool:
    """The files of one process in a spool folder.

    Once :meth:`write` returned, the lines survive the end of the process in whatever way and, if
    `is_fsynced`, a power loss. One thread may write while one other drains.

    Parameters
    ----------
    folder
        The spool folder, on a local file system; made if missing.
    is_fsynced
        Whether `write` waits until the disk has the lines. Without, the operating system has them.
    rotate_bytes
        Size above which a new file is begun.

    Raises
    ------
    LedgerError
        If the folder or file cannot be made.
    """

    def __init__(
        self, folder: str | Path, is_fsynced: bool = True, *, rotate_bytes: int = ROTATE_BYTES
    ) -> None:
        self.folder = Path(folder)
        self.is_fsynced = is_fsynced
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._n_written = self._n_drained = 0
        self._is_closed = False
        self._pid = os.getpid()
        try:
            make_folder(self.folder)
            self._files = deque([SpoolFile.create(self.folder)])
        except OSError as error:
            raise LedgerError(
                "the spool folder cannot be used",
                given=f"{self.folder}: {error.strerror}",
                todo="give a folder on a local disk that this process may write",
            ) from error

    @property
    def size(self) -> int:
        """Bytes that this process's files take."""
        with self._lock:
            return sum(file.size for file in self._files)

    @property
    def n_written(self) -> int:
        """Lines acknowledged since the start."""
        return self._n_written

    @property
    def n_drained(self) -> int:
        """Lines moved to the database since the start."""
        return self._n_drained

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines: all of them, or none and an error.

        Parameters
        ----------
        lines
            Payloads without line breaks.

        Raises
        ------
        LedgerError
            If the disk is full or fails, or the spool was closed. Earlier lines are untouched.
        RecordRefusedError
            If a line is too long; nothing was written.
        """
        block = b"".join([frame(line) for line in lines])
        with self._lock:
            self._check_usable()
            try:
                if self._files[-1].size >= self._rotate_bytes:
                    self._files.append(SpoolFile.create(self.folder))
                self._files[-1].append(block, is_fsynced=self.is_fsynced)
            except OSError as error:
                raise LedgerError(
                    "a call could not be recorded: the spool's disk does not take it",
                    given=f"{self.folder}: {error.strerror}",
                    todo="free space on that disk; calls recorded before are safe",
                ) from error
            self._n_written += len(lines)

    def _check_usable(self) -> None:
        if self._is_closed:
            raise LedgerError("the spool was closed", todo="record calls before the server stops")
        if os.getpid() != self._pid:
            raise LedgerError(
                "a spool was carried into a forked process", todo="open a spool in each process"
            )

    def read(self, most: int) -> SpoolBatch:
        """Up to `most` acknowledged lines that are not yet drained, oldest first; none at the end.

        The same lines come again until :meth:`mark_drained`.
        """
        with self._lock:
            if self._is_closed:
                return SpoolBatch([], 0, 0)
            file, is_last = self._files[0], len(self._files) == 1
        batch = file.read(most)
        if batch.n_lines or is_last:
            return batch
        # A file that was left and is drained; its successor holds what came after.
        with self._lock:
            self._files.popleft()
        file.delete()
        return self.read(most)

    def mark_drained(self, batch: SpoolBatch) -> None:
        """Say that everything up to the end of the last read batch is durably in the database."""
        with self._lock:
            if not self._is_closed:
                self._files[0].mark_drained(batch)
                self._n_drained += batch.n_lines

    def close(self) -> None:
        """Let go of the files, and delete what is drained; the rest waits to be adopted. Idempotent.

        Stop the drainer first.
        """
        with self._lock:
            for file in self._files:
                if file.drained_offset == file.size and os.getpid() == self._pid:
                    file.delete()
                file.close()
            self._files.clear()
            self._is_closed = True
