"""The file of labelled inputs: written under a temporary name, in the order of the inputs, renamed when complete.

A killed run leaves ``OUT.partial``, which the next one writes anew: what was paid for is in the cache. Two runs
cannot write the same output at once.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from understudy.errors import ConfigError
from understudy.teachers.lines import dump_line
from understudy.teachers.receipt import receipt_path

__all__ = ["LabelFile"]


class LabelFile:
    """The output while it is written; use it as a context.

    Parameters
    ----------
    path
        Where it will be.
    source
        The inputs, which must not be overwritten.

    Raises
    ------
    ConfigError
        If the place is taken: by the inputs, by a file that no earlier run wrote, or by another run.
    """

    def __init__(self, path: Path, source: Path) -> None:
        if str(source) != "-" and path.exists() and source.exists() and path.samefile(source):
            raise ConfigError(
                "the output would overwrite the inputs", given=str(path), todo="give another --out"
            )
        if path.is_dir() or (path.exists() and path.stat().st_size and not receipt_path(path).exists()):
            raise ConfigError(
                "the output exists and is not from this command",
                given=f"{path}, without {receipt_path(path).name} beside it",
                todo="give another --out, or move the file away",
            )
        self.path, self.partial = path, path.with_name(f"{path.name}.partial")
        self._current, self._is_partial_gone = self.partial, False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self.partial.open("ab")
        except OSError as error:
            raise ConfigError(
                "the output cannot be written", given=f"{path}: {error.__class__.__name__}"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise ConfigError(
                "another run is writing this output",
                given=str(path),
                todo="wait for it, or give another --out",
            ) from error
        self._file.truncate(0)

    def __enter__(self) -> LabelFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Removed before it is closed, which gives the lock back: afterwards the name may be another run's.
        if not self._is_partial_gone:
            self.partial.unlink(missing_ok=True)
        self._file.close()

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line."""
        self._file.write(dump_line(line))

    def flush(self) -> None:
        """Hand what is written to the operating system."""
        self._file.flush()

    def rewrite(self, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
        """Change every line, in order, before the file is published."""
        self.flush()
        changed = self.partial.with_name(f"{self.partial.name}-combined")
        with self.partial.open("rb") as lines, changed.open("wb") as to:
            for raw in lines:
                to.write(dump_line(change(json.loads(raw))))
        self._current = changed

    def publish(self) -> None:
        """Give the file its name."""
        self.flush()
        with self._current.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(self._current, self.path)  # noqa: PTH105
        self._is_partial_gone = self._current == self.partial
