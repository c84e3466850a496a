"""One call as the ledger knows it: who answered, what it cost, what it would have cost.

Unknown is ``None``, never 0; money is whole nano-dollars (1e-9 USD), never a float. It does not know prices,
and it does not decide whether texts may be kept: whoever fills `request` and `response` does.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, cast, get_args

from understudy.ledger.errors import RecordRefusedError

__all__ = [
    "ANSWERERS",
    "MAX_COUNT",
    "MAX_NAME_CHARACTERS",
    "MODES",
    "AnsweredBy",
    "CallRecord",
    "Mode",
    "new_call_id",
]

AnsweredBy = Literal["student", "upstream", "uncertified", "failed"]
"""``uncertified``: a student's answer that no certificate covers; ``failed``: nobody answered."""
Mode = Literal["serve", "shadow", "record"]

ANSWERERS: Final = cast("tuple[AnsweredBy, ...]", get_args(AnsweredBy))
MODES: Final = cast("tuple[Mode, ...]", get_args(Mode))
MAX_COUNT: Final = 2**63 - 1
"""The largest number that both databases store in a BIGINT; as nano-dollars 9.2e9 USD."""
MAX_NAME_CHARACTERS: Final = 200
"""Limit of names, in characters: PostgreSQL refuses to index values of more than about 2,700 bytes."""

_NAMES = ("task", "model", "rung", "artefact_id", "key_name", "error")
_TEXTS = ("request", "response", "student_answer")
_COUNTS = ("time_ms", "status", "latency_us")
_OPTIONAL_COUNTS = (
    "input_tokens", "output_tokens", "cached_tokens", "cost_nanousd", "teacher_cost_nanousd",
)  # fmt: skip
_draw = random.Random()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_draw.seed)
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode


def new_call_id() -> str:
    """A new id: 32 lower-case hexadecimal digits, of which 16 are the time and 16 random.

    Ids sort by the time they were made at (nanoseconds since 1970, as far as the clock goes), as text in any
    collation. They are unique, not secret: the random half comes from a generator that the system seeds, anew in
    each forked process, for asking the system at every call was a twentieth of a quick answer's time.
    """
    return f"{time.time_ns():016x}{_draw.getrandbits(64):016x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call that was answered, forwarded or failed.

    Attributes
    ----------
    id
        Unique; see :func:`new_call_id`. The database keeps one row per id, however often it is given.
    time_ms
        When the call came in, milliseconds since 1970, UTC.
    answered_by
        ``student``, ``upstream``, ``uncertified`` (a student's answer that no certificate covers) or
        ``failed``.
    mode
        ``serve``, ``shadow`` (upstream answers, the student is compared) or ``record`` (upstream only).
    status
        HTTP status of the answer.
    latency_us
        From the request read to the answer sent, microseconds.
    task, model
        The task that the call was matched to; the model's name as requested.
    rung, confidence, artefact_id
        The student's rung, its confidence in [0, 1], the artefact that answered or was asked.
    input_tokens, output_tokens, cached_tokens
        Tokens; those from cache are part of the input's.
    cost_nanousd, teacher_cost_nanousd
        What the call did cost, and what it would have cost at the teacher, in nano-dollars (1e-9 USD).
    is_streamed
        Whether the answer was sent as a stream.
    is_agreeing
        In shadow mode whether the student's answer equals the upstream's; ``None`` where not compared. A call that
        is audited afterwards gets it from the audit.
    key_name
        The name of the API key, never the key.
    error
        A short word for machines (``upstream_timeout``), never a user's text.
    request, response, student_answer
        JSON texts, only where texts are kept; the last is what the student said where upstream answered and the
        two were compared.

    Raises
    ------
    RecordRefusedError
        If a number is negative or above :data:`MAX_COUNT`, a name longer than :data:`MAX_NAME_CHARACTERS`, or
        a value of the wrong type. What does not fit must be found here: in the spool it would be too late.
    """

    id: str
    time_ms: int
    answered_by: AnsweredBy
    mode: Mode
    status: int
    latency_us: int
    task: str | None = None
    model: str | None = None
    rung: str | None = None
    confidence: float | None = None
    artefact_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_nanousd: int | None = None
    teacher_cost_nanousd: int | None = None
    is_streamed: bool = False
    is_agreeing: bool | None = None
    key_name: str | None = None
    error: str | None = None
    request: str | None = None
    response: str | None = None
    student_answer: str | None = None

    def __post_init__(self) -> None:
        _check_name("id", self.id)
        if not self.id:
            raise _refused("id", "is empty")
        for name in _NAMES:
            _check_name(name, getattr(self, name))
        for name in _TEXTS:
            value = getattr(self, name)
            if value is not None and type(value) is not str:
                raise _refused(name, f"is no text but {type(value).__name__}")
        for name in _COUNTS:
            _check_count(name, getattr(self, name))
        for name in _OPTIONAL_COUNTS:
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name))
        if self.answered_by not in ANSWERERS:
            raise _refused("answered_by", f"is none of {', '.join(ANSWERERS)}")
        if self.mode not in MODES:
            raise _refused("mode", f"is none of {', '.join(MODES)}")
        if type(self.is_streamed) is not bool or type(self.is_agreeing) not in (bool, type(None)):
            raise _refused("is_streamed or is_agreeing", "is no truth value")
        _check_confidence(self.confidence)

    def to_json(self) -> str:
        """One compact line of JSON without a line break; what is ``None`` is left out."""
        given = {name: value for name in FIELD_NAMES if (value := getattr(self, name)) is not None}
        return _encode(given)

    @classmethod
    def from_json(cls, line: str | bytes) -> CallRecord:
        """The record of a line of :meth:`to_json`.

        Raises
        ------
        RecordRefusedError
            If it is no such line; a field that this version does not know is one reason.
        """
        try:
            text = line.decode("utf-8", "surrogatepass") if isinstance(line, bytes) else line
            given: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordRefusedError("a record is not JSON", given=type(error).__name__) from None
        if not isinstance(given, dict):
            raise RecordRefusedError("a record is not a JSON object", given=type(given).__name__)
        unknown = given.keys() - set(FIELD_NAMES)
        missing = _REQUIRED - given.keys()
        if unknown or missing:
            raise RecordRefusedError(
                "a record's fields are not those of this version",
                given=f"{len(unknown)} unknown, missing: {', '.join(sorted(missing)) or 'none'}",
                todo="read it with the version of understudy that wrote it",
            )
        return cls(**given)


FIELD_NAMES: Final = tuple(field.name for field in fields(CallRecord))
_REQUIRED = frozenset({"id", "time_ms", "answered_by", "mode", "status", "latency_us"})


def _refused(name: str, why: str) -> RecordRefusedError:
    return RecordRefusedError(f"a call cannot be recorded: its {name} {why}")


def _check_name(name: str, value: object) -> None:
    if value is None and name != "id":
        return
    if not isinstance(value, str):
        raise _refused(name, f"is no text but {type(value).__name__}")
    if len(value) > MAX_NAME_CHARACTERS:
        raise _refused(name, f"has {len(value):,} characters, more than {MAX_NAME_CHARACTERS}")


def _check_count(name: str, value: object) -> None:
    if type(value) is not int:
        raise _refused(name, f"is no whole number but {type(value).__name__}")
    if not 0 <= value <= MAX_COUNT:
        raise _refused(name, "is below 0 or above 2**63 - 1")


def _check_confidence(value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused("confidence", f"is no number but {type(value).__name__}")
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise _refused("confidence", "is not between 0 and 1")
