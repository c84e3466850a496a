"""What the gallery run can be about: inputs, right answers, sizes of models and how an answer is scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sacrebleu.metrics import CHRF
from tokenizers import Tokenizer

from teaching import docstrings, sums
from teaching.student import Recipe
from understudy.lm.config import DecoderConfig
from understudy.lm.tokeniser import train_tokeniser

__all__ = ["Task", "task_of"]

Pair = tuple[str, str]
"""Input and right answer."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task and its sizes.

    Attributes
    ----------
    test, many, for_teacher
        To measure with, the inputs of the log, and what the teacher learns from; nothing in common.
    n_few
        How many of the log's inputs have a right answer.
    score
        Of an answer beside the right one, 0 to 1.
    is_sampled
        Whether the teacher answers at temperature 1, else greedily.
    """

    test: list[Pair]
    many: list[Pair]
    for_teacher: list[Pair]
    n_few: int
    tokeniser: Tokenizer
    teacher: Recipe
    student: Recipe
    most_new_tokens: int
    score: Callable[[str, str], float]
    is_sampled: bool


def task_of(name: str, folder: Path, *, is_quick: bool = False) -> Task:
    """``docstrings`` or ``sums``."""
    task = _docstrings(folder) if name == "docstrings" else _sums()
    if not is_quick:
        return task
    return replace(
        task,
        test=task.test[:20],
        many=task.many[:120],
        for_teacher=task.for_teacher[:400],
        n_few=40,
        teacher=replace(task.teacher, n_steps=10),
        student=replace(task.student, n_steps=5),
    )


def _docstrings(folder: Path) -> Task:
    path = folder / "functions.json"
    if not path.is_file():
        path.write_text(json.dumps(docstrings.functions(n_test=300)), encoding="utf-8")
    found = [[(one[0], one[1]) for one in side] for side in json.loads(path.read_text(encoding="utf-8"))]
    learnt, test = found
    n_many = 2_000
    # Of the teacher's texts alone, as a teacher's tokeniser is.
    tokeniser = train_tokeniser((text for pair in learnt[n_many:] for text in pair), vocab_size=1_024)
    metric = CHRF()
    return Task(
        test,
        learnt[:n_many],
        learnt[n_many:],
        800,
        tokeniser,
        Recipe(DecoderConfig(1_024, 96, 2, 4, 4, 288, 128), 200, 16, 4e-3, 128),
        Recipe(DecoderConfig(1_024, 48, 2, 4, 4, 144, 128), 150, 12, 6e-3, 128),
        32,
        lambda said, right: metric.sentence_score(said, [right]).score / 100,
        is_sampled=True,
    )


def _sums() -> Task:
    every = [(one, sums.working(one)) for one in sums.problems(13_500, seed=0)]
    return Task(
        every[:500],
        every[500:3_500],
        every[3_500:],
        300,
        train_tokeniser([""], vocab_size=257),
        Recipe(DecoderConfig(257, 96, 3, 4, 4, 288, 128), 1_500, 16, 4e-3, 96),
        Recipe(DecoderConfig(257, 64, 2, 4, 4, 192, 128), 1_000, 12, 8e-3, 96),
        24,
        lambda said, right: float(sums.result_of(said) == sums.result_of(right)),
        is_sampled=False,
    )
