"""A scripted endpoint, and jobs of labelling against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teachers.scripted_server import Running, ScriptedServer
from teachers.workplace import Workplace
from understudy.teachers import asking


@pytest.fixture
def server() -> Iterator[tuple[ScriptedServer, str]]:
    """The server and its address."""
    scripted = ScriptedServer()
    running = Running(scripted.app).start()
    yield scripted, running.url
    running.stop()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries that tests can wait for; what the server asks for is kept."""
    monkeypatch.setattr(asking, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(asking, "_LONGEST_PAUSE_S", 0.02)


@pytest.fixture
def work(tmp_path: Path, server: tuple[ScriptedServer, str]) -> Workplace:
    return Workplace(tmp_path, server[1])


@pytest.fixture
def make_texts() -> Callable[[int], list[str]]:
    """Messages, about half of them of either queue."""
    return lambda count: [
        f"{'an invoice' if at % 2 else 'a parcel'} of case {at} is wrong" for at in range(count)
    ]
