"""What is picked: the unsure, unlike one another, the same every time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from teachers.scripted_server import ScriptedServer
from teachers.workplace import Workplace
from understudy.errors import ConfigError
from understudy.task.field import Field
from understudy.task.task import Task
from understudy.teachers.pick import pick_rows, student_confidence

TOPICS = ["parcel late courier", "invoice card charged", "refund broken exchange", "login password reset"]
INPUTS = [(f"{TOPICS[at % 4]} number {at}",) for at in range(400)]


def test_without_a_student_what_is_unlike_is_picked() -> None:
    rows = pick_rows(INPUTS, 4)
    assert {row % 4 for row in rows} == {0, 1, 2, 3}
    assert rows == sorted(rows)
    assert pick_rows(INPUTS, 4) == rows
    texts = [INPUTS[row] for row in rows]
    # Where an input stands in the file does not matter.
    assert sorted(INPUTS[::-1][row] for row in pick_rows(INPUTS[::-1], 4)) == sorted(texts)
    assert pick_rows(INPUTS, 4, seed=1) != rows


def test_copies_are_never_picked_twice() -> None:
    assert len(pick_rows([("the same",)] * 50 + [("  The SAME ",), ("another",)], 10)) == 2
    assert pick_rows([], 3) == []


def test_with_a_student_only_the_unsure_are_picked() -> None:
    confidence = np.linspace(1.0, 0.0, len(INPUTS))
    rows = pick_rows(INPUTS, 10, confidence=confidence)
    assert len(rows) == 10
    assert min(rows) >= len(INPUTS) - 40
    assert len(INPUTS) - 1 in rows  # the least sure of all
    assert {row % 4 for row in rows} == {0, 1, 2, 3}


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import understudy

    folder = tmp_path_factory.mktemp("student")
    words = {"yes": "agree sure certainly fine", "no": "refuse never cannot reject"}
    rng = np.random.default_rng(0)
    with (folder / "calls.jsonl").open("w") as stream:
        for _ in range(600):
            label = "yes" if rng.random() < 0.5 else "no"
            text = f"{' '.join(rng.choice(words[label].split(), 2))} about case {rng.integers(10**6)}"
            stream.write(json.dumps({"input": text, "output": label}) + "\n")
    return understudy.learn(
        folder / "calls.jsonl", out=folder / "model", rungs=("linear",), target=0.9, cache=folder / "cache"
    ).folder


def test_a_job_labels_what_the_student_is_unsure_of(
    work: Workplace, server: tuple[ScriptedServer, str], artefact: Path
) -> None:
    task = Task("t", (Field("answer", "choice", ("yes", "no")),), instructions="Agree?")
    server[0].say = lambda _text, _: {"answer": "no"}
    sure = [f"agree sure about case {at}" for at in range(60)]
    unsure = ["zebra quartz", "ohm meadow violin", "agree refuse", "sure never", "lantern fig"]
    work.write([*sure[:30], *unsure, *sure[30:], {"input": "copper tide", "split": "test"}])
    receipt = work.label(task=task, pick=3, artefact=artefact)
    lines = work.lines()
    assert len(lines) == 3
    assert all(line["input"] in [*unsure, "copper tide"] for line in lines)
    assert all(line["split"] == ("test" if line["input"] == "copper tide" else "train") for line in lines)
    assert "no fair sample" in receipt.facts["notes"][0]
    assert len(server[0].bodies) == 3
    work.label(task=task, pick=3, artefact=artefact, split="validation")
    assert {line["split"] for line in work.lines()} <= {"validation", "test"}
    assert len(server[0].bodies) == 3


def test_an_artefact_for_other_inputs_is_refused(artefact: Path) -> None:
    with pytest.raises(ConfigError, match="inputs of another form"):
        student_confidence(artefact, [{"a": "b"}])
