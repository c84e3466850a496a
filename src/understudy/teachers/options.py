"""What a job of labelling is told, checked before anything is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import ConfigError
from understudy.task.task import Task

__all__ = ["LabelOptions", "TeacherOptions"]


@dataclass(frozen=True, slots=True)
class TeacherOptions:
    """One teacher.

    Attributes
    ----------
    url
        With the version's path: ``https://api.openai.com/v1``.
    model
        The model's name.
    key_env
        Name of the environment variable with the key; ``None``: ``OPENAI_API_KEY`` for api.openai.com, else none;
        ``-``: none.
    price
        ``0.002`` dollars a call or ``0.15/0.60`` per million tokens; ``None``: the model's list price, if known.
    """

    url: str
    model: str
    key_env: str | None = None
    price: str | None = None


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """A job.

    Attributes
    ----------
    inputs, out
        What to label (``-`` for standard input) and where to write.
    teachers
        At least one.
    task
        What is asked for.
    instructions
        The system message; ``None``: the task's.
    is_plain
        Ask for the form of the answer in words.
    has_rationale
        Ask for a reason before the answer.
    temperature
        ``None`` leaves it to the server.
    max_tokens
        The longest answer.
    repeats
        How often each input (or a share of them) is asked.
    repeat_share
        The share that is asked `repeats` times, in (0, 1].
    max_usd
        The most that this job may cost over all its runs, in dollars, as text; ``None`` for no limit.
    concurrency
        Requests under way at once at each teacher, at most.
    retries
        Tries after the first.
    timeout_s
        For one try.
    cache
        Folder of the cache.
    pick
        How many inputs to label, chosen by usefulness; ``None`` for all.
    artefact
        The current student, for `pick`.
    split
        Written to lines that bring none; ``None``: ``train`` where inputs were picked, else nothing.
    seed
        Of `repeat_share` and `pick`.
    """

    inputs: Path
    out: Path
    teachers: tuple[TeacherOptions, ...]
    task: Task
    instructions: str | None = None
    is_plain: bool = False
    has_rationale: bool = False
    temperature: float | None = None
    max_tokens: int = 1024
    repeats: int = 1
    repeat_share: float = 1.0
    max_usd: str | None = None
    concurrency: int = 8
    retries: int = 6
    timeout_s: float = 120.0
    cache: Path = Path(".understudy-cache")
    pick: int | None = None
    artefact: Path | None = None
    split: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        assert self.teachers, "a job without a teacher"
        for name, value in (
            ("--repeats", self.repeats), ("--concurrency", self.concurrency), ("--max-tokens", self.max_tokens),
            ("--pick", 1 if self.pick is None else self.pick),
        ):  # fmt: skip
            if value < 1:
                raise ConfigError(f"{name} must be 1 or more", given=str(value))
        if self.retries < 0:
            raise ConfigError("--retries must be 0 or more", given=str(self.retries))
        if not self.timeout_s > 0 or not math.isfinite(self.timeout_s):
            raise ConfigError("--timeout must be above 0", given=str(self.timeout_s))
        if not 0 < self.repeat_share <= 1:
            raise ConfigError("--repeat-share must be above 0 and at most 1", given=str(self.repeat_share))
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise ConfigError("--temperature must be from 0 to 2", given=str(self.temperature))
        if self.artefact is not None and self.pick is None:
            raise ConfigError("--artefact is only used by --pick", todo="add --pick N, or leave it out")
        if not self.system_message.strip():
            raise ConfigError(
                "the teacher has no instructions",
                given=f"task {self.task.name!r} without instructions",
                todo="write instructions into the task file, or give --instructions FILE",
            )

    @property
    def system_message(self) -> str:
        """What the teacher is told."""
        return self.task.instructions if self.instructions is None else self.instructions
