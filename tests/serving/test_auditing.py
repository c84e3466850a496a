"""Audits: a share of what students answered is asked of upstream too, and nobody waits for it."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.conftest import Served
from serving.test_openai_client import SURE, UNSURE, Upstream
from serving.upstream_app import chat_request
from understudy.errors import ConfigError
from understudy.ledger.disagreements import find_call
from understudy.ledger.queries import spent_nanousd, totals
from understudy.serving.audit import Auditor
from understudy.serving.settings import KeySettings, LedgerSettings, ServeSettings, UpstreamSettings

Serve = Callable[..., Served]
STUDENT_NANOUSD, TEACHER_NANOUSD = 1, 46_000


def ask(served: Served, text: str = SURE, key: str | None = None, **more: Any) -> httpx.Response:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.post(
        f"{served.base_url}/chat/completions", json=chat_request(text, **more), headers=headers, timeout=20
    )


def wait_for(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_done():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def audited(served: Served) -> int:
    assert served.server.drainer.flush(10.0)
    return totals(served.server.ledger).n_compared


def test_answers_are_compared_afterwards_and_paid_for(
    plain_artefact: Path, upstream: Upstream, serve: Serve, tmp_path: Path
) -> None:
    scripted, url = upstream
    ledger = LedgerSettings(str(tmp_path / "audits.db"), keeps_texts=True)
    served = serve(plain_artefact, upstream_url=url, audit_share=1.0, ledger=ledger)
    for stream in (False, True):
        reply = ask(served, stream=stream, temperature=0)
        assert reply.headers["x-understudy-answered-by"] == "student"
    ask(served, UNSURE)
    wait_for(lambda: audited(served) == 2)
    assert len(scripted.seen) == 3
    bodies = [json.loads(body) for path, _, body in scripted.seen]
    assert all("stream" not in body for body in bodies)
    assert [body["temperature"] for body in bodies if "temperature" in body] == [0, 0]
    rows = served.rows()
    assert [(row.answered_by, row.is_agreeing) for row in rows] == [
        ("student", True), ("student", True), ("upstream", None),
    ]  # fmt: skip
    for row in rows[:2]:
        student = served.server.registry.current.tasks["queue"].student_nanousd
        assert row.cost_nanousd == TEACHER_NANOUSD + (student or 0)
    call = find_call(served.server.ledger, rows[0].id)
    assert call is not None
    assert call.student_answer == '"delivery"'
    assert json.loads(call.response or "")["choices"][0]["message"]["content"] == "delivery"
    page = httpx.get(f"{served.running.url}/metrics").text
    assert 'understudy_audits_total{result="agreeing"} 2' in page


def test_a_caller_does_not_wait_for_an_audit_nor_hear_of_its_failure(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url, audit_share=1.0)
    scripted.script = [400, "hang"]
    assert ask(served).status_code == 200
    wait_for(lambda: scripted.script[:1] != [400])
    assert ask(served).status_code == 200
    wait_for(lambda: not scripted.script)
    # The second audit still hangs, and others go on.
    assert ask(served).status_code == 200
    wait_for(lambda: audited(served) == 1)
    rows = served.rows()
    # A refusal costs nothing, so what the call cost stays known.
    assert [row.cost_nanousd is None for row in rows] == [False, False, False]


def test_an_audit_that_the_end_of_the_server_cuts_off_is_of_unknown_cost(
    plain_artefact: Path, upstream: Upstream, tmp_path: Path
) -> None:
    from serving.conftest import Running
    from understudy.ledger.database import Ledger
    from understudy.serving.app import Server, make_app
    from understudy.serving.settings import TaskSettings

    scripted, url = upstream
    scripted.script = ["hang"]
    server = Server(
        ServeSettings(
            tasks=(TaskSettings(plain_artefact),), upstream=UpstreamSettings(url, price="1/2"), audit_share=1.0,
            ledger=LedgerSettings(str(tmp_path / "cut.db")),
        )
    )  # fmt: skip
    running = Running(make_app(server)).start()
    assert ask(Served(server, running)).status_code == 200
    wait_for(lambda: not scripted.script)
    running.stop()
    ledger = Ledger.open(tmp_path / "cut.db")
    assert (totals(ledger).cost.n_known, totals(ledger).cost.n_unknown) == (0, 1)
    ledger.close()


def test_an_upstream_that_is_not_there_costs_nothing(plain_artefact: Path, serve: Serve) -> None:
    served = serve(
        plain_artefact, upstream=UpstreamSettings("http://127.0.0.1:9/v1", retries=0), audit_share=1.0
    )
    ask(served)
    wait_for(lambda: not served.server.handler.auditor._running)  # type: ignore[union-attr]
    assert [row.cost_nanousd is None for row in served.rows()] == [False]
    assert audited(served) == 0


def test_audits_are_paid_from_the_caller_s_budget(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    digest = hashlib.sha256(b"secret").hexdigest()
    key = KeySettings("shop", digest, usd_per_day=TEACHER_NANOUSD / 1e9)
    served = serve(plain_artefact, upstream_url=url, audit_share=1.0, keys=(key,))
    ask(served, key="secret")
    wait_for(lambda: audited(served) == 1)
    for _ in range(3):
        assert ask(served, key="secret").status_code == 200  # a student's answer is given all the same
    wait_for(lambda: not served.server.handler.auditor._running)  # type: ignore[union-attr]
    assert len(scripted.seen) == 1
    assert spent_nanousd(served.server.ledger, "shop").known_nanousd >= TEACHER_NANOUSD


def test_the_share_is_kept_and_nought_asks_nobody() -> None:
    begun: list[Any] = []

    class Counting(Auditor):
        async def _audit(self, call: Any, headers: Any) -> None:
            begun.append(call)

    async def consider(share: float, count: int) -> int:
        import asyncio

        begun.clear()
        auditor = Counting(share, [1], None, None, random.Random(3))  # type: ignore[arg-type]
        for _ in range(count):
            auditor.consider(None, {})  # type: ignore[arg-type]
            await asyncio.sleep(0)
        await auditor.finish()
        return len(begun)

    import asyncio

    assert asyncio.run(consider(0.0, 500)) == 0
    assert asyncio.run(consider(1.0, 500)) == 500
    # Five standard errors of a binomial count.
    assert abs(asyncio.run(consider(0.2, 2000)) - 400) < 5 * (2000 * 0.2 * 0.8) ** 0.5


@pytest.mark.parametrize("share", [-0.1, 1.1, True])
def test_a_share_outside_its_range_is_told(share: float) -> None:
    with pytest.raises(ConfigError, match="audit_share"):
        ServeSettings(upstream=UpstreamSettings("http://x"), audit_share=share)


def test_audits_need_somebody_to_ask(plain_artefact: Path) -> None:
    from understudy.serving.settings import TaskSettings
    from understudy.serving.worker import settings_of

    with pytest.raises(ConfigError, match="upstream"):
        ServeSettings(tasks=(TaskSettings(plain_artefact),), audit_share=0.5)
    assert settings_of({"upstream": "http://x", "audit_share": 0.25}).audit_share == 0.25
