"""Artefacts learnt from chat logs, a scripted upstream and servers on real ports."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from serving.upstream_app import FORMAT, QUEUES, ScriptedUpstream, chat_request, said
from understudy.serving.app import Server, make_app
from understudy.serving.settings import LedgerSettings, ServeSettings, TaskSettings, UpstreamSettings
from understudy.serving.watch import Watch

FILLERS = "please hello my the about order yesterday again where is what thanks team customer today".split()


def some_texts(count: int, seed: int = 0) -> list[str]:
    """Messages that a linear model can tell apart."""
    draw = random.Random(seed)
    out = []
    for at in range(count):
        queue = draw.choice(list(QUEUES))
        words = [
            *(draw.sample(QUEUES[queue], 2) if at % 6 else ["zebra", "quartz"]),
            *draw.sample(FILLERS, 4),
            f"nr{at}",
            *(["now"] if at % 3 == 0 else []),
        ]
        draw.shuffle(words)
        out.append(" ".join(words))
    return out


def learn_from_log(folder: Path, name: str, **request: Any) -> Path:
    """An artefact from a log of full requests."""
    import understudy

    log = folder / f"{name}.jsonl"
    wants_json = "response_format" in request
    with log.open("w", encoding="utf-8") as lines:
        for text in some_texts(900):
            message = {"role": "assistant", "content": said(text, wants_json=wants_json)}
            usage = {"prompt_tokens": 40, "completion_tokens": 3}
            reply = {"model": "gpt-4o-mini", "choices": [{"index": 0, "message": message}], "usage": usage}
            lines.write(json.dumps({"request": chat_request(text, **request), "response": reply}) + "\n")
    result = understudy.learn(
        log,
        out=folder / "artefacts" / name,
        rungs=("linear",),
        target=0.97,
        cache=folder / "cache",
    )
    assert result.is_certified
    return result.folder


@pytest.fixture(scope="session")
def plain_artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers with one label."""
    return learn_from_log(tmp_path_factory.mktemp("plain"), "queue")


@pytest.fixture(scope="session")
def json_artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers with an object that a schema describes."""
    return learn_from_log(tmp_path_factory.mktemp("json"), "triage", response_format=FORMAT)


class Running:
    """A server on a port of its own, in a thread."""

    def __init__(self, app: Any) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, lifespan="on", timeout_graceful_shutdown=3
        )
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=self.uvicorn.run, kwargs={"sockets": [self.socket]}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

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


@pytest.fixture
def upstream() -> Iterator[tuple[ScriptedUpstream, str]]:
    """The scripted upstream and its address."""
    scripted = ScriptedUpstream()
    running = Running(scripted.app).start()
    yield scripted, f"{running.url}/v1"
    running.stop()


class Served:
    """A server of ours, with what a test looks at."""

    def __init__(self, server: Server, running: Running) -> None:
        self.server, self.running = server, running
        self.base_url = f"{running.url}/v1"

    def rows(self) -> list[Any]:
        """Everything in the ledger, oldest first."""
        from understudy.ledger.queries import recent

        assert self.server.drainer.flush(10.0)
        return recent(self.server.ledger, 10_000)[::-1]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers; stops them after the test."""
    with contextlib.ExitStack() as stack:
        count = 0

        def start(
            *artefacts: Path, upstream_url: str | None = None, watch: Watch | None = None, **settings: Any
        ) -> Served:
            nonlocal count
            count += 1
            given = {
                "tasks": tuple(TaskSettings(folder) for folder in artefacts),
                "upstream": None
                if upstream_url is None
                else UpstreamSettings(upstream_url, price="1/2", retries=1),
                "ledger": LedgerSettings(str(tmp_path / f"ledger-{count}.db")),
                **settings,
            }
            server = Server(ServeSettings(**given), watch)
            running = Running(make_app(server)).start()
            stack.callback(running.stop)
            return Served(server, running)

        yield start
