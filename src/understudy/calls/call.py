"""The record that everything starts from: one request to a language model and its answer.

A call knows nothing of the task's schema: `output` is as recorded (a string, a number, a dict ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["ABSENT", "UNKNOWN", "Absent", "Call", "InputParts", "Unknown", "Usage"]


class Absent:
    """Type of :data:`ABSENT`: "not there", which is not the same as ``None`` (JSON ``null``)."""

    _instance: Absent | None = None

    def __new__(cls) -> Absent:  # noqa: D102
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
"""The value of a key that is not there."""


class Unknown:
    """Type of :data:`UNKNOWN`: nobody said. Not a value of the field, unlike ABSENT and ``None``."""

    _instance: Unknown | None = None

    def __new__(cls) -> Unknown:  # noqa: D102
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
"""Stands where a call carries no usable answer for a field (off-schema, or no gold)."""

InputParts = tuple[str, ...]
"""A student's input: one text, or several in the task's order of input names."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; ``None`` where it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded call.

    Attributes
    ----------
    id
        Unique within a log; readers make one (``line-17``) where the log brings none.
    input
        A text, or named texts in the log's order.
    output
        The teacher's answer as recorded, or :data:`ABSENT`.
    gold
        The right answer where someone knows it, or :data:`ABSENT`.
    votes
        Further answers to the same input: repeats of the teacher, or other teachers.
    label_probabilities
        Probability per label where the log carries log-probabilities of a plain label, else ``None``.
    split
        The split that the data brings (``train``, ``test``, ...), lower case, or ``None``.
    time
        Seconds since 1970 (UTC), or ``None``.
    messages_template
        The fixed part of the request (see ``known_request``), where calls are full requests.
    """

    id: str
    input: str | Mapping[str, str]
    output: Any = ABSENT
    gold: Any = ABSENT
    rationale: str | None = None
    votes: tuple[Any, ...] = ()
    label_probabilities: Mapping[str, float] | None = None
    split: str | None = None
    time: float | None = None
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    latency_ms: float | None = None
    messages_template: str | None = None
