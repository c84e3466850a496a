"""One call on its way: what was asked, what is known so far, and the headers that tell the client."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from understudy.calls.call import Usage
from understudy.ledger.record import new_call_id
from understudy.runtime.answer import Answer
from understudy.serving.registry import Found, ServedTask
from understudy.serving.requests import Asked
from understudy.serving.settings import KeySettings

if TYPE_CHECKING:
    from understudy.serving.tracing import CallSpan

__all__ = ["CallInWork", "reply_headers"]


@dataclass(slots=True)
class CallInWork:
    """What is known of a call; the recorder turns it into a row.

    Attributes
    ----------
    path
        Without ``/v1/``.
    data, body
        The request's bytes, and its parsed JSON if it is any.
    asked, found, key
        The request as understood, the task it belongs to, whose key it came with; ``None`` where there is none.
    answer
        The student's, once it was asked.
    is_agreeing
        In shadow mode, whether the student says what the upstream said.
    usage, cost_nanousd, teacher_nanousd
        Tokens, cost, and what it would have cost at the teacher; ``None`` for unknown.
    error
        A short word for machines.
    span
        For the tracer, where there is one.
    is_recorded
        Whether it has its row.
    id, started_s, time_ms
        Of the ledger's row; when it began, on the monotonic clock and as Unix time.
    """

    path: str
    data: bytes
    body: Any
    asked: Asked | None
    found: Found | None
    key: KeySettings | None
    answer: Answer | None = None
    is_agreeing: bool | None = None
    usage: Usage | None = None
    cost_nanousd: int | None = None
    teacher_nanousd: int | None = None
    error: str | None = None
    span: CallSpan | None = None
    is_recorded: bool = False
    id: str = field(default_factory=new_call_id)
    started_s: float = field(default_factory=time.perf_counter)
    time_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    @property
    def task(self) -> ServedTask | None:
        """The task it belongs to."""
        return None if self.found is None else self.found.task

    @property
    def model(self) -> str | None:
        """The model's name as asked for."""
        name = self.body.get("model") if isinstance(self.body, Mapping) else None
        return name if isinstance(name, str) else None

    @property
    def is_streamed(self) -> bool:
        """Whether the reply is to be a stream."""
        return isinstance(self.body, Mapping) and self.body.get("stream") is True


def reply_headers(call: CallInWork, by: str) -> dict[str, str]:
    """The headers that say who answered, how sure, and what it saved.

    Parameters
    ----------
    call
        The call.
    by
        ``student``, ``upstream`` or ``uncertified``.
    """
    out = {"x-understudy-answered-by": by, "x-understudy-call": call.id}
    if call.task is not None:
        out["x-understudy-task"] = _ascii(call.task.name)
        out["x-understudy-artefact"] = call.task.artefact_id
    if call.answer is not None:
        out["x-understudy-confidence"] = f"{call.answer.confidence:.6f}"
        out["x-understudy-rung"] = _ascii(call.answer.rung)
    if by == "student" and call.cost_nanousd is not None and call.teacher_nanousd is not None:
        out["x-understudy-saved-usd"] = f"{(call.teacher_nanousd - call.cost_nanousd) / 1e9:.9f}"
    if by == "uncertified":
        out["x-understudy-certified"] = "false"
    return out


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
