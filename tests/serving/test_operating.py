"""Keys, limits, modes, swaps, health: what an operator relies on."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.conftest import Served
from serving.test_openai_client import SURE, UNSURE, Upstream
from serving.upstream_app import chat_request
from understudy.errors import ConfigError
from understudy.runtime.artefact import write_manifest
from understudy.serving.settings import (
    KeySettings,
    LedgerSettings,
    ServeSettings,
    TaskSettings,
    UpstreamSettings,
    read_settings,
)

Serve = Callable[..., Served]


def ask(served: Served, text: str, key: str | None = None, **more: Any) -> httpx.Response:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.post(
        f"{served.base_url}/chat/completions", json=chat_request(text, **more), headers=headers, timeout=20
    )


def a_key(name: str, **more: Any) -> KeySettings:
    return KeySettings(name, hashlib.sha256(f"secret-{name}".encode()).hexdigest(), **more)


def test_shadow_mode_answers_from_upstream_and_compares(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url, mode="shadow")
    for stream in (False, True):
        assert ask(served, SURE, stream=stream).headers["x-understudy-answered-by"] == "upstream"
    assert len(scripted.seen) == 2
    rows = served.rows()
    assert [row.is_agreeing for row in rows] == [True, True]
    assert all(row.confidence is not None and row.mode == "shadow" for row in rows)


def test_record_mode_keeps_texts_that_learning_reads(
    tmp_path: Path, upstream: Upstream, serve: Serve
) -> None:
    from understudy.calls.readers import read_calls
    from understudy.ledger.export import export_calls

    ledger = LedgerSettings(str(tmp_path / "texts.db"), keeps_texts=True)
    served = serve(upstream_url=upstream[1], mode="record", ledger=ledger)
    texts = [SURE, UNSURE, "write to ann@example.com about the refund", "invoice", "card", "courier"]
    for text in texts:
        ask(served, text)
    assert served.server.drainer.flush(10)
    log = tmp_path / "log.jsonl"
    with log.open("w", encoding="utf-8") as lines:
        for row in export_calls(served.server.ledger):
            lines.write(json.dumps(row) + "\n")
    calls = list(read_calls([log]))
    assert [call.input for call in calls] == [text.replace("ann@example.com", "[email]") for text in texts]
    assert calls[0].output == "delivery"
    assert calls[0].cost_usd == pytest.approx(46e-6)


def test_texts_are_not_kept_unless_asked_for(
    tmp_path: Path, plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    served = serve(plain_artefact, upstream_url=upstream[1])
    ask(served, f"{SURE} zanzibar")
    ask(served, f"{UNSURE} zanzibar")
    served.rows()
    for path in tmp_path.rglob("*"):
        if path.is_file() and "ledger" in str(path):
            assert b"zanzibar" not in path.read_bytes()


def test_keys_are_needed_and_held_to_their_tasks(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    keys = (
        a_key("all"),
        a_key("queue", tasks=("queue",)),
        a_key("other", tasks=("other",)),
        a_key("boss", is_admin=True),
    )
    served = serve(plain_artefact, upstream_url=upstream[1], keys=keys)
    assert ask(served, SURE).status_code == 401
    assert ask(served, SURE, "wrong").status_code == 401
    assert ask(served, SURE, "secret-all").status_code == 200
    assert ask(served, SURE, "secret-queue").status_code == 200
    assert ask(served, SURE, "secret-other").status_code == 403
    passing = httpx.post(
        f"{served.base_url}/embeddings", json={"input": "x"}, headers={"authorization": "Bearer secret-queue"}
    )
    assert passing.status_code == 403
    for key, status in ((None, 401), ("all", 403), ("boss", 200)):
        headers = {} if key is None else {"authorization": f"Bearer secret-{key}"}
        assert httpx.post(f"{served.running.url}/admin/reload", headers=headers).status_code == status
    assert {row.key_name for row in served.rows()} == {"all", "queue"}


def test_pages_of_other_sites_are_kept_away(plain_artefact: Path, serve: Serve) -> None:
    served = serve(plain_artefact)
    address = f"{served.base_url}/chat/completions"
    for headers, status in (
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "rebound.example"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
        ({"host": "localhost:1"}, 200),
    ):
        assert httpx.post(address, json=chat_request(SURE), headers=headers).status_code == status
    assert (
        httpx.post(
            f"{served.running.url}/admin/reload", headers={"origin": "https://evil.example"}
        ).status_code
        == 403
    )


def test_strangers_learn_only_whether_it_is_ready(plain_artefact: Path, serve: Serve) -> None:
    served = serve(plain_artefact, keys=(a_key("a"),))
    assert httpx.get(f"{served.running.url}/readyz").json() == {"ready": True}
    headers = {"authorization": "Bearer secret-a"}
    assert "tasks" in httpx.get(f"{served.running.url}/readyz", headers=headers).json()


def test_old_texts_are_removed(tmp_path: Path, upstream: Upstream, serve: Serve) -> None:
    ledger = LedgerSettings(str(tmp_path / "old.db"), keeps_texts=True, keep_days=0.0)
    served = serve(upstream_url=upstream[1], ledger=ledger)
    ask(served, SURE)
    assert len(served.rows()) == 1
    again = serve(upstream_url=upstream[1], ledger=replace(ledger, spool=tmp_path / "another"))
    deadline = time.monotonic() + 10
    from understudy.ledger.export import export_calls

    while list(export_calls(again.server.ledger)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(export_calls(again.server.ledger))
    assert len(again.rows()) == 1  # who answered and what it cost stays


def test_a_key_that_has_spent_its_day_is_stopped(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    served = serve(plain_artefact, upstream_url=upstream[1], keys=(a_key("small", usd_per_day=0.00004),))
    assert ask(served, UNSURE, "secret-small").status_code == 200
    reply = ask(served, UNSURE, "secret-small")
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "insufficient_quota")
    assert ask(served, SURE, "secret-small").status_code == 200  # costs nothing upstream


def test_the_upstream_gets_its_own_key_and_never_the_caller_s(
    plain_artefact: Path, upstream: Upstream, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted, url = upstream
    monkeypatch.setenv("TEACHER_KEY", "sk-teacher")
    own = serve(plain_artefact, upstream=UpstreamSettings(url, key_env="TEACHER_KEY"), keys=(a_key("a"),))
    ask(own, UNSURE, "secret-a")
    assert scripted.seen[-1][1]["authorization"] == "Bearer sk-teacher"
    passed = serve(plain_artefact, upstream=UpstreamSettings(url, is_key_passed=True))
    ask(passed, UNSURE, "sk-caller")
    assert scripted.seen[-1][1]["authorization"] == "Bearer sk-caller"
    without = serve(plain_artefact, upstream_url=url)
    ask(without, UNSURE, "sk-caller")
    assert "authorization" not in scripted.seen[-1][1]


def test_swap_and_roll_back_under_load_lose_nothing(
    tmp_path: Path, plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    folder = tmp_path / "artefact"
    shutil.copytree(plain_artefact, folder)
    served = serve(folder, upstream_url=upstream[1])
    before = served.server.registry.current.tasks["queue"].artefact_id
    statuses: list[int] = []
    artefacts: set[str] = set()
    is_over = threading.Event()

    def load() -> None:
        with httpx.Client(timeout=20) as client:
            while not is_over.is_set():
                reply = client.post(f"{served.base_url}/chat/completions", json=chat_request(SURE))
                statuses.append(reply.status_code)
                artefacts.add(reply.headers["x-understudy-artefact"])

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest.pop("files")
    write_manifest(folder, {**manifest, "id": "second"})
    reply = httpx.post(f"{served.running.url}/admin/reload", timeout=20)
    assert reply.json()["tasks"][0]["artefact"] == "second"
    time.sleep(0.3)
    (folder / "components" / "linear" / "linear.npz").write_bytes(b"broken")
    reply = httpx.post(f"{served.running.url}/admin/reload", timeout=20)
    assert reply.status_code == 409
    assert served.server.registry.current.tasks["queue"].artefact_id == "second"
    assert httpx.post(f"{served.running.url}/admin/rollback").json()["tasks"][0]["artefact"] == before
    time.sleep(0.3)
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert artefacts == {before, "second"}
    assert len(served.rows()) == len(statuses)


def test_health_readiness_metrics(plain_artefact: Path, upstream: Upstream, serve: Serve) -> None:
    served = serve(plain_artefact, upstream_url=upstream[1])
    ask(served, SURE)
    ask(served, UNSURE)
    assert httpx.get(f"{served.running.url}/healthz").text == "ok\n"
    ready = httpx.get(f"{served.running.url}/readyz").json()
    assert ready["ready"]
    assert "With 95 % confidence" in ready["tasks"][0]["certificate"]
    page = httpx.get(f"{served.running.url}/metrics").text
    assert 'understudy_calls_total{task="queue",answered_by="student",status="200"} 1' in page
    assert 'understudy_call_seconds_bucket{answered_by="upstream",le="+Inf"} 1' in page


def test_requests_that_are_too_large_or_too_many_are_refused(plain_artefact: Path, serve: Serve) -> None:
    served = serve(plain_artefact, body_bytes=2_000)
    reply = ask(served, "x" * 3_000)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")
    full = serve(plain_artefact, most_at_once=0)
    assert ask(full, SURE).status_code == 429


def test_settings_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(
        '[server]\nport = 9000\nwhen_alone = "answer"\n[upstream]\nurl = "http://localhost:1/v1"\nprice = "1/2"\n'
        '[ledger]\nurl = "postgresql://x/y"\nkeeps_texts = true\n[[task]]\nartefact = "a"\nname = "n"\n'
        f'[[key]]\nname = "k"\nsha256 = "{"0" * 64}"\ntasks = ["n"]\n',
        encoding="utf-8",
    )
    settings = read_settings(path)
    assert settings.tasks == (TaskSettings(Path("a"), "n"),)
    assert settings.keys[0].tasks == ("n",)
    assert settings.ledger.is_remote
    assert settings.port == 9000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nporrt = 1", "porrt"),
        ('[server]\nport = 99999\n[[task]]\nartefact = "a"', "65,535"),
        ("[srever]\n", "srever"),
        ('[upstream]\nurl = "ftp://x"', "http"),
        ('[upstream]\nurl = "http://x"\n[server]\nhost = "0.0.0.0"', "keys"),
        ('[upstream]\nurl = "http://x"\n[[key]]\nname = "k"\nsha256 = "abc"', "64"),
        ("", "nothing to serve"),
        ('[server]\nmode = "shadow"\n[[task]]\nartefact = "a"', "upstream"),
        ("[server", "cannot be read"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_settings(path)


def test_two_artefacts_under_one_name_are_refused(plain_artefact: Path) -> None:
    from understudy.serving.registry import Registry

    with pytest.raises(ConfigError, match="one name"):
        Registry([TaskSettings(plain_artefact), TaskSettings(plain_artefact)])
    assert len(Registry([TaskSettings(plain_artefact), TaskSettings(plain_artefact, "b")]).current.tasks) == 2
    assert ServeSettings(tasks=(TaskSettings(plain_artefact),)).host == "127.0.0.1"


def test_what_cannot_be_written_down_is_not_acknowledged(
    plain_artefact: Path, upstream: Upstream, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: no answer without its row, and service again as soon as there is room."""
    from understudy.ledger.errors import LedgerError

    served = serve(plain_artefact, upstream_url=upstream[1])

    def full(_lines: object) -> None:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(served.server.spool, "write", full)
        for text in (SURE, UNSURE):
            reply = ask(served, text)
            assert (reply.status_code, reply.json()["error"]["code"]) == (503, "ledger_unavailable")
        with httpx.stream(
            "POST", f"{served.base_url}/chat/completions", json=chat_request(UNSURE, stream=True)
        ) as got:
            seen = b""
            try:
                for piece in got.iter_raw():
                    seen += piece
            except httpx.HTTPError:
                pass
        assert b"[DONE]" not in seen
    assert ask(served, SURE).status_code == 200
    assert len(served.rows()) == 1
    assert "understudy_ledger_failures_total 3" in httpx.get(f"{served.running.url}/metrics").text


def test_service_goes_on_while_the_database_is_down(
    plain_artefact: Path, serve: Serve, tmp_path: Path
) -> None:
    from ledger.own_postgres import OwnPostgres

    postgres = OwnPostgres()
    try:
        ledger = LedgerSettings(postgres.url, spool=tmp_path / "spool")
        served = serve(plain_artefact, ledger=ledger)  # starts while the database is not up yet
        for _ in range(5):
            assert ask(served, SURE).status_code == 200
        postgres.start()
        for _ in range(5):
            assert ask(served, SURE).status_code == 200
        postgres.stop()
        for _ in range(5):
            assert ask(served, SURE).status_code == 200
        postgres.start()
        deadline = time.monotonic() + 30
        while served.server.drainer.lag_records and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(served.rows()) == 15
    finally:
        postgres.remove()
