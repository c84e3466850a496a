"""Runs students beside the event loop: quick ones in it, slow ones in a pool of threads.

An answer does not depend on what else is asked at the same time: each input is one run of its own, whatever thread
it runs in, and so are its bits. There is no batching, since a batch of texts costs as much as the texts one by one
(``docs/decisions/0002-encoder-export.md``).
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from understudy.calls.call import InputParts
from understudy.runtime.answer import Answer
from understudy.serving.likelihood import value_chances
from understudy.serving.registry import ServedTask

__all__ = ["Answerer", "best_guess"]

_QUICK_SECONDS = 3e-4
"""Quicker students are not worth a hand-over to a thread; a round figure, not yet tuned by measurement."""
_QUICK_CHARS = 4_000


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

    async def answer(self, task: ServedTask, parts: InputParts) -> Answer:
        """The student's answer to one input."""
        seconds = task.student_seconds
        is_quick = seconds is not None and seconds < _QUICK_SECONDS and sum(map(len, parts)) < _QUICK_CHARS
        if is_quick:
            return task.model.answer_parts([parts])[0]
        loop = asyncio.get_running_loop()
        return (await loop.run_in_executor(self._pool, task.model.answer_parts, [parts]))[0]

    async def chances(self, task: ServedTask, parts: InputParts) -> list[tuple[Any, float]] | None:
        """The values of the task's only field and their probabilities; see :func:`value_chances`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, value_chances, task.model, parts)

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown(wait=True)


def best_guess(task: ServedTask, answer: Answer) -> object:
    """What the student would say although it is unsure, in the teacher's shape; ``None`` if it cannot say."""
    if task.model.never_answered:
        return None
    return task.model.task.assemble({name: field.value for name, field in answer.fields.items()})
