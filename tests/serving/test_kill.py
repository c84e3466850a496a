"""Whole processes of ``understudy serve``: killed without warning, and several at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.test_openai_client import SURE
from serving.upstream_app import chat_request
from understudy.ledger.database import Ledger
from understudy.ledger.drain import Drainer
from understudy.ledger.queries import recent
from understudy.ledger.spool import Spool


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Process:
    """``understudy serve`` in a process group of its own; what it says lies in ``said``."""

    def __init__(self, artefact: Path, folder: Path, *options: str) -> None:
        self.port, self.ledger = free_port(), folder / "ledger.db"
        command = [sys.executable, "-m", "understudy", "serve", str(artefact), "--ledger", str(self.ledger)]
        self.said = folder / "said.log"
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *options],
                stderr=said, start_new_session=True, cwd=folder,
            )  # fmt: skip
        self.url = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "the server did not start"
                assert self.process.poll() is None, "the server ended while starting"
                time.sleep(0.05)

    def lines(self) -> list[str]:
        """What it has said so far."""
        return self.said.read_text(encoding="utf-8").splitlines()

    def end(self) -> None:
        """Ask it to stop, and wait."""
        self.process.terminate()
        assert self.process.wait(timeout=40) in (0, -signal.SIGTERM)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def rows(self) -> list[str]:
        """Ids in the ledger once everything that was left behind has been taken up."""
        ledger = Ledger.open(self.ledger)
        spool = Spool(Path(f"{self.ledger}-spool"))
        drainer = Drainer(spool, ledger).start()
        deadline = time.monotonic() + 20
        # Adopted files are deleted after their commit; this process's own stays.
        while len(list(spool.folder.glob("*.spool"))) > 1:
            assert time.monotonic() < deadline, "what was left behind was not taken up"
            time.sleep(0.05)
        drainer.stop()
        spool.close()
        ids = [record.id for record in recent(ledger, 100_000)]
        ledger.close()
        return ids


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    made: list[Process] = []
    yield made
    for one in made:
        if one.process.poll() is None:
            one.kill()


def hammer(
    url: str, acknowledged: list[str], is_over: threading.Event, n_threads: int = 4
) -> list[threading.Thread]:
    def run() -> None:
        with httpx.Client(timeout=10) as client:
            while not is_over.is_set():
                try:
                    reply = client.post(f"{url}/v1/chat/completions", json=chat_request(SURE))
                except httpx.HTTPError:
                    return
                if reply.status_code == 200:
                    acknowledged.append(reply.headers["x-understudy-call"])

    threads = [threading.Thread(target=run) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    return threads


def test_what_was_acknowledged_survives_kill_9(
    plain_artefact: Path, tmp_path: Path, processes: list[Process]
) -> None:
    served = Process(plain_artefact, tmp_path)
    processes.append(served)
    acknowledged: list[str] = []
    is_over = threading.Event()
    threads = hammer(served.url, acknowledged, is_over)
    time.sleep(1.0)
    served.kill()
    is_over.set()
    for thread in threads:
        thread.join()
    ids = served.rows()
    assert len(acknowledged) > 50
    assert set(acknowledged) <= set(ids)
    assert len(ids) == len(set(ids))


def test_several_workers_lose_and_double_nothing_and_end_in_order(
    plain_artefact: Path, tmp_path: Path, processes: list[Process]
) -> None:
    served = Process(plain_artefact, tmp_path, "--workers", "2")
    processes.append(served)
    acknowledged: list[str] = []
    is_over = threading.Event()
    threads = hammer(served.url, acknowledged, is_over)
    time.sleep(1.5)
    is_over.set()
    for thread in threads:
        thread.join()
    served.process.terminate()
    assert served.process.wait(timeout=40) in (0, -signal.SIGTERM)
    ids = served.rows()
    assert sorted(acknowledged) == sorted(ids)
    assert len(ids) > 50
    assert not list(Path(f"{served.ledger}-spool").glob("*.spool")), "a spool file was left behind"
