"""What the steps of a job share: which inputs, put to whom, and what became of their lines."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from understudy.calls.report import ReadReport
from understudy.task.parse import OutputParser
from understudy.teachers.asking import Asker, NotAskedError, Stop
from understudy.teachers.cache import CachedAnswer
from understudy.teachers.inputs import InputLine, read_inputs
from understudy.teachers.lines import Said
from understudy.teachers.options import LabelOptions
from understudy.teachers.pick import pick_rows, student_confidence
from understudy.teachers.prompt import Prompt, user_text, with_input
from understudy.teachers.teacher import AskFailedError

__all__ = ["Counts", "Job"]


@dataclass
class Counts:
    """Lines by what became of them."""

    labelled: int = 0
    failed: int = 0
    not_asked: int = 0
    off_schema: int = 0
    problems: Counter[str] = field(default_factory=Counter)


@dataclass
class Job:
    """What the steps of a job share."""

    options: LabelOptions
    prompt: Prompt
    askers: list[Asker]
    templates: list[dict[str, Any]]
    stop: Stop
    report: ReadReport = field(default_factory=ReadReport)
    counts: Counts = field(default_factory=Counts)
    notes: list[str] = field(default_factory=list)

    @property
    def split(self) -> str | None:
        """The split of lines that bring none."""
        picked = "train" if self.options.pick is not None else None
        return self.options.split or picked

    def items(self) -> Iterator[InputLine]:
        """The inputs to label."""
        options = self.options
        lines = read_inputs(options.inputs, options.task, self.report)
        if options.pick is None:
            yield from lines
            return
        every = list(lines)
        confidence = None
        if options.artefact is not None:
            confidence = student_confidence(options.artefact, [item.given for item in every])
        rows = pick_rows(
            [item.parts for item in every], options.pick, confidence=confidence, seed=options.seed
        )
        how = "without a student" if confidence is None else "by the student's confidence"
        self.notes.append(
            f"picked {len(rows):,} of {len(every):,} inputs, {how}; they are no fair sample to certify by"
        )
        yield from (every[row] for row in rows)

    async def ask(self, item: InputLine) -> tuple[list[Said], list[str]]:
        """All answers to one input, and why others are missing."""
        user = user_text(self.options.task, item.given, item.parts)
        repeats = self.options.repeats if self._is_repeated(user) else 1
        tries = [
            (asker, asker.answer(with_input(template, user), repeat))
            for asker, template in zip(self.askers, self.templates, strict=True)
            for repeat in range(repeats)
        ]
        got = await asyncio.gather(*(coming for _, coming in tries), return_exceptions=True)
        words: list[str] = []
        answers: dict[int, list[CachedAnswer]] = {id(asker): [] for asker in self.askers}
        for (asker, _), result in zip(tries, got, strict=True):
            if isinstance(result, AskFailedError):
                words.append(result.word)
            elif isinstance(result, CachedAnswer):
                answers[id(asker)].append(result)
            elif not isinstance(result, NotAskedError):
                raise result
        return [Said(asker.teacher.model, tuple(answers[id(asker)])) for asker in self.askers], words

    def _is_repeated(self, user: str) -> bool:
        if self.options.repeats == 1 or self.options.repeat_share >= 1:
            return True
        drawn = hashlib.sha256(f"{self.options.seed}\x1f{user}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(drawn[:8], "big") < self.options.repeat_share * 2**64

    def check(self, output: Any, parser: OutputParser) -> None:
        """Count an answer that does not fit."""
        if problems := parser.parse(output).problems:
            self.counts.off_schema += 1
            self.counts.problems.update(problems)
