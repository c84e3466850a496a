"""Asks upstream about a share of the calls that students answered, afterwards, to see whether the two agree.

The caller has its answer already, and never waits for this. What is asked is paid: the cost goes to the call's row
and to the caller's budget, and a call whose key has spent its money is not audited. Which calls are audited is drawn
at random, whatever was answered; only where too many wait is one left out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Mapping
from typing import Any, Final

from understudy.calls.call import Usage
from understudy.ledger.audit import AuditRecord
from understudy.serving.budget import Budgets
from understudy.serving.client import ClientError
from understudy.serving.compare import agrees
from understudy.serving.events import tell, where_it_broke
from understudy.serving.forward import listed_price
from understudy.serving.in_work import CallInWork
from understudy.serving.problems import RequestProblem
from understudy.serving.recorder import Recorder, usage_of_reply
from understudy.serving.relay import reply_json
from understudy.serving.upstream import NEVER_SENT, Forwarded, Upstreams

__all__ = ["Auditor"]

_MOST_AT_ONCE: Final = 16
_SENT_HEADERS = ("authorization", "openai-organization", "openai-project")


class Auditor:
    """Audits answers of students.

    Parameters
    ----------
    share
        Share of answers that is audited, in [0, 1].
    upstreams, budgets, recorder
        Whom to ask, what may be spent, where it is written.
    draw
        Chooses.
    """

    def __init__(
        self,
        share: float,
        upstreams: Upstreams,
        budgets: Budgets,
        recorder: Recorder,
        draw: random.Random | None = None,
    ) -> None:
        self._share = share
        self._upstreams, self._budgets, self._recorder = upstreams, budgets, recorder
        self._draw = draw or random.SystemRandom()
        self._running: set[asyncio.Task[None]] = set()

    def consider(self, call: CallInWork, headers: Mapping[str, str]) -> None:
        """Audit a call that a student has answered, or not: begins it and returns at once."""
        if not self._share or not self._upstreams or self._draw.random() >= self._share:
            return
        if len(self._running) >= _MOST_AT_ONCE:
            return
        begun = asyncio.create_task(self._audit(call, dict(headers)))
        self._running.add(begun)
        begun.add_done_callback(self._running.discard)

    async def finish(self, timeout_s: float = 5.0) -> None:
        """Wait for what runs, and give up what takes longer."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)
        for one in list(self._running):
            one.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _audit(self, call: CallInWork, headers: Mapping[str, str]) -> None:
        time_ms = time.time_ns() // 1_000_000
        body = _question(call)
        try:
            self._budgets.check(call.key)
        except RequestProblem:
            return  # nobody is asked, so nothing is written down
        if body is None:
            return
        try:
            record = await self._asked(call, body, headers, time_ms)
        except RequestProblem as problem:
            if problem.code in NEVER_SENT:
                return
            # It may have been answered and billed: what it cost is unknown.
            record = AuditRecord(call_id=call.id, time_ms=time_ms, status=problem.status, error=problem.code)
        except asyncio.CancelledError:
            # The server ends while upstream is at it: whether that will be billed is unknown too.
            record = AuditRecord(call_id=call.id, time_ms=time_ms, status=499, error="server_ended")
        except Exception:
            # The caller has its answer: nothing more may come of this.
            tell(logging.ERROR, "audit_broke", where=where_it_broke())
            record = AuditRecord(call_id=call.id, time_ms=time_ms, status=500, error="internal_error")
        try:
            await self._recorder.record_audit(record)
        except RequestProblem:
            tell(logging.ERROR, "audit_not_recorded", call=call.id)

    async def _asked(
        self, call: CallInWork, body: bytes, headers: Mapping[str, str], time_ms: int
    ) -> AuditRecord:
        sent = {name: value for name, value in headers.items() if name in _SENT_HEADERS}
        sent["content-type"] = "application/json"
        forwarded = await self._upstreams.send("POST", call.path, b"", sent, body)
        status, said = await _read(forwarded)
        usage = usage_of_reply(said) or Usage()
        if status >= 400 or said is None:
            # A refusal costs nothing; what a failure inside the upstream costs is unknown.
            refused_nanousd = 0 if 400 <= status < 500 and forwarded.is_cost_known else None
            return AuditRecord(
                call_id=call.id,
                time_ms=time_ms,
                status=status,
                cost_nanousd=refused_nanousd,
                error=f"upstream_{status}",
            )
        price = forwarded.upstream.price or listed_price(call, said)
        cost_nanousd = None if price is None else price.cost_nanousd(usage)
        self._budgets.spend(None if call.key is None else call.key.name, cost_nanousd)
        if not forwarded.is_cost_known:
            cost_nanousd = None
        assert call.task is not None, "a student answered"
        assert call.answer is not None, "a student answered"
        return AuditRecord(
            call_id=call.id,
            time_ms=time_ms,
            status=status,
            is_agreeing=agrees(call.task, call.answer, call.body, said),
            cost_nanousd=cost_nanousd,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            **self._recorder.audit_texts(call, said),
        )


def _question(call: CallInWork) -> bytes | None:
    """The request for upstream: whole, not streamed, once; ``None`` if nobody knows whom to ask."""
    body = {name: value for name, value in call.body.items() if name not in ("stream", "stream_options", "n")}
    if call.found is not None and call.found.is_named:
        if call.found.task.teacher_model is None:
            return None
        body["model"] = call.found.task.teacher_model
    return json.dumps(body).encode("ascii")


async def _read(forwarded: Forwarded) -> tuple[int, Any]:
    """Status and parsed body of a whole reply."""
    try:
        content = await forwarded.reply.read()
    except ClientError as error:
        raise RequestProblem(502, "upstream_broken", "The upstream model's reply broke off.") from error
    finally:
        forwarded.reply.close()
    return forwarded.reply.status, reply_json(content, forwarded.reply.headers.get("content-type", ""))
