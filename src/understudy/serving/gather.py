"""Whole answers of students that write: what waits for one writer is written in one batch, in a thread.

Nobody waits for company: inputs of one round of the event loop go together, and those that come while all threads
are busy go together when one is free. An answer does not depend on what it goes with (the contract of every
component); only how long it takes does, for a batch ends with its longest text.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from understudy.calls.call import InputParts
from understudy.runtime.answer import Answer, Understudy
from understudy.serving.registry import ServedTask

__all__ = ["Gatherer", "Waiting", "answer_each", "settle"]

_MOST_TOGETHER: Final = 8

Waiting = tuple[ServedTask, InputParts, "asyncio.Future[Answer]"]


def answer_each(model: Understudy, inputs: Sequence[InputParts]) -> list[Answer | Exception]:
    """Answers for inputs of one task; an error meets only the input that causes it."""
    try:
        return list(model.answer_parts(inputs))
    except Exception as error:
        if len(inputs) == 1:
            return [error]
        return [answer for given in inputs for answer in answer_each(model, [given])]


def settle(group: Sequence[Waiting], answers: Sequence[Answer | Exception]) -> None:
    """Tell those that wait, in order; who has left is passed over."""
    for (_, _, done), answer in zip(group, answers, strict=True):
        if done.done():
            continue
        if isinstance(answer, Exception):
            done.set_exception(answer)
        else:
            done.set_result(answer)


class Gatherer:
    """Gathers inputs into batches.

    Parameters
    ----------
    threads
        Batches at once.
    most
        Inputs of a batch.
    """

    def __init__(self, threads: int, most: int = _MOST_TOGETHER) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="understudy-writer")
        self._n_free, self._most = threads, most
        self._waiting: deque[Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def answer(self, task: ServedTask, parts: InputParts) -> Answer:
        """The student's answer to one input."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((task, parts, done))
        loop.call_soon(self._start, loop)
        return await done

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give what waits to the free threads, in even shares."""
        while self._n_free and (batch := self._take()):
            self._n_free -= 1
            run = loop.create_task(self._run(loop, batch))
            self._running.add(run)
            run.add_done_callback(self._running.discard)

    def _take(self) -> list[Waiting]:
        """The longest waiting input and others of its task, in order."""
        waiting = [one for one in self._waiting if not one[2].done()]  # a client may have left
        same = [one for one in waiting if one[0].model is waiting[0][0].model]
        batch = same[: min(self._most, -(-len(same) // self._n_free))]
        taken = {id(one) for one in batch}
        self._waiting = deque(one for one in waiting if id(one) not in taken)
        return batch

    async def _run(self, loop: asyncio.AbstractEventLoop, batch: list[Waiting]) -> None:
        try:
            inputs = [parts for _, parts, _ in batch]
            answers = await loop.run_in_executor(self._pool, answer_each, batch[0][0].model, inputs)
            settle(batch, answers)
        finally:
            self._n_free += 1
            self._start(loop)

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown(wait=True)
