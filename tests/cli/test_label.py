"""``understudy label`` as a user types it: exit codes, what goes where, killed in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teachers.scripted_server import Running, ScriptedServer, queue_of

COMMAND = [sys.executable, "-m", "understudy", "label"]
TASK = """
name = "queue"
instructions = "Sort the message."

[[field]]
name = "answer"
kind = "choice"
labels = ["billing", "delivery"]
"""


@pytest.fixture
def server() -> Iterator[tuple[ScriptedServer, str]]:
    scripted = ScriptedServer()
    running = Running(scripted.app).start()
    yield scripted, running.url
    running.stop()


@pytest.fixture
def words(tmp_path: Path, server: tuple[ScriptedServer, str]) -> list[str]:
    """A command line for 200 inputs."""
    texts = [f"{'an invoice' if at % 2 else 'a parcel'} of case {at}" for at in range(200)]
    (tmp_path / "inputs.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    (tmp_path / "task.toml").write_text(TASK)
    return [
        str(tmp_path / "inputs.jsonl"), "--teacher", server[1], "--model", "large", "--teacher-price", "1/2",
        "--task", str(tmp_path / "task.toml"), "--out", str(tmp_path / "out.jsonl"), "--cache", str(tmp_path / "c"),
    ]  # fmt: skip


def run(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], input=text, capture_output=True, text=True, timeout=60)


def test_data_goes_to_the_file_the_receipt_to_stdout_and_the_rest_to_stderr(
    words: list[str], tmp_path: Path
) -> None:
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts == json.loads((tmp_path / "out.jsonl.receipt.json").read_text())
    assert facts["lines"]["labelled"] == 200
    assert "200 labelled" in done.stderr
    assert "cost: $0.0" in done.stderr
    again = run(*words)
    assert again.stdout == ""
    assert "every answer was in the cache" in again.stderr
    assert run(*words, "--quiet").stderr == ""


def test_missing_answers_exit_3_with_how_many(words: list[str], server: tuple[ScriptedServer, str]) -> None:
    server[0].script = [400]
    done = run(*words)
    assert done.returncode == 3
    assert "1 answers are missing" in done.stderr
    assert "1 failed" in done.stderr
    assert "http_400" in done.stderr
    assert run(*words).returncode == 0
    assert sum(server[0].asked.values()) == 200


def test_wrong_options_exit_2_without_a_traceback(words: list[str], tmp_path: Path) -> None:
    for more in (
        ["--max-usd", "1", "--model", "b"],
        ["--key-env", "NOT_SET_ANYWHERE"],
        ["--instructions", str(tmp_path / "none.txt")],
        ["--repeats", "0"],
        ["--teacher-price", "x"],
    ):
        done = run(*words, *more)
        assert done.returncode == 2, (more, done.stderr)
        assert "Traceback" not in done.stderr
    assert run(str(tmp_path / "nowhere.jsonl"), *words[1:]).returncode == 2


def test_inputs_may_come_from_a_pipe(words: list[str], tmp_path: Path) -> None:
    done = run("-", *words[1:], text='"an invoice"\n')
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.jsonl").read_text())["output"] == "billing"


@pytest.mark.parametrize("kill_after", [20, 90])
def test_a_killed_run_goes_on_and_asks_nothing_twice(
    words: list[str], server: tuple[ScriptedServer, str], tmp_path: Path, kill_after: int
) -> None:
    scripted, _ = server
    scripted.delay_s = 0.01
    limit = ["--max-usd", "0.5"]
    process = subprocess.Popen([*COMMAND, *words, *limit], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 40
    while sum(scripted.asked.values()) < kill_after and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out.jsonl").exists()
    time.sleep(0.1)  # what was under way ends at the server
    asked = sum(scripted.asked.values())
    assert kill_after <= asked < 200
    done = run(*words, *limit, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["output"] for line in lines] == [queue_of(line["input"]) for line in lines]
    assert len(lines) == 200
    # Asked twice are at most those that were under way, whose answers nobody got.
    assert sum(scripted.asked.values()) <= 200 + 8
    calls = facts["teachers"][0]["calls"]
    assert calls["cached"] >= asked - 8
    assert calls["cached"] + calls["answered"] == 200
    # Those count against the limit too: what is counted is never less than the bill.
    counted = facts["money"]["counted_against_max_nanousd"]
    assert counted >= scripted.billed_usd * 10**9
    assert facts["money"]["earlier_runs_nanousd"] > 0


def test_help_has_an_example() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "understudy label inputs.jsonl" in done.stdout
