"""The artefacts being served: found by name or by the fixed part of a request, swapped and rolled back whole.

A snapshot never changes; a request keeps the one it began with, so a swap cannot touch what is in work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import Any

from understudy.calls.call import InputParts
from understudy.calls.known_request import KnownRequest
from understudy.economics.nano import usd_to_nano
from understudy.errors import ArtefactError, ConfigError, DataError
from understudy.runtime.answer import Understudy, load
from understudy.runtime.component import TokenCounter
from understudy.serving.requests import Asked
from understudy.serving.settings import TaskSettings

__all__ = ["NAME_PREFIX", "Found", "Registry", "ServedTask", "Snapshot"]

NAME_PREFIX = "understudy/"


@dataclass(frozen=True, slots=True)
class ServedTask:
    """One artefact ready to answer.

    Attributes
    ----------
    name
        For clients, the ledger and people.
    model
        The loaded artefact.
    kinds
        Requests by which it is recognised.
    teacher_model
        Who answers what it defers, where the request names the task; ``None`` if unknown.
    teacher_nanousd
        Mean cost of a call at the teacher as recorded, or ``None``.
    student_seconds, student_nanousd
        Mean processor time and cost per call as measured when it was built, or ``None``.
    has_logprobs
        Whether it may give its own log-probabilities.
    is_writer
        Whether a component of it writes texts piece by piece.
    """

    name: str
    model: Understudy
    kinds: tuple[KnownRequest, ...]
    teacher_model: str | None
    teacher_nanousd: int | None
    student_seconds: float | None
    student_nanousd: int | None
    has_logprobs: bool
    is_writer: bool = False

    @property
    def artefact_id(self) -> str:
        """Names exactly these bytes and thresholds."""
        return str(self.model.manifest.get("id", "unknown"))

    @property
    def sentence(self) -> str | None:
        """What the certificate says, or ``None`` if nothing is certified."""
        certificate = self.model.manifest.get("certificate") or {}
        return certificate.get("sentence")

    @classmethod
    def of(cls, settings: TaskSettings) -> ServedTask:
        """Load the artefact that the settings name.

        Raises
        ------
        ArtefactError
            If it is damaged, incomplete or of a newer format.
        """
        model = load(settings.artefact)
        _load_writers(model)
        kinds = [KnownRequest.from_text(text) for text in model.manifest.get("request_kinds", ())]
        kinds = [kind for kind in kinds if kind.is_distinct]
        teacher: Mapping[str, Any] = model.manifest.get("teacher") or {}
        measured: Mapping[str, Any] = model.manifest.get("measured") or {}
        return cls(
            name=settings.name or model.task.name,
            model=model,
            kinds=tuple(kinds),
            teacher_model=settings.teacher_model or teacher.get("model"),
            teacher_nanousd=usd_to_nano(teacher.get("mean_usd")),
            student_seconds=measured.get("student_seconds"),
            student_nanousd=usd_to_nano(measured.get("student_usd"), rounding=ROUND_CEILING),
            has_logprobs=settings.has_logprobs,
            is_writer=model.is_writer,
        )

    def parts(self, text: str) -> InputParts | None:
        """The student's input, or ``None`` if the text has not the task's shape."""
        given: Any = text
        if self.model.task.input_names:
            import json

            try:
                given = json.loads(text)
            except (ValueError, RecursionError):
                return None
        try:
            return self.model.task.parts(given)
        except DataError:
            return None


def _load_writers(model: Understudy) -> None:
    """Language models are read when they are first asked: here, not when a caller waits."""
    nothing = ("",) * max(len(model.task.input_names), len(model.task.line_labels), 1)
    for component in model.cascade.components.values():
        if isinstance(component, TokenCounter):
            component.count_prompt_tokens(nothing)


@dataclass(frozen=True, slots=True)
class Found:
    """A request that belongs to a task.

    Attributes
    ----------
    task
        The task.
    parts
        The student's input; ``None`` if it has not the task's shape.
    is_named
        Whether the request named the task, so that its model name means nothing to an upstream.
    """

    task: ServedTask
    parts: InputParts | None
    is_named: bool


class Snapshot:
    """A fixed set of tasks."""

    def __init__(self, tasks: Sequence[ServedTask]) -> None:
        names = [task.name for task in tasks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(
                "two artefacts are served under one name",
                given=", ".join(twice),
                todo="give one a [[task]] name",
            )
        self.tasks = {task.name: task for task in tasks}
        by_format: dict[Any, list[tuple[KnownRequest, ServedTask]]] = {}
        for task in tasks:
            for kind in task.kinds:
                by_format.setdefault(kind.output_format, []).append((kind, task))
        for kinds in by_format.values():
            # The most specific first: a template with more around the input is not hidden by one with less.
            kinds.sort(key=lambda pair: (-len(pair[0].fixed), -len(pair[0].prefix) - len(pair[0].suffix)))
        self._by_format = by_format

    def find(self, asked: Asked) -> Found | None:
        """The task of a request, or ``None``: named ``understudy/TASK``, or of a known kind."""
        if asked.model is not None and asked.model.startswith(NAME_PREFIX):
            task = self.tasks.get(asked.model.removeprefix(NAME_PREFIX))
            if task is None:
                return None
            return Found(task, self._named_parts(task, asked), is_named=True)
        for kind, task in self._by_format.get(asked.output_format, ()):
            text = kind.input_of(asked.messages, asked.output_format)
            if text is not None:
                return Found(task, task.parts(text), is_named=False)
        return None

    @staticmethod
    def _named_parts(task: ServedTask, asked: Asked) -> InputParts | None:
        if not asked.messages:
            return None
        for kind in task.kinds:
            text = kind.input_of(asked.messages, asked.output_format)
            if text is not None:
                return task.parts(text)
        # Named by the caller: the whole last message is the input, as `understudy answer` would take it.
        return task.parts(asked.messages[-1][1])


class Registry:
    """The snapshot in use and the one before it.

    Parameters
    ----------
    settings
        Artefacts, in order.

    Raises
    ------
    ArtefactError, ConfigError
        If one cannot be loaded, or two share a name.
    """

    def __init__(self, settings: Sequence[TaskSettings]) -> None:
        self._settings = tuple(settings)
        self.current = self._load()
        self._before: Snapshot | None = None

    def _load(self) -> Snapshot:
        return Snapshot([ServedTask.of(one) for one in self._settings])

    def prepare(self) -> Snapshot:
        """Load what lies in the folders now, without using it yet; may run in a thread."""
        return self._load()

    def use(self, snapshot: Snapshot) -> None:
        """Swap: requests that begin from now on see `snapshot`."""
        self._before, self.current = self.current, snapshot

    def roll_back(self) -> None:
        """Go back to the snapshot before the last swap; a second roll-back undoes the first.

        Raises
        ------
        ArtefactError
            If there was no swap.
        """
        if self._before is None:
            raise ArtefactError("there is nothing to roll back to", todo="reload first")
        self._before, self.current = self.current, self._before
