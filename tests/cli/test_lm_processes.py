"""``--processes``: one command in several processes of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.cli.lm_options import says_what_is_kept
from understudy.cli.lm_processes import run_in_processes


def test_one_process_or_one_of_several_goes_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_in_processes(1, ["--version"], threads=1) is None
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert run_in_processes(2, ["--version"], threads=1) is None


def test_the_first_process_speaks_and_the_exit_code_is_theirs(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_in_processes(2, ["--version"], threads=1) == 0
    assert capfd.readouterr().out.count("understudy") == 1
    assert run_in_processes(2, ["inspect", "nowhere.jsonl"], threads=1) == 2
    assert capfd.readouterr().err.count("nowhere.jsonl") == 1


def test_an_interrupted_run_says_where_it_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), says_what_is_kept(tmp_path):
        raise KeyboardInterrupt
    assert "no checkpoint was written yet" in capsys.readouterr().err
    kept = tmp_path / "checkpoints" / "step-00000007"
    kept.mkdir(parents=True)
    (kept / "checkpoint.json").write_text("{}")
    with pytest.raises(KeyboardInterrupt), says_what_is_kept(tmp_path):
        raise KeyboardInterrupt
    assert str(kept) in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_train_the_model_that_one_trains(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(f"file {number} says what file {number} says\n" * 12)
    command = [
        sys.executable,
        "-m",
        "understudy",
        "lm",
        "train",
        "--texts",
        str(tmp_path),
        "--json",
        "--quiet",
    ]
    command += [
        "--steps",
        "6",
        "--batch",
        "4",
        "--sequence",
        "16",
        "--precision",
        "float32",
        "--peak-tflops",
        "1",
    ]
    found = []
    for words in (["--micro", "2"], ["--processes", "2"]):
        out = tmp_path / words[0][2:]
        done = subprocess.run(
            [*command, *words, "--out", str(out)], capture_output=True, check=True, text=True
        )
        found.append(json.loads(done.stdout))
    one, two = found
    for name in ("first_loss", "last_loss", "valid_loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-5)
