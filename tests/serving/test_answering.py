"""Students beside the event loop: together or alone, the same answers; one that fails fails alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.test_openai_client import SURE, UNSURE
from understudy.runtime.answer import Answer
from understudy.serving.answering import Answerer
from understudy.serving.registry import ServedTask
from understudy.serving.settings import TaskSettings

TEXTS = [SURE, UNSURE, *(f"{SURE} {at}" for at in range(60)), "", "x" * 200]


@pytest.fixture
def task(plain_artefact: Path) -> ServedTask:
    return ServedTask.of(TaskSettings(plain_artefact))


class Watched:
    """A model that notes the size of each run, and fails on one text."""

    def __init__(self, model: Any, poison: str | None = None) -> None:
        self.model, self.poison, self.sizes = model, poison, list[int]()

    def answer_parts(self, parts: list[tuple[str, ...]]) -> list[Answer]:
        self.sizes.append(len(parts))
        if (self.poison,) in parts:
            raise RuntimeError
        answers: list[Answer] = self.model.answer_parts(parts)
        return answers


def ask_all(task: ServedTask, texts: list[str]) -> list[Answer | BaseException]:
    async def run() -> list[Answer | BaseException]:
        answerer = Answerer()
        try:
            asked = (answerer.answer(task, (text,)) for text in texts)
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            answerer.close()

    return asyncio.run(run())


@pytest.mark.parametrize("seconds", [1e-5, 3e-4, 0.1, None])
def test_an_answer_is_the_same_bit_for_bit_whatever_it_goes_with(
    task: ServedTask, seconds: float | None
) -> None:
    alone = [task.model.answer_parts([(text,)])[0] for text in TEXTS]
    together = ask_all(replace(task, student_seconds=seconds), TEXTS)
    assert [repr(one) for one in together] == [repr(one) for one in alone]


def test_quick_students_go_together_and_a_turn_is_bounded(task: ServedTask) -> None:
    watched = Watched(task.model)
    ask_all(replace(task, model=watched, student_seconds=5e-4), TEXTS)  # type: ignore[arg-type]
    assert sum(watched.sizes) == len(TEXTS)
    assert max(watched.sizes) == 8  # 4 ms of half a millisecond each
    watched.sizes.clear()
    ask_all(replace(task, model=watched, student_seconds=1e-5), TEXTS)  # type: ignore[arg-type]
    assert max(watched.sizes) == 32


def test_slow_students_and_long_texts_run_alone_in_threads(task: ServedTask) -> None:
    watched = Watched(task.model)
    ask_all(replace(task, model=watched, student_seconds=0.01), TEXTS)  # type: ignore[arg-type]
    ask_all(replace(task, model=watched, student_seconds=1e-5), ["y" * 4_000])  # type: ignore[arg-type]
    assert set(watched.sizes) == {1}


def test_an_error_meets_only_the_input_that_causes_it(task: ServedTask) -> None:
    watched = Watched(task.model, poison=UNSURE)
    got = ask_all(replace(task, model=watched, student_seconds=1e-5), TEXTS)  # type: ignore[arg-type]
    assert [isinstance(one, RuntimeError) for one in got] == [text == UNSURE for text in TEXTS]


def test_a_client_that_left_is_not_answered_and_holds_nobody_up(task: ServedTask) -> None:
    watched = Watched(task.model)
    quick = replace(task, model=watched, student_seconds=1e-5)  # type: ignore[arg-type]

    async def run() -> Answer:
        answerer = Answerer()
        left = asyncio.ensure_future(answerer.answer(quick, (SURE,)))
        stays = asyncio.ensure_future(answerer.answer(quick, (UNSURE,)))
        await asyncio.sleep(0)
        left.cancel()
        try:
            return await stays
        finally:
            answerer.close()

    assert repr(asyncio.run(run())) == repr(task.model.answer_parts([(UNSURE,)])[0])
