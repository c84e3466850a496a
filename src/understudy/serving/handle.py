"""The way of one call: understand it, let a student answer, else forward it; write it down; reply.

A reply is only sent once its row is in the spool. What goes wrong after a call was accepted is written down too.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Literal

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from understudy.calls.call import InputParts
from understudy.runtime.answer import Answer
from understudy.serving.answering import Answerer, best_guess
from understudy.serving.audit import Auditor
from understudy.serving.auth import Keys
from understudy.serving.forward import Forwarder, until_gone
from understudy.serving.in_work import CallInWork, reply_headers
from understudy.serving.likelihood import logprobs_of
from understudy.serving.live_reply import LiveReplier
from understudy.serving.problems import RequestProblem
from understudy.serving.registry import NAME_PREFIX, Found, Registry, ServedTask
from understudy.serving.requests import Asked, parse_body, read_request
from understudy.serving.settings import ServeSettings
from understudy.serving.spoken import Spoken, speak
from understudy.serving.upstream import NEVER_SENT
from understudy.serving.watch import Watch
from understudy.serving.wire_chat import chat_chunks, chat_completion
from understudy.serving.wire_responses import response_events, response_object
from understudy.serving.written import can_be_live, can_be_written, measured

__all__ = ["Handler"]

_JSON_PATHS = ("chat/completions", "responses", "completions", "embeddings")
_NO_GUESS = (401, 402, 403, 499)


@dataclass(frozen=True, slots=True)
class Handler:
    """Handles calls; see the module.

    Attributes
    ----------
    settings, registry, forwarder, answerer, live_replier, keys, auditor, watch
        What it works with.
    """

    settings: ServeSettings
    registry: Registry
    forwarder: Forwarder
    answerer: Answerer
    live_replier: LiveReplier
    keys: Keys
    auditor: Auditor
    watch: Watch

    async def call(self, request: Request, path: str) -> Response:
        """One POST to ``/v1/path``.

        Raises
        ------
        RequestProblem
            For everything that the client has to be told.
        """
        began_ns = time.time_ns()
        try:
            call = await self._accept(request, path)
        except RequestProblem as problem:
            if self.watch.tracing is not None:
                span = self.watch.tracing.begin(path, request.headers, None, began_ns)
                span.fail(problem.code, problem.status)
            raise
        if self.watch.tracing is not None:
            call.span = self.watch.tracing.begin(path, request.headers, call.model, began_ns)
        try:
            return await self._answer(request, call)
        except BaseException as error:
            self.watch.broke(call, error)
            raise

    async def _accept(self, request: Request, path: str) -> CallInWork:
        key = self.keys.check(request.headers.get("authorization"))
        data = await self.body(request)
        body = parse_body(data) if path in _JSON_PATHS else None
        asked = read_request(path, body)
        found = self._find(asked)
        self.keys.check_task(key, None if found is None else found.task.name)
        return CallInWork(path=path, data=data, body=body, asked=asked, found=found, key=key)

    async def _answer(self, request: Request, call: CallInWork) -> Response:
        reply = await self._student_reply(request, call)
        if reply is not None:
            return reply
        try:
            forwarded = await self.forwarder.begin(request, call)
        except RequestProblem as problem:
            guess = await self._guess(call, problem)
            if guess is not None:
                return guess
            if problem.code in NEVER_SENT:
                call.cost_nanousd = 0  # known: nothing reached anybody who could bill it
            await self.forwarder.fail(call, problem.code, problem.status)
            raise
        return await self.forwarder.reply(request, call, forwarded)

    def _find(self, asked: Asked | None) -> Found | None:
        if asked is None or self.settings.mode == "record":
            return None
        found = self.registry.current.find(asked)
        if found is None and (asked.model or "").startswith(NAME_PREFIX):
            raise RequestProblem(404, "model_not_found", "There is no learnt task of this name.")
        return found

    async def body(self, request: Request) -> bytes:
        """The body of a request, within the limits of size and time.

        Raises
        ------
        RequestProblem
            413, 408, or 499 if the client left.
        """
        pieces, size, most = [], 0, self.settings.body_bytes
        try:
            async with asyncio.timeout(self.settings.body_s):
                async for piece in request.stream():
                    size += len(piece)
                    if size > most:
                        raise RequestProblem(413, "request_too_large", f"A request may have {most:,} bytes.")
                    pieces.append(piece)
        except TimeoutError as error:
            raise RequestProblem(408, "request_timeout", "The request took too long to arrive.") from error
        except ClientDisconnect as error:
            raise RequestProblem(
                499, "client_left", "The client left before its request was there."
            ) from error
        return b"".join(pieces)

    async def _student_reply(self, request: Request, call: CallInWork) -> Response | None:
        """The student's reply, written down or (one that is still being written) to be; ``None``: the call goes on."""
        asked, found = call.asked, call.found
        if asked is None or found is None or asked.blocker is not None or found.parts is None:
            return None
        if asked.n_logprobs is not None and not found.task.has_logprobs:
            return None
        if not can_be_written(asked, found.task):
            return None
        if self.settings.mode == "serve" and can_be_live(asked, found):

            def audit() -> None:
                self.auditor.consider(call, request.headers)

            return await self.live_replier.reply(request, call, asked, found, audit)
        answer = call.answer = await self._answered(request, call, found.task, found.parts)
        if self.settings.mode != "serve" or not answer.is_answered:
            return None
        spoken = await self._spoken(answer.value, call, asked, found)
        if spoken is None:
            return None
        call.cost_nanousd = found.task.student_nanousd
        call.teacher_nanousd = found.task.teacher_nanousd
        reply = await self._local(call, asked, found, spoken, "student")
        self.auditor.consider(call, request.headers)
        return reply

    async def _answered(
        self, request: Request, call: CallInWork, task: ServedTask, parts: InputParts
    ) -> Answer:
        """The student's answer; one that takes its time does not wait for a turn once its client has left."""
        if not task.is_writer:
            return await self.answerer.answer(task, parts)
        try:
            return await until_gone(request, self.answerer.answer(task, parts))
        except RequestProblem as problem:
            await self.forwarder.fail(call, problem.code, problem.status)
            raise

    async def _spoken(self, value: object, call: CallInWork, asked: Asked, found: Found) -> Spoken | None:
        """The value as the request wants it, with its log-probabilities if they are asked for."""
        name = f"understudy-{found.task.artefact_id}"
        spoken = speak(value, asked, call.id, name)
        if spoken is not None and found.parts is not None and call.answer is not None:
            spoken = measured(spoken, asked, found.task, found.parts, call.answer)
        if spoken is None or asked.n_logprobs is None or found.parts is None:
            return spoken
        chances = await self.answerer.chances(found.task, found.parts)
        if chances is None or spoken.tool is not None or asked.stops:
            return None

        def said(one: object) -> str | None:
            words = speak(one, asked, call.id, name)
            return None if words is None else words.text

        logprobs = logprobs_of(spoken.text, chances, said, asked.n_logprobs)
        return None if logprobs is None else replace(spoken, logprobs=logprobs)

    async def _guess(self, call: CallInWork, problem: RequestProblem) -> Response | None:
        """An uncertified answer, where the operator wants one rather than none."""
        asked, found, answer = call.asked, call.found, call.answer
        if self.settings.when_alone != "answer" or problem.status in _NO_GUESS:
            return None
        if asked is None or found is None or answer is None:
            return None
        spoken = await self._spoken(best_guess(found.task, answer), call, asked, found)
        if spoken is None:
            return None
        call.error = problem.code
        # Whoever was asked before and fell silent may bill for it.
        call.cost_nanousd = found.task.student_nanousd if problem.code in NEVER_SENT else None
        return await self._local(call, asked, found, spoken, "uncertified")

    async def _local(
        self,
        call: CallInWork,
        asked: Asked,
        found: Found,
        spoken: Spoken,
        by: Literal["student", "uncertified"],
    ) -> Response:
        model = call.model or found.task.name
        is_chat = asked.api == "chat"
        whole = (
            chat_completion(spoken, model, asked.n) if is_chat else response_object(spoken, model, asked.body)
        )
        headers = reply_headers(call, by) if self.settings.has_headers else {}
        await self.forwarder.recorder.record(call, by, 200, whole)
        if not asked.is_streamed:
            return JSONResponse(whole, headers=headers)
        events = (
            chat_chunks(spoken, model, asked.n, has_usage=asked.has_usage)
            if is_chat
            else response_events(spoken, model, asked.body)
        )
        headers["cache-control"] = "no-cache"
        return Response(b"".join(events), media_type="text/event-stream", headers=headers)
