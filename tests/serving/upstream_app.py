"""A large model's endpoint for tests: answers as the teacher did, streams, fails on demand, and keeps what it got."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

QUEUES = {
    "delivery": ("parcel", "courier", "late", "shipment"),
    "billing": ("invoice", "charged", "card", "payment"),
    "returns": ("refund", "return", "broken", "exchange"),
}
SCHEMA = {
    "type": "object",
    "properties": {"queue": {"type": "string", "enum": [*QUEUES, "other"]}, "urgent": {"type": "boolean"}},
    "required": ["queue", "urgent"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "triage", "strict": True, "schema": SCHEMA}}
SYSTEM = "Route the message to a queue."


def teacher(text: str) -> str:
    """The queue of a message."""
    counts = {queue: sum(word in text.lower() for word in words) for queue, words in QUEUES.items()}
    best = max(counts, key=lambda queue: counts[queue])
    # Without a word to go by the teacher's answer looks like chance: what no student can learn, and must defer.
    return best if counts[best] else [*QUEUES, "other"][zlib.crc32(text.encode()) % 4]


def chat_request(text: str, **more: Any) -> dict[str, Any]:
    """What the application sends."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Message: {text}"}]
    return {"model": "gpt-4o-mini", "messages": messages, **more}


def said(text: str, *, wants_json: bool) -> str:
    """The teacher's content."""
    return json.dumps({"queue": teacher(text), "urgent": "now" in text}) if wants_json else teacher(text)


class ScriptedUpstream:
    """The application and its script.

    Attributes
    ----------
    seen
        Requests as they came: path, headers, body.
    script
        What to do with the next calls, first first: a status, ``break`` (end a stream early), ``slow`` (a stream with pauses), ``hang``; empty: answer.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.script: list[Any] = []
        self.n_cancelled = 0
        self.headers: dict[str, str] = {}
        self.message = "scripted"
        routes = [Route("/v1/{path:path}", self.call, methods=["GET", "POST", "DELETE"])]
        self.app = Starlette(routes=routes)

    async def call(self, request: Request) -> Response:
        body = await request.body()
        path = request.path_params["path"]
        self.seen.append((path, dict(request.headers), body))
        step = self.script.pop(0) if self.script else None
        if step == "hang":
            for _ in range(1500):
                if await request.is_disconnected():
                    self.n_cancelled += 1
                    break
                await asyncio.sleep(0.02)
        if isinstance(step, int):
            return JSONResponse({"error": {"message": self.message}}, status_code=step, headers=self.headers)
        if path == "models":
            return JSONResponse({"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model"}]})
        if path == "embeddings":
            usage = {"prompt_tokens": 5, "total_tokens": 5}
            vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
            return JSONResponse({"object": "list", "data": [vector], "model": "e", "usage": usage})
        if path != "chat/completions":
            return Response(body, media_type=request.headers.get("content-type"))
        asked = json.loads(body)
        content = said(asked["messages"][-1]["content"], wants_json="response_format" in asked)
        if asked.get("stream"):
            return StreamingResponse(
                self._events(content, is_broken=step == "break", pause_s=0.7 if step == "slow" else 0.01),
                media_type="text/event-stream",
            )
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43}
        return JSONResponse(
            {
                "id": "x",
                "object": "chat.completion",
                "created": 1,
                "model": asked["model"],
                "choices": [choice],
                "usage": usage,
            }
        )

    async def _events(self, content: str, *, is_broken: bool, pause_s: float) -> Any:
        head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
        for piece in [content[:3], content[3:]]:
            choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
            yield f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"
            await asyncio.sleep(pause_s)
            if is_broken:
                raise RuntimeError("scripted break")
        usage = {"prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43}
        yield f"data: {json.dumps({**head, 'choices': [], 'usage': usage})}\n\n"
        yield "data: [DONE]\n\n"
