"""The commands as a user types them, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def run(*words: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "understudy", *map(str, words)]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small log and the artefact learnt from it."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    words = {"yes": "agree sure certainly fine", "no": "refuse never cannot reject"}
    with (folder / "calls.jsonl").open("w") as stream:
        for at in range(600):
            label = "yes" if rng.random() < 0.5 else "no"
            text = f"{' '.join(rng.choice(words[label].split(), 2))} about case {rng.integers(10**6)}"
            split = "test" if at >= 500 else "train"
            stream.write(json.dumps({"input": text, "output": label, "split": split}) + "\n")
    done = run(
        "learn",
        folder / "calls.jsonl",
        "--rungs",
        "linear",
        "--target",
        "0.9",
        "--out",
        folder / "model",
        "--cache",
        folder / "cache",
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_help_names_every_command_and_has_a_pasteable_example() -> None:
    root = run("--help")
    assert root.returncode == 0
    for name in ("inspect", "learn", "answer", "evaluate"):
        assert name in root.stdout
        assert "understudy" in run(name, "--help").stdout.split("Example", 1)[-1]


def test_a_wrong_option_exits_2_without_a_traceback(workplace: Path) -> None:
    for words in (
        ["learn", workplace / "calls.jsonl", "--target", "7"],
        ["learn", "nowhere.jsonl"],
        ["dance"],
        ["inspect", workplace / "calls.jsonl", "--map", "x"],
    ):
        done = run(*words)
        assert done.returncode == 2, (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_learn_prints_the_certificate_and_json(workplace: Path) -> None:
    words = [
        "learn",
        workplace / "calls.jsonl",
        "--rungs",
        "linear",
        "--target",
        "0.9",
        "--out",
        workplace / "again",
        "--cache",
        workplace / "cache",
    ]
    assert "With 95 % confidence" in " ".join(run(*words).stdout.split())
    facts = json.loads(run(*words, "--json").stdout)
    assert facts["certificate"]["is_certified"]


def test_a_dry_run_prints_times_and_writes_nothing(workplace: Path) -> None:
    done = run(
        "learn",
        workplace / "calls.jsonl",
        "--dry-run",
        "--out",
        workplace / "dry",
        "--cache",
        workplace / "drycache",
    )
    assert done.returncode == 0
    assert "linear" in done.stdout
    assert not (workplace / "dry").exists()


def test_answer_keeps_order_and_gives_a_line_per_line(workplace: Path) -> None:
    lines = ['"sure, certainly"', '{"id": 7, "input": "never, refuse"}', "not json", '{"text": "x"}', "12"]
    done = run("answer", workplace / "model", text="\n".join(lines) + "\n")
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.get("output") for row in out[:2]] == ["yes", "no"]
    assert out[1]["id"] == 7
    assert all("error" in row for row in out[2:])
    assert done.returncode == 3
    assert "3 refused" in done.stderr


def test_answer_resumes_a_killed_run(workplace: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"id": at, "input": f"sure case {at}"}) + "\n" for at in range(100)))
    assert run("answer", workplace / "model", source, "--out", out).returncode == 0
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:40]) + lines[40][:10])  # a kill in the middle of a line
    assert run("answer", workplace / "model", source, "--out", out).returncode == 2
    assert run("answer", workplace / "model", source, "--out", out, "--resume").returncode == 0
    assert out.read_bytes() == whole
    assert run("answer", workplace / "model", source, "--out", out, "--resume").returncode == 0
    assert out.read_bytes() == whole


def test_no_text_of_a_call_reaches_stderr(workplace: Path) -> None:
    done = run("answer", workplace / "model", text='"SECRETWORD sure"\nSECRETWORD\n')
    assert "SECRETWORD" not in done.stderr


def test_evaluate_measures_a_split(workplace: Path) -> None:
    done = run("evaluate", workplace / "model", workplace / "calls.jsonl", "--split", "test", "--json")
    figures = json.loads(done.stdout)
    assert figures["calls"] == 100
    assert figures["teacher"]["record"]["all"]["share"] > 0.9
    assert "gold" not in figures
    assert (
        "100 calls"
        in run("evaluate", workplace / "model", workplace / "calls.jsonl", "--split", "test").stdout
    )
    assert run("evaluate", workplace / "model", workplace / "calls.jsonl", "--split", "none").returncode == 3


def test_a_damaged_artefact_exits_5(workplace: Path, tmp_path: Path) -> None:
    assert run("answer", tmp_path, text='"x"\n').returncode == 5
