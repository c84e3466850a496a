"""The overview: what is known, what is not, and nobody's text as markup."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.conftest import Served
from understudy.ledger.errors import LedgerError
from understudy.ledger.record import CallRecord, new_call_id
from understudy.serving.dashboard.periods import PERIODS
from understudy.serving.settings import UpstreamSettings

Serve = Callable[..., Served]


def a_call(**changes: Any) -> CallRecord:
    given: dict[str, Any] = {
        "id": new_call_id(), "time_ms": time.time_ns() // 1_000_000, "answered_by": "student", "mode": "serve",
        "status": 200, "latency_us": 1_500, "task": "support",
    }  # fmt: skip
    return CallRecord(**{**given, **changes})


@pytest.fixture
def served(serve: Serve) -> Served:
    return serve(upstream=UpstreamSettings("http://127.0.0.1:9/v1"))


def words(page: httpx.Response) -> str:
    """What a person reads, tags cut off."""
    assert page.status_code == 200, page.text
    body = re.sub(r"(?s)<(svg|head)\b.*?</\1>", " ", page.text)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def get(served: Served, query: str = "") -> httpx.Response:
    return httpx.get(f"{served.running.url}/dashboard{query}", timeout=20)


def test_an_empty_ledger_says_what_to_do(served: Served) -> None:
    page = words(get(served))
    assert "No calls yet" in page
    assert f"client = OpenAI(base_url=&quot;{served.base_url}&quot;)" in page
    served.server.ledger.insert([a_call(time_ms=1)])
    assert "No calls in the last 24 hours" in words(get(served, "?period=24h"))


def test_unknown_money_is_never_nought(served: Served) -> None:
    served.server.ledger.insert([a_call() for _ in range(3)])
    page = words(get(served))
    for name in ("Saved", "Spent", "Would have cost"):
        assert f"{name} unknown for all 3 calls" in page
    assert "$0" not in page
    served.server.ledger.insert([a_call(cost_nanousd=10**6, teacher_cost_nanousd=51 * 10**6)])
    page = words(get(served))
    assert "Saved $0.05 and unknown for 3 calls" in page
    assert "Spent $0.001 and unknown for 3 calls" in page
    assert "3 calls of unknown cost are in no bar" in page
    assert "Agreement unknown nothing was compared" in page


def test_figures_of_the_period_and_the_task(served: Served) -> None:
    now_ms = time.time_ns() // 1_000_000
    day_ms = 86_400_000
    money = {"cost_nanousd": 10**9, "teacher_cost_nanousd": 3 * 10**9}
    served.server.ledger.insert(
        [
            *(a_call(**money) for _ in range(3)),
            a_call(
                answered_by="upstream",
                cost_nanousd=3 * 10**9,
                teacher_cost_nanousd=3 * 10**9,
                latency_us=900_000,
            ),
            a_call(answered_by="failed", status=502, error="upstream_timeout"),
            a_call(time_ms=now_ms - 3 * day_ms, **money),
            a_call(time_ms=now_ms - 20 * day_ms, task="triage", **money),
            a_call(time_ms=now_ms - 20 * day_ms, task=None, answered_by="upstream"),
        ]
    )
    day, week, month = (words(get(served, f"?period={key}")) for key in ("24h", "7d", "30d"))
    assert "Calls 5 in the last 24 hours" in day
    assert "Saved $6.00 in the last 24 hours" in day
    assert "Spent $6.00 and unknown for 1 calls" in day
    assert "Coverage 60 % 3 calls by students" in day
    assert "Failures 1 20 % of calls" in day
    assert "1.5 ms / 900 ms / 900 ms" in day
    assert "Calls 6" in week
    assert "Calls 8" in month
    assert "no task" in month
    triage = words(get(served, "?period=30d&task=triage"))
    assert "Calls 1 in" in triage
    assert "502" in day
    assert "not served now" in day


def test_texts_of_others_are_never_markup(served: Served) -> None:
    evil = "<script>alert(1)</script>\"'&\u202e"
    served.server.ledger.insert(
        [a_call(task=evil, model=evil, rung=evil, error=evil, key_name=evil, request='{"x": "secret text"}')]
    )
    for query in (
        "",
        f"?task={httpx.QueryParams({'t': evil})['t']}",
        "?task=%3Cimg%20src=x%20onerror=alert(1)%3E",
    ):
        page = get(served, query)
        assert "<script>" not in page.text
        assert "<img" not in page.text
        assert "secret text" not in page.text
    assert "&lt;script&gt;" in get(served).text


def test_an_unknown_period_is_told(served: Served) -> None:
    assert get(served, "?task=%00").status_code == 400
    reply = get(served, "?period=5y")
    assert reply.status_code == 400
    assert "24h, 7d, 30d, 90d" in reply.text


def test_a_database_that_is_down_is_told_without_its_words(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise LedgerError("down", given="postgresql://host: secret detail")

    monkeypatch.setattr("understudy.serving.dashboard.pages.overview", down)
    reply = get(served)
    assert reply.status_code == 503
    assert "does not answer" in reply.text
    assert "secret detail" not in reply.text


def test_a_mistake_of_ours_shows_no_text(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a user's text")

    monkeypatch.setattr("understudy.serving.dashboard.pages.overview", broken)
    reply = get(served)
    assert reply.status_code == 500
    assert "user's text" not in reply.text


def test_what_the_spool_still_holds_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(served.server.drainer), "lag_records", property(lambda _: 4_321))
    assert "4,321 calls are in the spool" in words(get(served))
    monkeypatch.setattr(type(served.server.drainer), "last_error", property(lambda _: "OperationalError"))
    assert "does not answer (OperationalError). 4,321 calls are safe" in words(get(served))


def test_too_many_who_look_at_once_are_sent_away_and_calls_are_not(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.serving.dashboard.pages._MOST_WAITING", 0)
    assert get(served).status_code == 503
    assert httpx.get(f"{served.running.url}/healthz").status_code == 200


def test_a_served_task_shows_its_certificate_and_state(plain_artefact: Path, serve: Serve) -> None:
    served = serve(plain_artefact)
    task = served.server.registry.current.tasks["queue"]
    assert "no evidence yet" in words(get(served))
    seen = {
        "task": "queue", "artefact_id": task.artefact_id, "answered_by": "upstream", "mode": "shadow", "confidence": 1.0
    }  # fmt: skip
    served.server.ledger.insert([a_call(**seen, is_agreeing=True) for _ in range(30)])
    page = words(get(served))
    assert "holds so far 0 of 30" in page
    assert "With 95 % confidence, " in page
    assert "30 of 30 answers that were compared" in page
    served.server.ledger.insert([a_call(**seen, is_agreeing=False) for _ in range(20)])
    page = words(get(served))
    assert "in doubt 20 of 50" in page
    assert "Review 20" not in page  # nothing to show without texts
    # Another artefact's comparisons say nothing of this one.
    served.server.ledger.insert(
        [a_call(**{**seen, "artefact_id": "other"}, is_agreeing=True) for _ in range(900)]
    )
    assert "in doubt 20 of 50" in words(get(served))


@pytest.mark.parametrize("key", list(PERIODS))
def test_periods_are_whole_and_end_now(key: str) -> None:
    period, now_ms = PERIODS[key], 1_800_000_123_456
    starts = period.starts_ms(now_ms)
    width = starts[1] - starts[0]
    assert len(starts) == period.n_steps
    assert starts[-1] <= now_ms < starts[-1] + width
    assert all(start % width == 0 for start in starts)
    assert len({period.label(start) for start in starts}) == period.n_steps
