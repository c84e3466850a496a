"""Texts that are passed on while they are written: a few threads take turns, one piece of each text at a time.

So nobody waits for another's whole text, however many are written, and a text whose reader has left is given up
before its next piece. It knows nothing of what the pieces are.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

from understudy.runtime.answer import Answer

__all__ = ["Live", "Rota"]


class Live:
    """One text while it is written; made by :meth:`Rota.begin`.

    Attributes
    ----------
    answer
        The student's, once the text has come to its end.
    """

    def __init__(self, pieces: Generator[str, None, Answer], loop: asyncio.AbstractEventLoop) -> None:
        self.answer: Answer | None = None
        self._pieces, self._loop = pieces, loop
        self._told: asyncio.Queue[str | Answer | Exception] = asyncio.Queue()
        self._is_given_up = False

    async def piece(self) -> str | None:
        """The next piece; ``None`` at the end. Raises what the student raised."""
        told = await self._told.get()
        if isinstance(told, Exception):
            raise told
        if isinstance(told, Answer):
            self.answer = told
            return None
        return told

    def give_up(self) -> None:
        """Nobody reads on: no further piece is written."""
        self._is_given_up = True

    def advance(self) -> bool:
        """Write one piece, in a thread; whether there is more to write."""
        if self._is_given_up:
            self._pieces.close()
            return False
        is_open = False
        told: str | Answer | Exception
        try:
            told = next(self._pieces)
            is_open = True
        except StopIteration as end:
            told = end.value
        except Exception as error:
            told = error
        try:
            self._loop.call_soon_threadsafe(self._told.put_nowait, told)
        except RuntimeError:  # the loop is closed: the server has ended
            self._pieces.close()
            return False
        return is_open


class Rota:
    """Threads that take turns.

    Parameters
    ----------
    threads
        Pieces written at once.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="understudy-rota")
        self._lock = threading.Lock()
        self._waiting: deque[Live] = deque()
        self._n_working = 0
        self._is_closing = False

    def begin(self, pieces: Generator[str, None, Answer]) -> Live:
        """Begin to write; called in the event loop that reads."""
        live = Live(pieces, asyncio.get_running_loop())
        with self._lock:
            self._waiting.append(live)
            is_short = self._n_working < self._threads
            self._n_working += is_short
        if is_short:
            self._pool.submit(self._work)
        return live

    def _work(self) -> None:
        while (live := self._next()) is not None:
            if self._is_closing:
                live.give_up()
            if live.advance():
                with self._lock:
                    self._waiting.append(live)

    def _next(self) -> Live | None:
        """Whose turn it is; ``None`` ends a thread's work, in the same step that finds none waiting."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._n_working -= 1
            return None

    def close(self) -> None:
        """Give up what is being written, and wait for the threads."""
        self._is_closing = True
        self._pool.shutdown(wait=True)
