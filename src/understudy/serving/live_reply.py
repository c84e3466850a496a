"""Passes a student's text on while it is written, as events; its row is written down before the last of them.

The head of the reply waits for the first piece, so that a student that fails at once is still told as an error. What
breaks after that breaks the stream. A client that leaves ends the writing before its next piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from understudy.serving.answering import Answerer
from understudy.serving.forward import Forwarder, until_gone
from understudy.serving.in_work import CallInWork, reply_headers
from understudy.serving.problems import RequestProblem
from understudy.serving.registry import Found
from understudy.serving.requests import Asked
from understudy.serving.rota import Live
from understudy.serving.settings import ServeSettings
from understudy.serving.spoken import Spoken
from understudy.serving.wire_chat import ChatStream, chat_completion
from understudy.serving.wire_responses import ResponseStream, response_object
from understudy.serving.written import measured

__all__ = ["LiveReplier"]


@dataclass(frozen=True, slots=True)
class LiveReplier:
    """Replies with texts that are still being written.

    Attributes
    ----------
    settings, answerer, forwarder
        What it works with.
    ending
        Streams that are over and whose row is being written.
    """

    settings: ServeSettings
    answerer: Answerer
    forwarder: Forwarder
    ending: set[asyncio.Task[Spoken | None]] = field(default_factory=set)

    async def finish(self) -> None:
        """Wait until every stream has its row."""
        await asyncio.gather(*self.ending, return_exceptions=True)

    async def reply(
        self, request: Request, call: CallInWork, asked: Asked, found: Found, audit: Callable[[], None]
    ) -> Response:
        """The reply, once its first piece is there; `audit` is called when the text has come to its end.

        Raises
        ------
        RequestProblem
            499 if the client left before.
        """
        assert found.parts is not None, "the input has the task's shape"
        live = self.answerer.begin(found.task, found.parts)
        try:
            first = await until_gone(request, live.piece())
        except RequestProblem as problem:
            live.give_up()
            await self.forwarder.fail(call, problem.code, problem.status)
            raise
        call.cost_nanousd, call.teacher_nanousd = found.task.student_nanousd, found.task.teacher_nanousd
        headers = reply_headers(call, "student") if self.settings.has_headers else {}
        headers["cache-control"] = "no-cache"
        events = self._events(call, asked, found, live, first, audit)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _events(
        self,
        call: CallInWork,
        asked: Asked,
        found: Found,
        live: Live,
        first: str | None,
        audit: Callable[[], None],
    ) -> AsyncIterator[bytes]:
        model, name = call.model or found.task.name, _fingerprint(found)
        words = (
            ChatStream(call.id, model, name, has_usage=asked.has_usage)
            if asked.api == "chat"
            else ResponseStream(call.id, model, name, asked.body)
        )
        said: list[str] = []
        code, whole = "client_left", None
        try:
            yield words.begin()
            piece = first
            while piece is not None:
                said.append(piece)
                yield words.piece(piece)
                piece = await live.piece()
            code = ""
        except Exception:
            code = "internal_error"
            raise
        finally:
            live.give_up()
            # Shielded, so that the cancellation that ends this stream does not take the row with it.
            end = asyncio.create_task(self._end(call, asked, found, live, "".join(said), code))
            self.ending.add(end)
            end.add_done_callback(self.ending.discard)
            whole = await asyncio.shield(end)
        if whole is not None:
            audit()
            yield words.end(whole)

    async def _end(
        self, call: CallInWork, asked: Asked, found: Found, live: Live, text: str, code: str
    ) -> Spoken | None:
        """Write the call down; what was said, or ``None`` if it did not come to its end."""
        call.error, call.answer = code or None, live.answer
        if code or live.answer is None or found.parts is None:
            call.cost_nanousd = call.teacher_nanousd = (
                None  # a part of the work was done: how much is not known
            )
            status = 499 if code == "client_left" else 500
            await self.forwarder.recorder.record(call, "failed", status)
            return None
        spoken = Spoken(call.id, text, None, _fingerprint(found))
        spoken = measured(spoken, asked, found.task, found.parts, live.answer) or spoken
        model = call.model or found.task.name
        is_chat = asked.api == "chat"
        whole = chat_completion(spoken, model, 1) if is_chat else response_object(spoken, model, asked.body)
        await self.forwarder.recorder.record(call, "student", 200, whole)
        return spoken


def _fingerprint(found: Found) -> str:
    return f"understudy-{found.task.artefact_id}"
