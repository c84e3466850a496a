"""Slots are held until a reply is sent; what comes slowly or badly costs only its own caller."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from serving.conftest import Served
from serving.test_openai_client import UNSURE, Serve, Upstream
from serving.test_operating import a_key
from serving.upstream_app import chat_request


def sent_paths(scripted) -> list[str]:
    return [path for path, _, _ in scripted.seen]


def connect(served: Served) -> socket.socket:
    where = urlsplit(served.base_url)
    return socket.create_connection((where.hostname, where.port), timeout=20)


def post_head(path: str, length: int, kind: str = "application/json") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", f"content-type: {kind}", f"content-length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_stream_holds_its_slot_to_the_end(plain_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url, most_at_once=1)
    address = f"{served.base_url}/chat/completions"
    scripted.script = ["slow"]
    with httpx.stream("POST", address, json=chat_request(UNSURE, stream=True), timeout=20) as reply:
        lines = reply.iter_lines()
        assert next(lines).startswith("data:")
        assert served.server.room.in_work == 1
        assert httpx.post(address, json=chat_request(UNSURE)).json()["error"]["code"] == "server_busy"
        assert any("[DONE]" in line for line in lines)
    deadline = time.monotonic() + 10
    while served.server.room.in_work and time.monotonic() < deadline:
        time.sleep(0.02)
    assert served.server.room.in_work == 0
    assert httpx.post(address, json=chat_request(UNSURE)).status_code == 200


def test_slow_visitors_of_the_login_page_keep_no_call_from_being_answered(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    served = serve(plain_artefact, upstream_url=upstream[1], keys=(a_key("shop"),), most_at_once=2)
    slow = [connect(served) for _ in range(4)]
    for one in slow:
        one.sendall(post_head("/dashboard/login", 100, "application/x-www-form-urlencoded") + b"k")
    time.sleep(0.3)
    reply = httpx.post(
        f"{served.base_url}/chat/completions",
        json=chat_request(UNSURE),
        headers={"authorization": "Bearer secret-shop"},
    )
    for one in slow:
        one.close()
    assert reply.status_code == 200


def test_a_path_goes_upstream_as_it_was_written(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    for path in ("files/a%20b", "models/o%2Fm", "x%0b", "files/%23"):
        assert httpx.get(f"{served.base_url}/{path}").status_code == 200
    # The scripted upstream sees paths decoded; a cut or split request line would show here.
    assert sent_paths(scripted) == ["files/a b", "models/o/m", "x\x0b", "files/#"]


@pytest.mark.parametrize("path", ["%2e%2e/admin", "a/../b", "a//b", "%252e%252e/admin", "a%5cb"])
def test_a_path_that_leads_elsewhere_is_refused(
    plain_artefact: Path, upstream: Upstream, serve: Serve, path: str
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    with connect(served) as link:
        link.sendall(f"GET /v1/{path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        assert link.recv(4_000).startswith(b"HTTP/1.1 404")
    assert not scripted.seen


def test_requests_that_are_no_calls_have_a_size_too(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url, body_bytes=1_000)
    assert httpx.request("DELETE", f"{served.base_url}/files/x", content=b"x" * 2_000).status_code == 413
    assert not scripted.seen


def test_half_a_surrogate_pair_goes_upstream_as_it_was_escaped(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    body = b'{"model": "understudy/queue", "messages": [{"role": "user", "content": "\\ud800 please"}]}'
    headers = {"content-type": "application/json"}
    httpx.post(f"{served.base_url}/chat/completions", content=body, headers=headers)
    # What upstream makes of it is upstream's; it gets what the caller wrote, and the call has a row.
    assert b"\\ud800" in scripted.seen[0][2]
    assert len(served.rows()) == 1


def test_a_caller_s_own_credentials_do_not_go_upstream(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    mine = {"x-api-key": "mine", "api-key": "mine", "openai-organization": "mine", "openai-project": "mine"}
    httpx.post(f"{served.base_url}/chat/completions", json=chat_request(UNSURE), headers=mine)
    assert not set(mine) & set(scripted.seen[0][1])
