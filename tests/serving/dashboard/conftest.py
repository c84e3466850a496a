"""A server whose ledger holds a month of an invented shop, and a browser."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.conftest import Served
from serving.dashboard.chromium import Browser
from serving.dashboard.seeded import month

Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def shop_lines(example_calls: Path) -> list[dict[str, Any]]:
    """The example's recorded calls, in English: not every machine that takes pictures has Chinese letters."""
    lines = [json.loads(line) for line in example_calls.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["language"] == "en"]


@pytest.fixture(scope="session")
def shop_artefact(
    tmp_path_factory: pytest.TempPathFactory, shop_lines: list[dict[str, Any]], example_task: Path
) -> Path:
    """Learnt from the first 700 of them."""
    import understudy

    folder = tmp_path_factory.mktemp("shop")
    log = folder / "seen.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in shop_lines[:700]), encoding="utf-8")
    result = understudy.learn(
        log,
        task=example_task,
        rungs=("linear",),
        target=0.8,
        of="all",
        out=folder / "support",
        cache=folder / "cache",
    )
    assert result.is_certified, result.sentence
    return result.folder


@pytest.fixture
def shop(shop_artefact: Path, shop_lines: list[dict[str, Any]], serve: Serve) -> Served:
    """A server with a month behind it."""
    served = serve(shop_artefact)
    task = served.server.registry.current.tasks["support"]
    now_ms = time.time_ns() // 1_000_000
    served.server.ledger.insert(month(task, shop_lines[700:], now_ms))
    return served


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, or a skipped test."""
    profile = tmp_path_factory.mktemp("chromium")
    browser = Browser(profile)
    yield browser
    browser.close()
    shutil.rmtree(profile, ignore_errors=True)
