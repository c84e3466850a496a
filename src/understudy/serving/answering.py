"""Runs students beside the event loop: quick ones in it, those that wait at the same time together; slow ones in threads.

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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, Final

from understudy.calls.call import InputParts
from understudy.runtime.answer import Answer
from understudy.serving.likelihood import value_chances
from understudy.serving.registry import ServedTask

__all__ = ["Answerer", "best_guess"]

_QUICK_SECONDS: Final = 1e-3
"""Slower students answer in threads."""
_TURN_SECONDS: Final = 4e-3
"""About how long one turn may keep the loop, had its answers been given one by one."""
_MOST_AT_ONCE: Final = 32
_QUICK_CHARS: Final = 4_000

_Waiting = tuple[ServedTask, InputParts, "asyncio.Future[Answer]"]


class Answerer:
    """Answers with the students of this process.

    Parameters
    ----------
    threads
        Slow answers at once; ``None`` for the cores of this process.
    """

    def __init__(self, threads: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(threads or cores, thread_name_prefix="understudy-student")
        self._waiting: deque[_Waiting] = deque()

    async def answer(self, task: ServedTask, parts: InputParts) -> Answer:
        """The student's answer to one input."""
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

    def _take_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer what waits; what is too much for one turn waits for the next round of the loop."""
        turn: list[_Waiting] = []
        spent_s = 0.0
        while self._waiting and len(turn) < _MOST_AT_ONCE and spent_s < _TURN_SECONDS:
            one = self._waiting.popleft()
            if not one[2].done():  # its client may have left
                turn.append(one)
                spent_s += one[0].student_seconds or 0.0
        if self._waiting:
            loop.call_soon(self._take_turn, loop)
        for _, same in groupby(sorted(turn, key=lambda one: id(one[0])), key=lambda one: id(one[0])):
            _answer_together(list(same))

    async def chances(self, task: ServedTask, parts: InputParts) -> list[tuple[Any, float]] | None:
        """The values of the task's only field and their probabilities; see :func:`value_chances`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, value_chances, task.model, parts)

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown(wait=True)


def _answer_together(group: Sequence[_Waiting]) -> None:
    """Answers for inputs of one task; an error meets only the input that causes it."""
    model = group[0][0].model
    try:
        answers = model.answer_parts([parts for _, parts, _ in group])
    except Exception as error:
        if len(group) == 1:
            group[0][2].set_exception(error)
            return
        for one in group:
            _answer_together([one])
        return
    for (_, _, done), answer in zip(group, answers, strict=True):
        done.set_result(answer)


def best_guess(task: ServedTask, answer: Answer) -> object:
    """What the student would say although it is unsure, in the teacher's shape; ``None`` if it cannot say."""
    if task.model.never_answered:
        return None
    return task.model.task.assemble({name: field.value for name, field in answer.fields.items()})
