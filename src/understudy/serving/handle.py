"""The way of one call: understand it, let a student answer, else forward it; write it down; reply.

A reply is only sent once its row is in the spool. What goes wrong after a call was accepted is written down too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from understudy.runtime.answer import Answer
from understudy.serving.answering import Answerer, best_guess
from understudy.serving.auth import Keys
from understudy.serving.budget import Budgets
from understudy.serving.compare import agrees
from understudy.serving.money import call_nanousd, listed_price
from understudy.serving.problems import RequestProblem
from understudy.serving.recorder import CallInWork, Recorder, usage_of_reply
from understudy.serving.registry import Found, Registry
from understudy.serving.relay import StreamNotes, events_of, reply_json
from understudy.serving.requests import Asked, parse_body, read_request
from understudy.serving.settings import KeySettings, ServeSettings
from understudy.serving.spoken import Spoken, speak
from understudy.serving.upstream import Forwarded, Upstreams
from understudy.serving.wire_chat import chat_chunks, chat_completion
from understudy.serving.wire_responses import response_events, response_object

__all__ = ["Handler"]

Made = TypeVar("Made")
_JSON_PATHS = ("chat/completions", "responses", "completions", "embeddings")


@dataclass(frozen=True, slots=True)
class Handler:
    """Handles calls; see the module.

    Attributes
    ----------
    settings, registry, upstreams, answerer, recorder, keys, budgets
        What it works with.
    """

    settings: ServeSettings
    registry: Registry
    upstreams: Upstreams
    answerer: Answerer
    recorder: Recorder
    keys: Keys
    budgets: Budgets

    async def call(self, request: Request, path: str) -> Response:
        """One POST to ``/v1/path``.

        Raises
        ------
        RequestProblem
            For everything that the client has to be told.
        """
        key = self.keys.check(request.headers.get("authorization"))
        data = await self._body(request)
        body = parse_body(data) if path in _JSON_PATHS else None
        asked = read_request(path, body)
        found = None if asked is None or self.settings.mode == "record" else self.registry.current.find(asked)
        if found is None and asked is not None and _names_a_task(asked) and self.settings.mode != "record":
            raise RequestProblem(404, "model_not_found", "There is no learnt task of this name.")
        self.keys.check_task(key, None if found is None else found.task.name)
        call = CallInWork(
            body=body,
            model=body.get("model")
            if isinstance(body, Mapping) and isinstance(body.get("model"), str)
            else None,
            key_name=None if key is None else key.name,
            is_streamed=asked is not None and asked.is_streamed,
            task=None if found is None else found.task,
        )
        if asked is not None and found is not None:
            reply = await self._student_reply(call, asked, found)
            if reply is not None:
                return reply
        return await self._forwarded_reply(request, call, asked, found, key, path, data)

    async def _body(self, request: Request) -> bytes:
        pieces, size = [], 0
        try:
            async with asyncio.timeout(self.settings.body_s):
                async for piece in request.stream():
                    size += len(piece)
                    if size > self.settings.body_bytes:
                        raise RequestProblem(
                            413,
                            "request_too_large",
                            f"A request may have {self.settings.body_bytes:,} bytes.",
                        )
                    pieces.append(piece)
        except TimeoutError as error:
            raise RequestProblem(408, "request_timeout", "The request took too long to arrive.") from error
        except ClientDisconnect as error:
            raise RequestProblem(
                499, "client_left", "The client left before its request was complete."
            ) from error
        return b"".join(pieces)

    async def _student_reply(self, call: CallInWork, asked: Asked, found: Found) -> Response | None:
        """The student's reply, written down; ``None`` if the call has to go on."""
        if asked.blocker is not None or found.parts is None:
            return None
        answer = call.answer = await self.answerer.answer(found.task, found.parts)
        if self.settings.mode != "serve" or not answer.is_answered:
            return None
        spoken = speak(answer.value, asked, call.id, _fingerprint(found))
        if spoken is None:
            return None
        call.cost_nanousd = found.task.student_nanousd
        call.teacher_nanousd = found.task.teacher_nanousd
        return await self._local(call, asked, found, answer, spoken, is_certified=True)

    async def _local(
        self,
        call: CallInWork,
        asked: Asked,
        found: Found,
        answer: Answer,
        spoken: Spoken,
        *,
        is_certified: bool,
    ) -> Response:
        model = call.model or found.task.name
        headers = self._headers(call, "student" if is_certified else "uncertified", found, answer)
        whole = (
            chat_completion(spoken, model, asked.n)
            if asked.api == "chat"
            else response_object(spoken, model, asked.body)
        )
        await self.recorder.record(call, "student" if is_certified else "uncertified", 200, whole)
        if not asked.is_streamed:
            return JSONResponse(whole, headers=headers)
        events = (
            chat_chunks(spoken, model, asked.n, has_usage=asked.has_usage)
            if asked.api == "chat"
            else response_events(spoken, model, asked.body)
        )
        data = b"".join(events)
        return Response(
            data, media_type="text/event-stream", headers={**headers, "cache-control": "no-cache"}
        )

    def _headers(
        self, call: CallInWork, by: str, found: Found | None, answer: Answer | None
    ) -> dict[str, str]:
        if not self.settings.has_headers:
            return {}
        out = {"x-understudy-answered-by": by, "x-understudy-call": call.id}
        if found is not None:
            out["x-understudy-task"] = _ascii(found.task.name)
            out["x-understudy-artefact"] = found.task.artefact_id
        if answer is not None:
            out["x-understudy-confidence"] = f"{answer.confidence:.6f}"
            out["x-understudy-rung"] = _ascii(answer.rung)
        if by == "student" and call.cost_nanousd is not None and call.teacher_nanousd is not None:
            out["x-understudy-saved-usd"] = f"{(call.teacher_nanousd - call.cost_nanousd) / 1e9:.9f}"
        if by == "uncertified":
            out["x-understudy-certified"] = "false"
        return out

    async def _forwarded_reply(
        self,
        request: Request,
        call: CallInWork,
        asked: Asked | None,
        found: Found | None,
        key: KeySettings | None,
        path: str,
        data: bytes,
    ) -> Response:
        try:
            if not self.upstreams:
                raise _nobody(found)
            self.budgets.check(key)
            sent = data if found is None or not found.is_named else _renamed(asked, found)
            headers = {name.lower(): value for name, value in request.headers.items()}
            begun = self.upstreams.send("POST", path, request.url.query.encode(), headers, sent)
            forwarded = await until_gone(request, begun)
        except RequestProblem as problem:
            guess = await self._guess(call, asked, found, problem)
            if guess is not None:
                return guess
            call.error = problem.code
            await self.recorder.record(call, "failed", problem.status)
            raise
        if "text/event-stream" in forwarded.reply.headers.get("content-type", ""):
            return self._streamed(call, forwarded, found)
        return await self._whole(request, call, forwarded, found)

    async def _guess(
        self, call: CallInWork, asked: Asked | None, found: Found | None, problem: RequestProblem
    ) -> Response | None:
        """An uncertified answer where the operator wants one rather than none."""
        if self.settings.when_alone != "answer" or asked is None or found is None or call.answer is None:
            return None
        if problem.status in (401, 402, 403, 499):
            return None
        spoken = speak(best_guess(found.task, call.answer), asked, call.id, _fingerprint(found))
        if spoken is None:
            return None
        call.error, call.cost_nanousd = problem.code, found.task.student_nanousd
        return await self._local(call, asked, found, call.answer, spoken, is_certified=False)

    async def _whole(
        self, request: Request, call: CallInWork, forwarded: Forwarded, found: Found | None
    ) -> Response:
        reply = forwarded.reply
        try:
            content = await until_gone(request, reply.aread())
        except httpx.HTTPError as error:
            await self._fail(call, "upstream_broken", 502)
            raise RequestProblem(502, "upstream_broken", "The upstream model's reply broke off.") from error
        except RequestProblem as problem:
            await self._fail(call, problem.code, problem.status)
            raise
        finally:
            await reply.aclose()
        said = reply_json(content, reply.headers.get("content-type", ""))
        self._note(call, forwarded, usage_of_reply(said), said, found)
        is_good = reply.status_code < 400
        call.error = None if is_good else f"upstream_{reply.status_code}"
        await self.recorder.record(call, "upstream" if is_good else "failed", reply.status_code, said)
        headers = {**forwarded.headers(), **self._headers(call, "upstream", found, call.answer)}
        return Response(content, status_code=reply.status_code, headers=headers)

    async def _fail(self, call: CallInWork, code: str, status: int) -> None:
        call.error = code
        await self.recorder.record(call, "failed", status)

    def _note(
        self, call: CallInWork, forwarded: Forwarded, usage: Any, said: Any, found: Found | None
    ) -> None:
        """What the call cost, and in shadow mode whether the student agrees."""
        call.usage = usage
        if forwarded.reply.status_code < 400:
            named = said.get("model") if isinstance(said, Mapping) else None
            price = forwarded.upstream.price or listed_price(named or call.model) or listed_price(call.model)
            call.cost_nanousd = call.teacher_nanousd = call_nanousd(price, usage)
            self.budgets.spend(call.key_name, call.cost_nanousd)
        if (
            self.settings.mode == "shadow"
            and found is not None
            and call.answer is not None
            and said is not None
        ):
            call.is_agreeing = agrees(found.task, call.answer, call.body, said)

    def _streamed(self, call: CallInWork, forwarded: Forwarded, found: Found | None) -> Response:
        headers = {**forwarded.headers(), **self._headers(call, "upstream", found, call.answer)}
        status = forwarded.reply.status_code
        return StreamingResponse(self._events(call, forwarded, found), status_code=status, headers=headers)

    async def _events(
        self, call: CallInWork, forwarded: Forwarded, found: Found | None
    ) -> AsyncIterator[bytes]:
        notes, held, code = StreamNotes(), b"", "client_left"
        try:
            try:
                async for event in events_of(forwarded.reply):
                    notes.read(event)
                    if held:
                        yield held
                    held = event
                code = "" if notes.has_ended else "upstream_broken"
            except httpx.HTTPError:
                code = "upstream_broken"
        finally:
            # Also when the client left: the upstream's work was done and is to be paid. Shielded, so that the
            # cancellation that ends this stream does not take the row with it.
            await asyncio.shield(self._end_stream(call, forwarded, found, notes, code))
        if held:
            yield held

    async def _end_stream(
        self, call: CallInWork, forwarded: Forwarded, found: Found | None, notes: StreamNotes, code: str
    ) -> None:
        await forwarded.reply.aclose()
        self._note(call, forwarded, notes.usage, notes.as_reply(), found)
        call.error = code or None
        is_good = not code and forwarded.reply.status_code < 400
        status = forwarded.reply.status_code if not code else 499 if code == "client_left" else 502
        await self.recorder.record(call, "upstream" if is_good else "failed", status, notes.as_reply())


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


def _names_a_task(asked: Asked) -> bool:
    from understudy.serving.registry import NAME_PREFIX

    return asked.model is not None and asked.model.startswith(NAME_PREFIX)


def _nobody(found: Found | None) -> RequestProblem:
    if found is None:
        return RequestProblem(
            404, "model_not_found", "No learnt task fits this request, and no upstream is set."
        )
    return RequestProblem(
        503, "nobody_to_ask", "The student is unsure and no upstream is set that could answer instead."
    )


def _renamed(asked: Asked | None, found: Found) -> bytes:
    """The request with the teacher's model name instead of the task's."""
    import json

    assert asked is not None, "only an understood request can name a task"
    if found.task.teacher_model is None:
        raise RequestProblem(
            503, "teacher_unknown", "The student is unsure, and it is not known which model to ask instead."
        )
    return json.dumps({**asked.body, "model": found.task.teacher_model}, ensure_ascii=False).encode()


def _fingerprint(found: Found) -> str:
    return f"understudy-{found.task.artefact_id}"


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
