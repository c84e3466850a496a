"""Encoder rungs through the ladder, with an encoder small enough for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import understudy
from tiny_encoder import write_tiny_encoder


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("log") / "calls.jsonl"
    with path.open("w") as stream:
        for at in range(420):
            place = ["north", "south", "east"][rng.integers(3)]
            code = f"ab{rng.integers(100, 999)}" if rng.random() < 0.6 else None
            words = [
                "the",
                "parcel",
                "from",
                "the",
                place,
                "office",
                *(["order", code] if code else ["please"]),
                str(at),
            ]
            # Some random answers keep the linear rung from a coverage that would end the climb.
            said = place if rng.random() < 0.85 else "north"
            stream.write(
                json.dumps({"input": " ".join(words), "output": {"place": said, "order": code}}) + "\n"
            )
    return path


def test_every_rung_is_tried_and_a_later_run_goes_on(log: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base = str(write_tiny_encoder(tmp_path / "base"))
    common = {"base": base, "cache": tmp_path / "cache", "target": 0.97, "teacher_price": "0.01"}
    first = understudy.learn(log, out=tmp_path / "first", rungs="linear,frozen,tuned", **common)
    assert [rung["status"] for rung in first.facts["rungs"]] == ["fitted"] * 3
    second = understudy.learn(log, out=tmp_path / "second", rungs="linear,frozen,tuned,distilled", **common)
    states = {rung["name"]: rung["status"] for rung in second.facts["rungs"]}
    assert states == {"linear": "cached", "frozen": "cached", "tuned": "cached", "distilled": "fitted"}
    for rung in second.facts["rungs"]:
        assert rung["float_agreement"] > 0.9
        assert rung["size_bytes"] > 0
    frozen = second.facts["rungs"][1]
    assert set(frozen["accuracy"]) == {"place"}  # it cannot point, and lends its field to averages alone
    answers = second.load().answer_batch(["the parcel from the north office order ab555"] * 3)
    assert len({(one.confidence, str(one.fields)) for one in answers}) == 1


def test_an_unknown_base_is_said_before_anything_is_trained(log: Path, tmp_path: Path) -> None:
    with pytest.raises(understudy.UnderstudyError) as caught:
        understudy.learn(log, out=tmp_path / "a", rungs="frozen", base=str(tmp_path / "nowhere"), cache=None)
    assert "nowhere" in str(caught.value)


def test_recorded_reasons_are_learnt_from_where_asked(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base = str(write_tiny_encoder(tmp_path / "base"))
    log = tmp_path / "calls.jsonl"
    rng = np.random.default_rng(0)
    with log.open("w") as stream:
        for at in range(160):
            place = ["north", "south"][at % 2]
            text = f"{' '.join(str(number) for number in rng.integers(10**4, 10**6, 4))} from the {place}"
            row = {"input": text, "output": place, "rationale": f"it is from the {place}"}
            stream.write(json.dumps(row) + "\n")
    common = {"base": base, "cache": tmp_path / "cache", "target": 0.8, "rungs": "tuned"}
    plain = understudy.learn(log, out=tmp_path / "plain", **common)
    taught = understudy.learn(log, out=tmp_path / "taught", use_rationales=True, **common)
    assert [one.facts["rungs"][0]["status"] for one in (plain, taught)] == ["fitted", "fitted"]
    assert plain.facts["id"] != taught.facts["id"]


def test_a_kill_while_an_encoder_trains_ends_in_the_same_artefact(log: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base = str(write_tiny_encoder(tmp_path / "base"))

    def command(name: str) -> list[str]:
        words = ["learn", str(log), "--rungs", "linear,tuned", "--target", "0.97", "--base", base]
        places = ["--out", str(tmp_path / name), "--cache", str(tmp_path / f"cache-{name}")]
        return [sys.executable, "-m", "understudy", *words, *places]

    with subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        cache, give_up = tmp_path / "cache-killed", time.monotonic() + 120
        # One finished entry is the linear rung; the scratch folder beside it is the tuned one at work.
        while time.monotonic() < give_up and not (list(cache.glob("[!.]*")) and list(cache.glob(".*"))):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    for name in ("killed", "whole"):
        assert subprocess.run(command(name), capture_output=True).returncode in (0, 4)
    ids = set()
    for name in ("killed", "whole"):
        folder = next(path for path in (tmp_path / name, tmp_path / f"{name}-not-certified") if path.exists())
        ids.add(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["id"])
        states = json.loads((folder / "facts.json").read_text(encoding="utf-8"))["rungs"]
        assert [one["status"] for one in states] == (
            ["cached", "fitted"] if name == "killed" else ["fitted"] * 2
        )
    assert len(ids) == 1
