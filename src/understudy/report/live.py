"""Progress of a run on stderr: a line with a clock on a terminal, plain lines elsewhere.

Messages have the form ``rung: what it does``; a finished rung stays on screen with the time it took.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from understudy.drawing.markup import clean
from understudy.units import format_duration

__all__ = ["LiveLadder"]


class LiveLadder:
    """Shows what a run is at; an instance is the `report` callback.

    Parameters
    ----------
    stream
        Where to write; ``None``: stderr. What is data goes to stdout, never here.
    is_quiet
        Write nothing at all.

    Examples
    --------
    ``with LiveLadder() as report: report("linear: fitting on 800 calls")``
    """

    def __init__(self, stream: TextIO | None = None, *, is_quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._console = Console(file=self._stream, highlight=False)
        self._is_quiet = is_quiet
        self._start = time.perf_counter()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._rung: str | None = None
        self._last = ""
        self._rung_start = self._start

    def __enter__(self) -> LiveLadder:
        self._start = self._rung_start = time.perf_counter()
        if self._console.is_terminal and not self._is_quiet:
            self._progress = Progress(
                SpinnerColumn(style="cyan"),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            if kind is None:
                self._finish_rung()
            self._progress.stop()
            self._progress = None

    def __call__(self, message: str) -> None:
        """Show one message."""
        if self._is_quiet:
            return
        words = " ".join(clean(message).split())
        if self._progress is None:
            elapsed = format_duration(time.perf_counter() - self._start)
            self._stream.write(f"[{elapsed:>12}] {words}\n")
            self._stream.flush()
            return
        rung = words.partition(":")[0]
        if rung != self._rung:
            self._finish_rung()
            self._rung, self._rung_start = rung, time.perf_counter()
            self._task = self._progress.add_task(words, total=None)
        elif self._task is not None:
            self._progress.update(self._task, description=words)
        self._last = words

    def _finish_rung(self) -> None:
        """Leave the last message of a rung on screen with its time."""
        if self._progress is None or self._task is None:
            return
        self._progress.remove_task(self._task)
        self._task = None
        took = format_duration(time.perf_counter() - self._rung_start)
        self._progress.console.print(
            Text.assemble((" ✓ ", "green"), self._last, (f"  {took}", "dim")), soft_wrap=True
        )
