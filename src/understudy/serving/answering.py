"""Runs students beside the event loop: quick ones in it, those that wait at the same time together; slow ones in threads.

Students that write are gathered into batches (``gather``), or pass their text on as they write (``rota``), each in
threads of their own, so that a long text holds up no encoder.

What gains from batches is one call for many texts to numpy: a linear student answers 32 texts in the time of six or
seven. Nobody waits for company: the first input that comes asks for a turn at the end of the loop's present round,
and whatever else came in that round goes with it. An answer does not depend on what it goes with, to the last bit
(the contract of every component). Encoders gain nothing from batches; theirs are one run each in a pool of threads.
``docs/decisions/0008-speed.md`` has the measurements.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, Final

from understudy.calls.call import InputParts
from understudy.runtime.answer import Answer
from understudy.serving.gather import Gatherer, Waiting, answer_each, settle
from understudy.serving.likelihood import value_chances
from understudy.serving.registry import ServedTask
from understudy.serving.rota import Live, Rota

__all__ = ["Answerer", "best_guess"]

_QUICK_SECONDS: Final = 1e-3
"""Slower students answer in threads."""
_TURN_SECONDS: Final = 4e-3
"""About how long one turn may keep the loop, had its answers been given one by one."""
_MOST_AT_ONCE: Final = 32
_QUICK_CHARS: Final = 4_000


class Answerer:
    """Answers with the students of this process.

    Parameters
    ----------
    threads
        Slow answers at once, and batches of written ones, and pieces of live ones; ``None`` for the cores of this
        process.
    """

    def __init__(self, threads: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = threads or cores
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="understudy-student")
        self._gatherer, self._rota = Gatherer(threads), Rota(threads)
        self._waiting: deque[Waiting] = deque()

    async def answer(self, task: ServedTask, parts: InputParts) -> Answer:
        """The student's answer to one input."""
        if task.is_writer:
            return await self._written(task, parts)
        seconds = task.student_seconds
        is_quick = seconds is not None and seconds < _QUICK_SECONDS and sum(map(len, parts)) < _QUICK_CHARS
        loop = asyncio.get_running_loop()
        if not is_quick:
            return (await loop.run_in_executor(self._pool, task.model.answer_parts, [parts]))[0]
        done: asyncio.Future[Answer] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._take_turn, loop)
        self._waiting.append((task, parts, done))
        return await done

    async def _written(self, task: ServedTask, parts: InputParts) -> Answer:
        """What is known by heart does not wait for texts to be written."""
        if len(task.model.cascade.stages) > 1:
            loop = asyncio.get_running_loop()
            known = await loop.run_in_executor(self._pool, task.model.answer_unwritten, parts)
            if known is not None:
                return known
        return await self._gatherer.answer(task, parts)

    def begin(self, task: ServedTask, parts: InputParts) -> Live:
        """Begin a text that is passed on while it is written, for a task whose artefact is live."""
        return self._rota.begin(task.model.stream_parts(parts))

    def _take_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer what waits; what is too much for one turn waits for the next round of the loop."""
        turn: list[Waiting] = []
        spent_s = 0.0
        while self._waiting and len(turn) < _MOST_AT_ONCE and spent_s < _TURN_SECONDS:
            one = self._waiting.popleft()
            if not one[2].done():  # its client may have left
                turn.append(one)
                spent_s += one[0].student_seconds or 0.0
        if self._waiting:
            loop.call_soon(self._take_turn, loop)
        for _, same in groupby(sorted(turn, key=lambda one: id(one[0])), key=lambda one: id(one[0])):
            group = list(same)
            settle(group, answer_each(group[0][0].model, [parts for _, parts, _ in group]))

    async def chances(self, task: ServedTask, parts: InputParts) -> list[tuple[Any, float]] | None:
        """The values of the task's only field and their probabilities; see :func:`value_chances`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, value_chances, task.model, parts)

    def close(self) -> None:
        """Wait for what runs; live texts are given up."""
        self._rota.close()
        self._gatherer.close()
        self._pool.shutdown(wait=True)


def best_guess(task: ServedTask, answer: Answer) -> object:
    """What the student would say although it is unsure, in the teacher's shape; ``None`` if it cannot say."""
    if task.model.never_answered:
        return None
    return task.model.task.assemble({name: field.value for name, field in answer.fields.items()})
