"""Who is told about each call: the access log and the tracer, each only where the operator asked for it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from understudy.ledger.record import CallRecord
from understudy.serving.events import ACCESS, tell
from understudy.serving.problems import RequestProblem

if TYPE_CHECKING:
    from understudy.serving.in_work import CallInWork
    from understudy.serving.tracing import Tracing

__all__ = ["Watch"]


@dataclass(frozen=True, slots=True)
class Watch:
    """What is told about calls.

    Attributes
    ----------
    tracing
        Makes spans, or ``None``.
    has_access_log
        Whether each call is a line in the log.
    """

    tracing: Tracing | None = None
    has_access_log: bool = False

    def recorded(self, call: CallInWork, record: CallRecord) -> None:
        """The call has its row."""
        call.is_recorded = True
        if call.span is not None:
            call.span.end(record)
        if self.has_access_log:
            tell(
                logging.INFO,
                "call",
                logger=ACCESS,
                call=record.id,
                task=record.task,
                answered_by=record.answered_by,
                status=record.status,
                latency_ms=record.latency_us / 1000,
                key=record.key_name,
                error=record.error,
            )

    def lost(self, call: CallInWork, problem: RequestProblem) -> None:
        """The call's row could not be written."""
        tell(logging.ERROR, "call_not_recorded", call=call.id)
        if call.span is not None:
            call.span.fail(problem.code, problem.status)

    def refused(self, problem: RequestProblem) -> None:
        """A request ended without a row: it was refused at the door, or its row could not be written."""
        if self.has_access_log:
            tell(logging.INFO, "refused", logger=ACCESS, status=problem.status, error=problem.code)

    def passed(self, status: int) -> None:
        """A request that is no call (a list, a deletion) was passed through."""
        if self.has_access_log:
            tell(logging.INFO, "passed", logger=ACCESS, status=status)

    def broke(self, call: CallInWork, error: BaseException) -> None:
        """The call ended by an error, with or without a row."""
        if isinstance(error, RequestProblem):
            error.is_told = call.is_recorded
        if call.span is None:
            return
        if isinstance(error, RequestProblem):
            call.span.fail(error.code, error.status)
        elif isinstance(error, asyncio.CancelledError):
            call.span.fail("cancelled", 499)
        else:
            call.span.fail("internal_error", 500)
