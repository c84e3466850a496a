"""One file of the spool: created and adopted under an exclusive lock that ends with its process.

The lock is ``flock``: the kernel lets go of it however the process ends. It needs a local file system, and a
process that was forked without a new program shares it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from understudy.ledger.framing import SpoolBatch, count_lines, read_batch
from understudy.ledger.record import new_call_id

__all__ = ["SpoolFile", "make_folder", "orphans"]

_PATTERN = "calls-*.spool"
# What a file's content needs to survive a power loss; fdatasync writes the new size too.
_sync = getattr(os, "fdatasync", os.fsync)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make a spool folder that only its owner may read, if it is missing."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _try_lock(fd: int) -> bool:
    """Lock a file if nobody holds it; false also if it was deleted meanwhile."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(fd).st_nlink > 0


class SpoolFile:
    """A spool file that this process has locked: its own, or an orphan that it adopted.

    Attributes
    ----------
    path
        Where it lies.
    size
        Bytes of the lines that were acknowledged (of an orphan: all bytes).
    drained_offset
        Bytes that are in the database.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.size = os.fstat(fd).st_size
        self.drained_offset = 0
        self._fd = fd
        self._is_tail_dirty = False

    @classmethod
    def create(cls, folder: Path) -> SpoolFile:
        """A new file in a folder, locked.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        while True:
            path = folder / f"calls-{new_call_id()}.spool"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                if _try_lock(fd):
                    _sync_folder(folder)
                    return cls(path, fd)
            except OSError:
                os.close(fd)
                raise
            # Another process took the new file for an orphan, in the moment before it was locked; it is empty
            # and will be deleted there.
            os.close(fd)

    def append(self, block: bytes, *, is_fsynced: bool) -> None:
        """Write complete lines at the end: all of them or, with the error, none.

        Raises
        ------
        OSError
            If the disk is full or fails.
        """
        try:
            if self._is_tail_dirty:
                self._cut_tail()
            self._is_tail_dirty = True
            rest, at = memoryview(block), self.size
            while rest:
                n_bytes = os.pwrite(self._fd, rest, at)
                rest, at = rest[n_bytes:], at + n_bytes
            if is_fsynced:
                _sync(self._fd)
        except OSError:
            # These lines were not acknowledged: they must not be found later either.
            self._try_to_cut_tail()
            raise
        self._is_tail_dirty = False
        self.size = at

    def _cut_tail(self) -> None:
        os.ftruncate(self._fd, self.size)
        self._is_tail_dirty = False

    def _try_to_cut_tail(self) -> None:
        try:
            self._cut_tail()
        except OSError:
            return  # It is still marked: the next append, or the end, tries again.

    def read(self, most: int) -> SpoolBatch:
        """Up to `most` lines that are not yet drained; a torn last line is left out."""
        return read_batch(self._fd, self.drained_offset, self.size, most)

    def mark_drained(self, batch: SpoolBatch) -> None:
        """Say that everything up to a batch's end is durably in the database."""
        self.drained_offset = batch.next_offset

    def count_lines(self) -> int:
        """Its complete lines; reads the whole file."""
        return count_lines(self._fd, self.size)

    def delete(self) -> None:
        """Delete the file, for all of it is durably in the database; then let go of it."""
        # In this order: whoever gets the lock next sees that the file is gone.
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file, and leave it to be adopted. Idempotent."""
        if self._fd >= 0:
            if self._is_tail_dirty:
                self._try_to_cut_tail()
            os.close(self._fd)
            self._fd = -1


def orphans(folder: str | Path) -> Iterator[SpoolFile]:
    """The files of a spool folder whose process is gone, oldest first, each locked while it is looked at.

    Whoever iterates may delete the file; else it is let go of with the next step.
    """
    for path in sorted(Path(folder).glob(_PATTERN)):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # Somebody else adopted it.
        if not _try_lock(fd):
            os.close(fd)
            continue
        orphan = SpoolFile(path, fd)
        try:
            yield orphan
        finally:
            orphan.close()
