"""Both databases, each empty and of the test's own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from understudy.ledger.database import Ledger
from understudy.ledger.record import CallRecord, new_call_id

POSTGRES = os.environ.get("UNDERSTUDY_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A schema of the test's own in a running PostgreSQL."""
    psycopg = pytest.importorskip("psycopg")
    try:
        connection = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL answers (set UNDERSTUDY_TEST_POSTGRES to a URL)")
    name = f"ledger_{uuid.uuid4().hex[:12]}"
    with connection:
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{POSTGRES}?options=-csearch_path%3D{name}"
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of either kind."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url)
    yield ledger
    ledger.close()


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


@pytest.fixture
def record() -> Callable[..., CallRecord]:
    """A record of a call that the student answered; keywords change it."""

    def make(**changes: Any) -> CallRecord:
        given: dict[str, Any] = {
            "id": new_call_id(), "time_ms": 1_800_000_000_000, "answered_by": "student", "mode": "serve",
            "status": 200, "latency_us": 1500, "task": "support",
        }  # fmt: skip
        return CallRecord(**{**given, **changes})

    return make
