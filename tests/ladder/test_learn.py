"""The whole way from a log to an artefact, on the linear rung."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import understudy
from understudy.api import dry_run, make_options, read_log
from understudy.errors import ConfigError, DataError
from understudy.ladder.folds import CertifyGate
from understudy.ladder.result import LearnResult

QUEUES = {
    "delivery": "parcel late courier",
    "billing": "charged twice invoice",
    "account": "password login email",
}


def write_log(
    path: Path, count: int = 700, *, noise: float = 0.02, seed: int = 0, gold: bool = False
) -> Path:
    """Made-up messages whose words tell the queue, with a share of random answers."""
    rng = np.random.default_rng(seed)
    names, filler = (
        list(QUEUES),
        "please now today my the this order thing again help with about from week".split(),
    )
    with path.open("w", encoding="utf-8") as stream:
        for at in range(count):
            queue = names[rng.integers(3)]
            words = [*rng.choice(filler, 6), *rng.choice(QUEUES[queue].split(), 2), str(rng.integers(10**6))]
            rng.shuffle(words)
            said = names[rng.integers(3)] if rng.random() < noise else queue
            row: dict[str, Any] = {"id": f"c{at}", "input": " ".join(words), "output": said}
            if gold:
                row["gold"] = queue
            stream.write(json.dumps(row) + "\n")
    return path


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> LearnResult:
    folder = tmp_path_factory.mktemp("learnt")
    log = write_log(folder / "calls.jsonl", gold=True)
    return understudy.learn(
        log,
        out=folder / "artefact",
        rungs="linear",
        target=0.9,
        cache=folder / "cache",
        teacher_price="0.001",
    )


def test_an_easy_task_is_certified_and_answers(learnt: LearnResult) -> None:
    assert learnt.is_certified
    assert "95 % confidence" in learnt.sentence
    model = understudy.load(learnt.folder)
    answer = model.answer("my parcel is late, where is the courier")
    assert answer.is_answered
    assert answer.value == "delivery"
    assert 0.5 < answer.confidence <= 1
    assert answer.rung == "linear"


def test_the_facts_are_json_and_complete(learnt: LearnResult) -> None:
    facts = json.loads(learnt.to_json())
    assert (
        facts["data"]["n_train"] + facts["data"]["n_select"] + facts["data"]["n_certify"]
        <= facts["data"]["n_calls"]
    )
    assert facts["gold_certificate"]["sentence"]
    assert facts["breakeven"]["calls"] > 0
    assert facts["rungs"][0]["float_agreement"] >= 0.99
    assert {path.name for path in learnt.folder.iterdir()} == {
        "README.md", "components", "facts.json", "manifest.json", "receipt.json", "report.html",
    }  # fmt: skip


def test_same_bits_in_any_batch_process_and_folder(learnt: LearnResult, tmp_path: Path) -> None:
    texts = [f"my parcel {at} late invoice password" for at in range(64)] + ["", "🙂", "包裹"]
    model = understudy.load(learnt.folder)
    whole = [(one.value, one.confidence.hex()) for one in model.answer_batch(texts)]
    for size in (1, 7, 64):
        pieces = [
            one for at in range(0, len(texts), size) for one in model.answer_batch(texts[at : at + size])
        ]
        assert [(one.value, one.confidence.hex()) for one in pieces] == whole
    copy = tmp_path / "copy"
    shutil.copytree(learnt.folder, copy)
    script = (
        "import sys, json, understudy\n"
        "model = understudy.load(sys.argv[1])\n"
        "print(json.dumps([(a.value, a.confidence.hex()) for a in model.answer_batch(json.load(sys.stdin))]))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(copy)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in running:
        out, _ = process.communicate(json.dumps(texts), timeout=120)
        assert [tuple(pair) for pair in json.loads(out)] == whole


def test_the_certify_split_opens_once() -> None:
    gate = CertifyGate(lambda: "fold")  # type: ignore[arg-type,return-value]
    assert gate.open_once() == "fold"
    with pytest.raises(AssertionError, match="twice"):
        gate.open_once()


def test_learning_reads_the_certify_split_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No fold is ever made of certify rows but the one that the gate hands out, after the climb is over."""
    from understudy.ladder import build, climb, folds

    opened: list[list[str]] = []
    real = folds.make_fold

    def watched(data: Any, split: list[str], *args: Any, **kwargs: Any) -> Any:
        opened.append(list(split))
        return real(data, split, *args, **kwargs)

    monkeypatch.setattr(climb, "make_fold", watched)
    monkeypatch.setattr(build, "make_fold", watched)
    log = write_log(tmp_path / "calls.jsonl", 400)
    understudy.learn(log, out=tmp_path / "a", rungs="linear", target=0.8, cache=None)
    assert [split for split in opened if "certify" in split] == [["certify"]]
    assert opened[-1] == ["certify"]


def test_no_near_duplicate_straddles_the_splits(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with log.open("w") as stream:
        for at in range(300):
            text = f"message number {at % 100} about the {'parcel' if at % 2 else 'invoice'} that never came to my house"
            stream.write(json.dumps({"input": text, "output": "delivery" if at % 2 else "billing"}) + "\n")
    data, _ = read_log(log)
    for group in np.unique(data.group):
        assert len(set(data.split[data.group == group].tolist())) == 1


def test_a_useful_no_keeps_the_old_artefact(tmp_path: Path) -> None:
    good = write_log(tmp_path / "good.jsonl", 500)
    out = tmp_path / "artefact"
    assert understudy.learn(good, out=out, rungs="linear", target=0.8, cache=None).is_certified
    before = (out / "manifest.json").read_text()
    noisy = write_log(tmp_path / "noisy.jsonl", 300, noise=1.0, seed=1)
    result = understudy.learn(noisy, out=out, rungs="linear", target=0.95, cache=None)
    assert not result.is_certified
    assert result.folder == tmp_path / "artefact-not-certified"
    assert (out / "manifest.json").read_text() == before
    kinds = {step["kind"] for step in result.facts["next_steps"]}
    assert any(kind.startswith("why:") for kind in kinds)
    assert not result.load().answer("my parcel is late").is_answered


def test_a_required_text_field_defers_every_record_and_says_why(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    rng = np.random.default_rng(0)
    with log.open("w") as stream:
        for row in map(json.loads, write_log(tmp_path / "plain.jsonl", 400).read_text().splitlines()):
            prose = " ".join(rng.choice(list("abcdefgh"), 12))
            stream.write(
                json.dumps({"input": row["input"], "output": {"queue": row["output"], "why": prose}}) + "\n"
            )
    result = understudy.learn(log, out=tmp_path / "a", rungs="linear", target=0.8, cache=None)
    answer = result.load().answer("my parcel is late, courier")
    assert not answer.is_answered
    assert "why" in str(answer.reason)
    assert answer.fields["queue"].is_answered
    assert any("required = false" in warning for warning in result.facts["warnings"])


def test_repeated_inputs_are_looked_up_under_a_certificate_of_their_own(tmp_path: Path) -> None:
    rows = write_log(tmp_path / "once.jsonl", 1500).read_text().splitlines()
    log = tmp_path / "calls.jsonl"
    log.write_text("\n".join(rows * 2) + "\n")
    result = understudy.learn(log, out=tmp_path / "a", target=0.9, rungs="lookup,linear", cache=None)
    assert result.facts["chosen"].startswith("lookup")
    seen = json.loads(rows[0])["input"]
    model = result.load()
    assert {model.answer(json.loads(row)["input"]).rung for row in rows[:200]} >= {"lookup"}
    assert model.answer(f"{seen} new words entirely").rung == "linear"


def test_gold_is_learnt_and_certified_apart_from_the_teacher(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", 900, noise=0.3, gold=True)
    gold = understudy.learn(
        log, out=tmp_path / "gold", rungs="linear", target=0.9, learn_from="gold", cache=None
    )
    teacher = understudy.learn(log, out=tmp_path / "teacher", rungs="linear", target=0.9, cache=None)
    assert gold.is_certified
    assert gold.facts["certificate"]["reference"] == "gold"
    assert "right by the gold answers" in gold.sentence
    assert not teacher.is_certified  # the teacher is right seven times in ten, and its noise cannot be learnt
    assert "teacher" in teacher.facts["certificate"]["reference"]


def test_dry_run_trains_nothing(tmp_path: Path) -> None:
    data, _ = read_log(write_log(tmp_path / "calls.jsonl", 200))
    plans = dry_run(data, make_options({"cache": None}))
    assert [one.name for one in plans] == ["lookup", "linear", "frozen", "tuned", "distilled"]
    assert all(one.fit_seconds > 0 for one in plans)


def test_a_killed_run_resumes_and_ends_in_the_same_artefact(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", 600)
    command = [sys.executable, "-m", "understudy", "learn", str(log), "--rungs", "linear", "--target", "0.9"]
    whole = [*command, "--out", str(tmp_path / "whole"), "--cache", str(tmp_path / "cache1")]
    subprocess.run(whole, check=True, capture_output=True)
    killed = [*command, "--out", str(tmp_path / "killed"), "--cache", str(tmp_path / "cache2")]
    with subprocess.Popen(killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        give_up = time.monotonic() + 60
        while not any((tmp_path / "cache2").glob(".*")) and time.monotonic() < give_up:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "killed").exists()
    subprocess.run(killed, check=True, capture_output=True)
    ids = [json.loads((tmp_path / name / "manifest.json").read_text())["id"] for name in ("whole", "killed")]
    assert ids[0] == ids[1]
    assert not list((tmp_path / "cache2").glob(".*"))
    subprocess.run(killed, check=True, capture_output=True)
    facts = json.loads((tmp_path / "killed" / "facts.json").read_text(encoding="utf-8"))
    assert [rung["status"] for rung in facts["rungs"]] == ["cached"]


@pytest.mark.parametrize(
    ("options", "match"),
    [({"target": 1.5}, "between 0 and 1"), ({"rungs": "magic"}, "no rung 'magic'"), ({"of": "some"}, "unknown"),
     ({"rungs": "distilled"}, "tuned"), ({"banana": 1}, "unknown option")],
)  # fmt: skip
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, Any], match: str) -> None:
    log = write_log(tmp_path / "calls.jsonl", 60)
    with pytest.raises(ConfigError, match=match):
        understudy.learn(log, out=tmp_path / "a", cache=None, **options)


def bad_logs() -> dict[str, list[str]]:
    """Logs that nothing can be learnt from, by name."""
    call = json.dumps
    return {
        "empty": [],
        "one class": [call({"input": f"text {at}", "output": "yes"}) for at in range(50)],
        "no answers": [call({"input": f"text {at}"}) for at in range(50)],
        "broken lines": ["{not json", "[1, 2", "\x00\x00"],
        "only text": [
            call({"input": f"text {at}", "output": f"free {at} prose {at * 7} words"}) for at in range(80)
        ],
        "two calls": [call({"input": "a", "output": "x"}), call({"input": "b", "output": "y"})],
    }


@pytest.mark.parametrize("name", sorted(bad_logs()))
def test_logs_that_cannot_be_learnt_from_end_in_a_clear_message(tmp_path: Path, name: str) -> None:
    log = tmp_path / "calls.jsonl"
    log.write_text("\n".join(bad_logs()[name]))
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "learn", str(log), "--rungs", "linear", "--out", str(tmp_path / "a"), "--cache", str(tmp_path / "c")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (3, 4), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "a").exists()


def test_hostile_texts_are_learnt_from_and_answered(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    odd = ["🙂🙃", "مرحبا", "nul\x00byte", "<script>alert(1)</script>", "a" * 3000, "\u202eabc", "包裹", "ﬁ"]
    log = tmp_path / "calls.jsonl"
    with log.open("w", encoding="utf-8") as stream:
        for at in range(400):
            label = "yes" if at % 2 else "no"
            stream.write(
                json.dumps(
                    {
                        "id": "same",
                        "input": f"{odd[rng.integers(8)]} {label}word {at * 7919}",
                        "output": label,
                    }
                )
                + "\n"
            )
    result = understudy.learn(log, out=tmp_path / "a", rungs="linear", target=0.8, cache=None)
    assert result.is_certified
    assert "<script>alert" not in (result.folder / "report.html").read_text(encoding="utf-8")


def test_ten_calls_are_too_few_and_it_says_how_many_are_needed(tmp_path: Path) -> None:
    log = write_log(tmp_path / "calls.jsonl", 10)
    try:
        result = understudy.learn(log, out=tmp_path / "a", rungs="linear", cache=None)
    except DataError as error:
        assert "few" in str(error)
    else:
        assert not result.is_certified
        assert any(any(char.isdigit() for char in step["text"]) for step in result.facts["next_steps"])


def test_numbers_without_a_tolerance_are_pointed_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    log = tmp_path / "calls.jsonl"
    with log.open("w") as stream:
        for at in range(300):
            big = at % 2
            text = f"a {'huge heavy' if big else 'tiny light'} thing {' '.join(rng.choice(list('abcdefghij'), 6))} {at * 7919}"
            row = {"input": text, "output": round(float(9 * big + rng.normal()), 3)}
            stream.write(json.dumps(row) + "\n")
    result = understudy.learn(log, out=tmp_path / "a", rungs="linear", target=0.8, cache=None)
    assert any("tolerance" in warning for warning in result.facts["warnings"])


def test_without_the_teachers_answers_nothing_is_said_of_the_teacher(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    rows = [json.loads(line) for line in write_log(tmp_path / "plain.jsonl", 500).read_text().splitlines()]
    log.write_text("".join(json.dumps({"input": row["input"], "gold": row["output"]}) + "\n" for row in rows))
    result = understudy.learn(
        log, out=tmp_path / "a", rungs="linear", target=0.8, learn_from="gold", cache=None
    )
    assert result.is_certified
    assert result.facts["gold_certificate"]["teacher"] is None
    assert result.facts["non_inferiority"] is None
