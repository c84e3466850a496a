"""A large model's endpoint for tests: labels by words, bills by tokens, limits rates, fails by script, and counts."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

PRICE = "1/2"
USD_IN, USD_OUT = Decimal(1) / 10**6, Decimal(2) / 10**6


def queue_of(text: str) -> str:
    """The right label."""
    return "billing" if "invoice" in text else "delivery"


class ScriptedServer:
    """The application, its script and its books.

    Attributes
    ----------
    script
        What to do with the next requests, first first: a status, ``hang``, ``garbage``, ``empty``, or headers of a 429.
    by_text
        The same for requests with these user messages.
    say
        The answer to a user message by a model, as an object or a text.
    delay_s
        How long an answer takes.
    answer_tokens
        How many tokens an answer bills; drawn below the request's limit where ``None``.
    has_usage
        Whether replies carry token counts.
    headers
        Sent with every answer.
    billed_usd
        The exact sum.
    asked
        Finished answers per user message.
    times
        When each request came.
    """

    def __init__(self, say: Callable[[str, str], Any] | None = None) -> None:
        self.say = say or (lambda text, _model: {"answer": queue_of(text)})
        self.script: list[Any] = []
        self.by_text: dict[str, list[Any]] = {}
        self.delay_s = 0.0
        self.answer_tokens: int | None = 5
        self.has_usage = True
        self.headers: dict[str, str] = {}
        self.billed_usd = Decimal(0)
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.times: list[float] = []
        self.n_inside = self.most_inside = 0
        self._draw = random.Random(0)
        self.app = Starlette(routes=[Route("/v1/chat/completions", self.call, methods=["POST"])])

    async def call(self, request: Request) -> Response:
        body = await request.json()
        self.times.append(time.monotonic())
        self.bodies.append(body)
        self.keys.append(request.headers.get("authorization"))
        self.n_inside += 1
        self.most_inside = max(self.most_inside, self.n_inside)
        try:
            return await self._answer(request, body)
        finally:
            self.n_inside -= 1

    async def _answer(self, request: Request, body: dict[str, Any]) -> Response:
        own = self.by_text.get(body["messages"][-1]["content"])
        step = own.pop(0) if own else self.script.pop(0) if self.script else None
        usage = self._usage(body)
        if step == "hang":
            self._bill(usage)  # a provider may charge for what nobody waits for
            for _ in range(500):
                if await request.is_disconnected():
                    break
                await asyncio.sleep(0.02)
            return PlainTextResponse("too late")
        if isinstance(step, int):
            user = body["messages"][-1]["content"]
            error = {"message": f"cannot do: {user}", "type": "server_error"}
            return JSONResponse({"error": error}, status_code=step)
        if isinstance(step, dict):
            return JSONResponse({"error": {"code": "rate_limit_exceeded"}}, status_code=429, headers=step)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        self._bill(usage)
        if step == "garbage":
            return PlainTextResponse("<html>gateway</html>")
        user = body["messages"][-1]["content"]
        said = "" if step == "empty" else self.say(user, body["model"])
        self.asked[f"{body['model']}: {user}"] += 1
        content = said if isinstance(said, str) else json.dumps(said)
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        reply: dict[str, Any] = {"id": "x", "object": "chat.completion", "created": 1, "choices": [choice]}
        if self.has_usage:
            reply["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
        return JSONResponse(reply, headers=self.headers)

    def _usage(self, body: dict[str, Any]) -> tuple[int, int]:
        n_in = len(json.dumps(body)) // 3
        n_out = self.answer_tokens
        return n_in, self._draw.randint(1, body["max_tokens"]) if n_out is None else n_out

    def _bill(self, usage: tuple[int, int]) -> None:
        self.billed_usd += usage[0] * USD_IN + usage[1] * USD_OUT


class Running:
    """A server on a port of its own, in a thread."""

    def __init__(self, app: Any) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=3
        )
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=self.uvicorn.run, kwargs={"sockets": [self.socket]}, daemon=True
        )

    def start(self) -> Running:
        self.thread.start()
        deadline = time.monotonic() + 20
        while not self.uvicorn.started:
            assert self.thread.is_alive(), "the server ended while starting"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        self.uvicorn.should_exit = True
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()
        self.socket.close()
