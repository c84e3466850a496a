"""How much each key has spent today, in a file that the processes of one machine share.

One small file per key in the spool folder holds a day and an amount; a lock of the kernel orders those who add to
it. It survives the end of the processes but not of the machine (nothing is synced): the ledger does, and whoever
counts takes the larger of the two. It knows no limits.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from understudy.ledger.errors import LedgerError
from understudy.ledger.spool_file import make_folder

__all__ = ["SharedSpending"]

_LAYOUT: Final = struct.Struct("<qq")
"""Day since 1970, nano-dollars of that day."""


class SharedSpending:
    """The spending of one key.

    Parameters
    ----------
    folder
        On a local file system; made if missing.
    name
        The key's name.

    Raises
    ------
    LedgerError
        If the file cannot be made.
    """

    def __init__(self, folder: Path, name: str) -> None:
        # Hashed: a name may hold what a file's name may not.
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        path = folder / f"spent-{digest}"
        try:
            make_folder(folder)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(
                "a key's spending cannot be kept",
                given=f"{path}: {error.strerror}",
                todo="check the spool folder",
            ) from error

    def of(self, day: int) -> int:
        """What all processes have spent on a day since 1970, nano-dollars."""
        with self._locked(fcntl.LOCK_SH):
            return self._read(day)

    def add(self, day: int, nanousd: int) -> None:
        """Add to a day; an earlier day is forgotten, and what comes for it later is not counted."""
        with self._locked(fcntl.LOCK_EX):
            self._write(day, self._read(day) + nanousd)

    def raise_to(self, day: int, nanousd: int) -> None:
        """See that a day has at least this amount, as the ledger knows it."""
        with self._locked(fcntl.LOCK_EX):
            self._write(day, max(self._read(day), nanousd))

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _read(self, day: int) -> int:
        data = os.pread(self._fd, _LAYOUT.size, 0)
        known_day, nanousd = _LAYOUT.unpack(data) if len(data) == _LAYOUT.size else (day, 0)
        return int(nanousd) if known_day == day else 0

    def _write(self, day: int, nanousd: int) -> None:
        data = os.pread(self._fd, _LAYOUT.size, 0)
        if len(data) == _LAYOUT.size and _LAYOUT.unpack(data)[0] > day:
            return  # another process has seen midnight first
        os.pwrite(self._fd, _LAYOUT.pack(day, nanousd), 0)

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        fcntl.flock(self._fd, how)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
