"""Requests that no client should send: no crash, no text in errors or logs, no 5xx but those stated."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.conftest import Running, Served
from serving.test_openai_client import SURE
from serving.upstream_app import FORMAT, chat_request
from understudy.serving.app import Server, make_app
from understudy.serving.settings import LedgerSettings, ServeSettings, TaskSettings

Serve = Callable[..., Served]
SECRET = "zanzibar-secret"


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory, plain_artefact: Path, json_artefact: Path
) -> Iterator[str]:
    """A server without an upstream, for many requests."""
    ledger = LedgerSettings(str(tmp_path_factory.mktemp("malformed") / "ledger.db"), is_fsynced=False)
    tasks = (TaskSettings(plain_artefact), TaskSettings(json_artefact))
    running = Running(make_app(Server(ServeSettings(tasks=tasks, ledger=ledger, body_s=1.0)))).start()
    yield f"{running.url}/v1"
    running.stop()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.just(SECRET)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = (
    "model",
    "messages",
    "stream",
    "n",
    "stop",
    "response_format",
    "tools",
    "tool_choice",
    "stream_options",
    "input",
    "text",
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(KEYS), json_values), st.sampled_from(["chat/completions", "responses"])
)
def test_any_json_is_answered_without_a_crash(
    alone: str, caplog: pytest.LogCaptureFixture, changes: Any, path: str
) -> None:
    with caplog.at_level(logging.DEBUG, logger="understudy"):
        for base in ({}, chat_request(SURE), chat_request(SURE, response_format=FORMAT)):
            body = json.dumps({**base, **changes}, ensure_ascii=True)
            reply = httpx.post(f"{alone}/{path}", content=body.encode())
            assert reply.status_code in (200, 400, 404, 503)
            if reply.status_code != 200:
                assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
                assert SECRET not in reply.text
    assert SECRET not in caplog.text
    assert "inside the server" not in caplog.text


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_answered_without_a_crash(alone: str, data: bytes) -> None:
    assert httpx.post(f"{alone}/chat/completions", content=data).status_code in (400, 404)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"\xff\xfe{}",
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"n": 1e999, "messages": NaN}',
        json.dumps(chat_request("\0 \u202e \U0001f600")).encode(),
    ],
)
def test_nasty_bodies(alone: str, body: bytes) -> None:
    assert httpx.post(f"{alone}/chat/completions", content=body).status_code in (200, 400, 404, 503)


@pytest.mark.parametrize(
    "path", ["../admin/reload", "..%2fadmin", "chat/../models", "//evil.example/x", "%2e%2e/x"]
)
def test_odd_paths_lead_nowhere(alone: str, path: str) -> None:
    host, port = alone.removeprefix("http://").split("/")[0].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(
            f"POST /v1/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}".encode()
        )
        status = raw.recv(100).split(b" ")[1]
    assert status in (b"400", b"404", b"405")


def test_a_slow_sender_is_cut_off(alone: str) -> None:
    host, port = alone.removeprefix("http://").split("/")[0].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        assert b"408" in raw.recv(1_000).split(b"\r\n")[0]


def test_a_schema_that_reaches_outside_is_not_followed(
    json_artefact: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.serving import spoken

    schema = {"$ref": "http://127.0.0.1:1/schema.json"}
    assert spoken._validator(json.dumps(schema)) is None
    assert spoken._validator(json.dumps({"type": "nonsense"})) is None
    assert not spoken._fits({"required": ["reason"]}, {"queue": "delivery"})
    assert spoken._fits({"$defs": {"a": {"type": "string"}}, "items": {"$ref": "#/$defs/a"}}, ["x"])
