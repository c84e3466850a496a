"""Writes calls into the ledger before their answers are acknowledged."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from understudy.calls.call import Usage
from understudy.ledger.audit import AuditRecord
from understudy.ledger.errors import LedgerError
from understudy.ledger.group_commit import GroupCommit
from understudy.ledger.masking import mask_json
from understudy.ledger.record import AnsweredBy, CallRecord
from understudy.serving.compare import student_output
from understudy.serving.in_work import CallInWork
from understudy.serving.metrics import Metrics
from understudy.serving.problems import RequestProblem
from understudy.serving.settings import LedgerSettings, Mode
from understudy.serving.watch import Watch

__all__ = ["Recorder", "usage_of_reply"]

_LONGEST_NAME = 200


class Recorder:
    """Appends rows to the spool.

    Parameters
    ----------
    commit
        Group commit over the spool.
    settings
        Whether texts are kept and masked.
    mode
        Of the server.
    metrics
        Counts what is recorded.
    watch
        Is told of it.
    """

    def __init__(
        self, commit: GroupCommit, settings: LedgerSettings, mode: Mode, metrics: Metrics, watch: Watch
    ) -> None:
        self._commit, self._settings, self._mode, self._metrics = commit, settings, mode, metrics
        self._watch = watch

    async def record(self, call: CallInWork, by: AnsweredBy, status: int, reply: Any = None) -> None:
        """Write the call down; when this returns, it survives the end of the process.

        Raises
        ------
        RequestProblem
            503 if it cannot be written: then it must not be acknowledged.
        """
        usage = call.usage or Usage()
        record = CallRecord(
            id=call.id,
            time_ms=call.time_ms,
            answered_by=by,
            mode=self._mode,
            status=status,
            latency_us=int((time.perf_counter() - call.started_s) * 1e6),
            task=_name(None if call.task is None else call.task.name),
            model=_name(call.model),
            rung=_name(None if call.answer is None else call.answer.rung),
            confidence=None if call.answer is None else min(max(float(call.answer.confidence), 0.0), 1.0),
            artefact_id=_name(None if call.task is None else call.task.artefact_id),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            cost_nanousd=call.cost_nanousd,
            teacher_cost_nanousd=call.teacher_nanousd,
            is_streamed=call.is_streamed,
            is_agreeing=call.is_agreeing,
            key_name=_name(None if call.key is None else call.key.name),
            error=_name(call.error),
            **self._texts(call, reply),
        )
        try:
            await self._commit.append(record)
        except LedgerError as error:
            self._metrics.ledger_failures += 1
            problem = RequestProblem(
                503, "ledger_unavailable", "The call could not be written down, so it was not answered.",
                retry_after_s=5,
            )  # fmt: skip
            self._watch.lost(call, problem)
            raise problem from error
        self._metrics.count(record)
        self._watch.recorded(call, record)

    async def record_audit(self, record: AuditRecord) -> None:
        """Write an audit down.

        Raises
        ------
        RequestProblem
            503 if it cannot be written.
        """
        try:
            await self._commit.append(record)
        except LedgerError as error:
            self._metrics.ledger_failures += 1
            raise RequestProblem(503, "ledger_unavailable", "The audit could not be written down.") from error
        self._metrics.count_audit(record)

    def audit_texts(self, call: CallInWork, reply: Any) -> dict[str, Any]:
        """Upstream's answer and the student's, as an audit keeps them."""
        if not self._settings.keeps_texts or call.task is None or call.answer is None:
            return {}
        show = mask_json if self._settings.is_masked else (lambda value: value)
        student = student_output(call.task, call.answer)
        return {"response": _json(show(reply)), "student_answer": _json(show(student))}

    def _texts(self, call: CallInWork, reply: Any) -> dict[str, str | None]:
        if not self._settings.keeps_texts or call.body is None:
            return {}
        show = mask_json if self._settings.is_masked else (lambda value: value)
        texts = {"request": _json(show(call.body)), "response": None if reply is None else _json(show(reply))}
        # Kept where it was compared: for whoever has to say which of the two is right.
        if call.is_agreeing is not None and call.task is not None and call.answer is not None:
            texts["student_answer"] = _json(show(student_output(call.task, call.answer)))
        return texts


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _name(text: str | None) -> str | None:
    return None if text is None else text[:_LONGEST_NAME]


def usage_of_reply(reply: Any) -> Usage | None:
    """Token counts of a chat, completions, embeddings or Responses reply; ``None`` without any."""
    given = reply.get("usage") if isinstance(reply, Mapping) else None
    if not isinstance(given, Mapping):
        return None
    details = given.get("prompt_tokens_details") or given.get("input_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    read = given.get("prompt_tokens", given.get("input_tokens"))
    written = given.get("completion_tokens", given.get("output_tokens"))
    if written is None and "total_tokens" in given and given["total_tokens"] == read:
        written = 0  # embeddings write nothing
    return Usage(_count(read), _count(written), _count(cached))


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62
    return value if is_count else None
