"""When the upstream is slow, broken, busy or gone: what the client sees, and what the ledger holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from serving.conftest import Served
from serving.test_openai_client import SURE, UNSURE, Upstream
from serving.upstream_app import chat_request
from understudy.serving.breaker import Breaker
from understudy.serving.settings import UpstreamSettings
from understudy.serving.upstream import _said_s

Serve = Callable[..., Served]
GONE = "http://127.0.0.1:9/v1"


def ask(served: Served, text: str, **more: object) -> httpx.Response:
    return httpx.post(f"{served.base_url}/chat/completions", json=chat_request(text, **more), timeout=20)


def test_busy_and_broken_replies_are_tried_again(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    scripted.script = [503]
    assert ask(served, UNSURE).status_code == 200
    assert len(scripted.seen) == 2
    scripted.script = [400]
    assert ask(served, UNSURE).status_code == 400  # the caller's own mistake is not tried again
    assert len(scripted.seen) == 3
    assert [(row.answered_by, row.status, row.error) for row in served.rows()] == [
        ("upstream", 200, None),
        ("failed", 400, "upstream_400"),
    ]


def test_retry_after_is_respected(plain_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    scripted.script, scripted.headers = [429], {"retry-after": "1"}
    began = time.monotonic()
    assert ask(served, UNSURE).status_code == 200
    assert time.monotonic() - began >= 1.0
    # So long a wait is the caller's to make: it gets the reply and the header.
    scripted.script, scripted.headers = [429], {"retry-after": "600"}
    reply = ask(served, UNSURE)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "600")


@pytest.mark.parametrize(
    ("text", "wanted"), [("3", 3.0), ("-1", 0.0), ("soon", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)]
)
def test_retry_after_is_read(text: str, wanted: float | None) -> None:
    assert _said_s(text) == wanted


def test_a_slow_upstream_times_out(plain_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream=UpstreamSettings(url, read_s=0.3, retries=0))
    scripted.script = ["hang"]
    reply = ask(served, UNSURE)
    assert reply.status_code == 504
    assert reply.json()["error"]["code"] == "upstream_timeout"
    assert [row.cost_nanousd for row in served.rows()] == [None]  # it may have been answered, and billed
    assert ask(served, SURE).headers["x-understudy-answered-by"] == "student"


def test_unsure_calls_fail_or_are_answered_uncertified(plain_artefact: Path, serve: Serve) -> None:
    gone = UpstreamSettings(GONE, retries=0)
    failing = serve(plain_artefact, upstream=gone)
    reply = ask(failing, UNSURE)
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_unreachable")
    assert [row.cost_nanousd for row in failing.rows()] == [0]
    answering = serve(plain_artefact, upstream=gone, when_alone="answer")
    reply = ask(answering, UNSURE)
    assert reply.status_code == 200
    assert reply.headers["x-understudy-certified"] == "false"
    assert [row.answered_by for row in answering.rows()] == ["uncertified"]
    alone = serve(plain_artefact)
    assert ask(alone, UNSURE).json()["error"]["code"] == "nobody_to_ask"
    assert ask(alone, SURE).status_code == 200
    assert (
        httpx.post(f"{alone.base_url}/chat/completions", json={"model": "x", "messages": []}).status_code
        == 404
    )


def test_the_second_upstream_takes_over(plain_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    scripted, url = upstream
    served = serve(
        plain_artefact,
        upstream=UpstreamSettings(GONE, retries=0),
        fallback=UpstreamSettings(url, price="1/2"),
    )
    assert ask(served, UNSURE).status_code == 200
    assert len(scripted.seen) == 1
    assert served.rows()[0].cost_nanousd == 46_000


def test_a_broken_stream_is_no_success(plain_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    scripted.script = ["break"]
    seen = ""
    with httpx.stream(
        "POST", f"{served.base_url}/chat/completions", json=chat_request(UNSURE, stream=True)
    ) as reply:
        try:
            for text in reply.iter_text():
                seen += text
        except httpx.HTTPError:
            pass
    assert "[DONE]" not in seen
    assert [(row.answered_by, row.error) for row in served.rows()] == [("failed", "upstream_broken")]


def test_a_client_that_leaves_ends_the_upstream_s_work(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    scripted.script = ["hang"]
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{served.base_url}/chat/completions", json=chat_request(UNSURE), timeout=0.5)
    deadline = time.monotonic() + 5
    while not scripted.n_cancelled and time.monotonic() < deadline:
        time.sleep(0.02)
    assert scripted.n_cancelled == 1
    deadline = time.monotonic() + 5
    while not served.rows() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [(row.answered_by, row.error) for row in served.rows()] == [("failed", "client_left")]


def test_the_circuit_opens_and_closes() -> None:
    now = [0.0]
    breaker = Breaker(most_failures=2, rest_s=10, clock=lambda: now[0])
    for _ in range(2):
        assert breaker.allows()
        breaker.failed()
    assert not breaker.allows()
    now[0] = 11
    assert breaker.allows()  # one call may try
    assert not breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    now[0] = 22
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    assert breaker.allows()


def test_an_open_circuit_answers_at_once(plain_artefact: Path, serve: Serve) -> None:
    served = serve(plain_artefact, upstream=UpstreamSettings(GONE, retries=0))
    codes = [ask(served, UNSURE).json()["error"]["code"] for _ in range(7)]
    assert codes[0] == "upstream_unreachable"
    assert codes[-1] == "upstream_unavailable"
    # The student needs nobody.
    assert ask(served, SURE).status_code == 200


def test_sure_answers_do_not_wait_for_slow_upstream_calls(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    scripted.script = ["hang"] * 5

    async def run() -> None:
        async with httpx.AsyncClient(timeout=20) as client:
            address = f"{served.base_url}/chat/completions"
            slow = [asyncio.create_task(client.post(address, json=chat_request(UNSURE))) for _ in range(5)]
            await asyncio.sleep(0.2)
            reply = await client.post(address, json=chat_request(SURE))
            assert reply.status_code == 200
            for task in slow:
                assert not task.done()
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    asyncio.run(run())
