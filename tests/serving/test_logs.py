"""What stands in the log, and what must not."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.test_kill import Process, processes  # noqa: F401  (a fixture)
from serving.test_openai_client import SURE, UNSURE, Upstream
from serving.upstream_app import chat_request
from understudy.serving.breaker import Breaker
from understudy.serving.events import tell
from understudy.serving.logs import JsonFormatter, TextFormatter, log_config

CANARY = "zanzibar"


def record(message: str, *args: Any, name: str = "understudy.serving", **extra: Any) -> logging.LogRecord:
    return logging.getLogger(name).makeRecord(
        name, logging.WARNING, "/src/place.py", 7, message, args, None, extra=extra
    )


def test_an_event_in_both_forms() -> None:
    made = record("call", fields={"task": "queue", "latency_ms": 1.5, "error": None, "why": 'a "b" c'})
    facts = json.loads(JsonFormatter().format(made))
    assert facts.pop("time").endswith("Z")
    assert facts == {
        "level": "warning",
        "event": "call",
        "task": "queue",
        "latency_ms": 1.5,
        "why": 'a "b" c',
    }
    line = TextFormatter().format(made)
    assert line.split(" ", 1)[1] == 'warning call task=queue latency_ms=1.5 why="a \\"b\\" c"'


def test_a_line_is_a_line() -> None:
    made = record("reload_failed", fields={"reason": "first\nsecond \u2028 third"})
    for kind in (JsonFormatter, TextFormatter):
        assert len(kind().format(made).splitlines()) == 1


@pytest.mark.parametrize("name", ["asyncio", "httpx", "uvicorn.error", "understudy.serving"])
def test_what_libraries_say_quotes_nobody(name: str) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        caught = sys.exc_info()
    foreign = record(f"one {CANARY}", name=name) if name in ("asyncio", "httpx") else record("one", name=name)
    filled = record("tries of %s", CANARY, name="httpx")
    broken = record("it broke\nbecause of zanzibar", name="uvicorn.error")
    broken.exc_info = caught
    for made in (foreign, filled, broken):
        for kind in (JsonFormatter, TextFormatter):
            assert CANARY not in kind().format(made)
    assert json.loads(JsonFormatter().format(filled))["message"] == "tries of %s"
    facts = json.loads(JsonFormatter().format(broken))
    assert facts["message"] == "it broke"
    assert facts["error"].startswith("ValueError at test_logs.py:")


@pytest.fixture
def restored() -> Iterator[None]:
    """Leaves logging as it was."""
    names = ("understudy", "understudy.access", "uvicorn", "uvicorn.error")
    before = {name: logging.getLogger(name).level for name in names}
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    for name, was in before.items():
        logging.getLogger(name).setLevel(was)


def test_levels(restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(log_config("json", "warning", has_access_log=True))
    tell(logging.INFO, "quiet")
    tell(logging.WARNING, "loud")
    tell(logging.INFO, "call", logger=logging.getLogger("understudy.access"))
    logging.getLogger("httpx").info("POST http://host/path")
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["loud", "call"]
    logging.config.dictConfig(log_config("json", "debug", has_access_log=False))
    logging.getLogger("httpcore").debug("headers")
    tell(logging.INFO, "call", logger=logging.getLogger("understudy.access"))
    assert capsys.readouterr().err == ""


def test_the_circuit_tells_that_it_opens_and_closes() -> None:
    now, told = [0.0], []
    breaker = Breaker(most_failures=2, rest_s=10, clock=lambda: now[0], told=told.append)
    for _ in range(2):
        breaker.failed()
    now[0] = 11
    assert breaker.allows()
    breaker.failed()
    now[0] = 22
    assert breaker.allows()
    breaker.succeeded()
    breaker.succeeded()
    assert told == [True, False]


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_holds_a_text_a_path_a_header_or_a_key(
    plain_artefact: Path,
    upstream: Upstream,
    tmp_path: Path,
    processes: list[Process],  # noqa: F811
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted, url = upstream
    monkeypatch.setenv("TEACHER_KEY", f"sk-{CANARY}")
    scripted.message = CANARY
    scripted.headers = {"x-reason": CANARY, "retry-after": "0"}
    options = ["--upstream", url, "--key-env", "TEACHER_KEY", "--log-format", form, "--log-level", "debug"]
    served = Process(plain_artefact, tmp_path, *options, "--access-log")
    processes.append(served)
    headers = {"authorization": f"Bearer {CANARY}", "x-own": CANARY, "traceparent": CANARY}
    post = f"{served.url}/v1/chat/completions"
    for text, script in ((SURE, []), (UNSURE, []), (UNSURE, [503]), (UNSURE, [400]), (UNSURE, ["break"])):
        scripted.script = list(script)
        body = chat_request(f"{text} {CANARY}", user=CANARY, stream="break" in script)
        httpx.post(post, json=body, headers=headers, timeout=20)
    httpx.post(post, content=f"{{{CANARY}", headers=headers)
    httpx.post(post, json={"model": f"understudy/{CANARY}", "messages": []}, headers=headers)
    httpx.get(f"{served.url}/v1/{CANARY}?q={CANARY}", headers=headers)
    httpx.post(f"{served.url}/v1/..%2f{CANARY}", headers=headers)
    httpx.get(f"{served.url}/{CANARY}", headers=headers)
    httpx.post(f"{served.url}/admin/reload", headers=headers)
    scripted.script = ["hang"]
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(post, json=chat_request(f"{UNSURE} {CANARY}"), headers=headers, timeout=0.5)
    served.end()
    lines = served.lines()
    assert not [line for line in lines if CANARY in line]
    if form == "json":
        facts = [json.loads(line) for line in lines]
        calls = [
            (one["answered_by"], one["status"], one.get("error")) for one in facts if one["event"] == "call"
        ]
        assert calls == [
            ("student", 200, None),
            ("upstream", 200, None),
            ("upstream", 200, None),
            ("failed", 400, "upstream_400"),
            ("failed", 502, "upstream_broken"),
            ("failed", 499, "client_left"),
        ]
        events = [one["event"] for one in facts]
        assert events[0] == "starting"
        assert {"upstream_retry", "reloaded", "passed"} <= set(events)
        refused = [(one["status"], one["error"]) for one in facts if one["event"] == "refused"]
        assert refused == [(400, "invalid_json"), (404, "model_not_found"), (404, "not_found")]
    else:
        assert sum(" call call=" in line for line in lines) == 6


def test_calls_are_not_told_unless_asked_for(
    plain_artefact: Path,
    tmp_path: Path,
    processes: list[Process],  # noqa: F811
) -> None:
    served = Process(plain_artefact, tmp_path)
    processes.append(served)
    httpx.post(f"{served.url}/v1/chat/completions", json=chat_request(SURE))
    served.end()
    lines = served.lines()
    assert len(lines) == 5  # the task, the upstream, the ledger, the address, the dashboard
    assert lines[-2].startswith("listening on http://127.0.0.1:")
    assert lines[-1].endswith("/dashboard")
