"""Sends a call to the upstream and passes its reply on: whole or streamed, costed, compared, written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from understudy.calls.call import Usage
from understudy.economics.nano import NanoPrice, listed_nano_price
from understudy.serving.budget import Budgets
from understudy.serving.client import ClientError
from understudy.serving.compare import agrees
from understudy.serving.in_work import CallInWork, reply_headers
from understudy.serving.problems import RequestProblem
from understudy.serving.recorder import Recorder, usage_of_reply
from understudy.serving.relay import StreamNotes, events_of, reply_json
from understudy.serving.settings import ServeSettings
from understudy.serving.upstream import Forwarded, Upstreams

__all__ = ["Forwarder", "listed_price", "until_gone"]

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Forwarder:
    """The way of a call that goes upstream.

    Attributes
    ----------
    settings, upstreams, recorder, budgets
        What it works with.
    ending
        Streams that are over and whose row is being written.
    """

    settings: ServeSettings
    upstreams: Upstreams
    recorder: Recorder
    budgets: Budgets
    ending: set[asyncio.Task[None]] = field(default_factory=set)

    async def finish(self) -> None:
        """Wait until every stream has its row."""
        await asyncio.gather(*self.ending, return_exceptions=True)

    async def begin(self, request: Request, call: CallInWork) -> Forwarded:
        """The upstream's reply, once it has begun; nothing is written down yet.

        Raises
        ------
        RequestProblem
            If nobody can be asked, nobody answers, the caller has spent its money, or the client left.
        """
        if not self.upstreams:
            raise _nobody(call)
        self.budgets.check(call.key)
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = request.url.query.encode()
        body = _sent(call)
        if call.span is not None:
            headers = call.span.ask_upstream(headers, call, self.upstreams.members[0].settings.url)
        return await until_gone(request, self.upstreams.send("POST", call.path, query, headers, body))

    async def reply(self, request: Request, call: CallInWork, forwarded: Forwarded) -> Response:
        """The reply for the client.

        Raises
        ------
        RequestProblem
            If it breaks off, the client leaves, or it cannot be written down.
        """
        if "text/event-stream" not in forwarded.reply.headers.get("content-type", ""):
            return await self._whole(request, call, forwarded)
        status = forwarded.reply.status
        return StreamingResponse(
            self._events(call, forwarded), status_code=status, headers=self._headers(call, forwarded)
        )

    def _headers(self, call: CallInWork, forwarded: Forwarded) -> dict[str, str]:
        own = reply_headers(call, "upstream") if self.settings.has_headers else {}
        return {**forwarded.headers(), **own}

    async def _whole(self, request: Request, call: CallInWork, forwarded: Forwarded) -> Response:
        reply = forwarded.reply
        try:
            content = await until_gone(request, reply.read())
        except ClientError as error:
            await self.fail(call, "upstream_broken", 502)
            raise RequestProblem(502, "upstream_broken", "The upstream model's reply broke off.") from error
        except RequestProblem as problem:
            await self.fail(call, problem.code, problem.status)
            raise
        finally:
            reply.close()
        said = reply_json(content, reply.headers.get("content-type", ""))
        is_good = reply.status < 400
        call.error = None if is_good else f"upstream_{reply.status}"
        self._note(call, forwarded, usage_of_reply(said), said)
        await self.recorder.record(call, "upstream" if is_good else "failed", reply.status, said)
        return Response(content, status_code=reply.status, headers=self._headers(call, forwarded))

    async def fail(self, call: CallInWork, code: str, status: int) -> None:
        """Write down that nobody answered."""
        call.error = code
        await self.recorder.record(call, "failed", status)

    def _note(self, call: CallInWork, forwarded: Forwarded, usage: Usage | None, said: Any) -> None:
        """What the call cost, and in shadow mode whether the student agrees."""
        call.usage = usage
        if call.span is not None:
            url, status = forwarded.upstream.settings.url, forwarded.reply.status
            call.span.upstream_answered(url, status, usage, said, call.error)
        if forwarded.reply.status < 400:
            price = forwarded.upstream.price or listed_price(call, said)
            cost_nanousd = call.teacher_nanousd = None if price is None else price.cost_nanousd(usage)
            call.cost_nanousd = cost_nanousd if forwarded.is_cost_known else None
            self.budgets.spend(None if call.key is None else call.key.name, cost_nanousd)
        is_compared = self.settings.mode == "shadow" and said is not None
        if is_compared and call.task is not None and call.answer is not None:
            call.is_agreeing = agrees(call.task, call.answer, call.body, said)

    async def _events(self, call: CallInWork, forwarded: Forwarded) -> AsyncIterator[bytes]:
        notes, held, code = StreamNotes(), b"", "client_left"
        try:
            try:
                async for event in events_of(forwarded.reply):
                    notes.read(event)
                    if held:
                        yield held
                    held = event
                code = "" if notes.has_ended else "upstream_broken"
            except ClientError:
                code = "upstream_broken"
        finally:
            # Also when the client left: the upstream's work was done and is to be paid. Shielded, so that the
            # cancellation that ends this stream does not take the row with it.
            end = asyncio.create_task(self._end_stream(call, forwarded, notes, code))
            self.ending.add(end)
            end.add_done_callback(self.ending.discard)
            await asyncio.shield(end)
        if held:
            yield held

    async def _end_stream(
        self, call: CallInWork, forwarded: Forwarded, notes: StreamNotes, code: str
    ) -> None:
        forwarded.reply.close()
        said = notes.as_reply()
        call.error = code or None
        self._note(call, forwarded, notes.usage, said)
        status = forwarded.reply.status if not code else 499 if code == "client_left" else 502
        is_good = not code and status < 400
        await self.recorder.record(call, "upstream" if is_good else "failed", status, said)


def listed_price(call: CallInWork, said: Any) -> NanoPrice | None:
    """The list price of the model that says it answered, else of the one that was asked for."""
    named = said.get("model") if isinstance(said, Mapping) else None
    return listed_nano_price(named or call.model) or listed_nano_price(call.model)


async def until_gone(request: Request, work: Awaitable[Made]) -> Made:
    """The result of `work`, which is cancelled when the client leaves.

    Raises
    ------
    RequestProblem
        499 when it did.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise RequestProblem(499, "client_left", "The client left before it was answered.")
    finally:
        for one in (task, watcher):
            if not one.done():
                one.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        if not task.done():
            await asyncio.gather(task, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _nobody(call: CallInWork) -> RequestProblem:
    if call.found is None:
        return RequestProblem(
            404, "model_not_found", "No learnt task fits this request, and no upstream is set."
        )
    return RequestProblem(
        503, "nobody_to_ask", "The student is unsure and no upstream is set that could answer instead."
    )


def _sent(call: CallInWork) -> bytes:
    """The request as it came, but for a task's name, which means nothing upstream: there the teacher's stands."""
    if call.found is None or not call.found.is_named:
        return call.data
    if call.found.task.teacher_model is None:
        raise RequestProblem(
            503, "teacher_unknown", "The student is unsure, and it is not known which model to ask instead."
        )
    # In ASCII: what no UTF-8 can hold (half a surrogate pair) goes on as the caller escaped it.
    return json.dumps({**call.body, "model": call.found.task.teacher_model}).encode("ascii")
