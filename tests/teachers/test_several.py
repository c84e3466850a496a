"""Several teachers: answers of all, combined into one."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from typing import Any

import pytest

from teachers.scripted_server import ScriptedServer, queue_of
from teachers.workplace import Workplace
from understudy.calls.call import UNKNOWN
from understudy.task.field import Field
from understudy.task.task import Task
from understudy.teachers import combine
from understudy.teachers.combine import Combiner
from understudy.teachers.options import LabelOptions, TeacherOptions

MakeTexts = Callable[[int], list[str]]
HAS_CROWD_KIT = importlib.util.find_spec("crowdkit") is not None
needs_crowd_kit = pytest.mark.skipif(not HAS_CROWD_KIT, reason="crowd-kit is not installed")
RECORD = Task("t", (Field("queue", "choice", ("a", "b", "c")), Field("sum", "number"), Field("note", "text")))


def test_two_teachers_are_asked_each_and_both_are_heard(
    work: Workplace, server: tuple[ScriptedServer, str], make_texts: MakeTexts
) -> None:
    scripted, _ = server

    def say(text: str, model: str) -> Any:
        return {"answer": queue_of(text) if model == "good" or "case 3 " not in text else "billing"}

    scripted.say = say
    work.write(make_texts(12))
    receipt = work.label("good", "poor")
    lines = work.lines()
    assert all(len(line["votes"]) == 2 and line["model"] == "good+poor" for line in lines)
    assert [line["output"] for line in lines] == [queue_of(line["input"]) for line in lines]
    assert len(scripted.bodies) == 24
    facts = receipt.facts
    assert [teacher["model"] for teacher in facts["teachers"]] == ["good", "poor"]
    assert sum(teacher["cost_nanousd"] for teacher in facts["teachers"]) == facts["money"]["cost_nanousd"]
    combined = facts["combined"]["answer"]
    assert set(combined["estimated_accuracy"]) == {f"good at {work.url}", f"poor at {work.url}"}
    assert sum(line["cost_usd"] for line in lines) == pytest.approx(facts["money"]["cost_usd"])
    assert work.label("good", "poor").facts["money"]["cost_nanousd"] == 0


@pytest.mark.usefixtures("quick_retries")
def test_one_of_two_that_fails_leaves_the_other(
    work: Workplace, server: tuple[ScriptedServer, str], make_texts: MakeTexts
) -> None:
    server[0].script = ["empty"]
    work.write(make_texts(4))
    receipt = work.label("one", "two", concurrency=1)
    lines = work.lines()
    assert sorted(len(line["votes"]) for line in lines) == [1, 2, 2, 2]
    assert all(line["output"] == queue_of(line["input"]) for line in lines)
    assert receipt.n_missing == 1
    assert not list(work.folder.glob("*.partial*"))


def test_keys_go_to_their_own_teacher_only(
    work: Workplace, server: tuple[ScriptedServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_ONE", "sk-one")
    from understudy.teachers.label import label

    work.write(["a parcel"])
    teachers = (
        TeacherOptions(work.url, "one", key_env="KEY_ONE"),
        TeacherOptions(work.url, "two", key_env="-"),
    )
    task = Task("q", (Field("answer", "choice", ("billing", "delivery")),), instructions="Sort.")
    label(LabelOptions(work.inputs, work.out, teachers, task, cache=work.folder / "cache"))
    by_model = {body["model"]: key for body, key in zip(server[0].bodies, server[0].keys, strict=True)}
    assert by_model == {"one": "Bearer sk-one", "two": None}


def test_majority_with_ties_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combine, "_dawid_skene", lambda *_: None)
    combiner = Combiner(RECORD, 3)
    one = {"queue": "a", "sum": 1, "note": "so it is"}
    two = {"queue": "b", "sum": 1.0, "note": "so  it is"}
    three = {"queue": "c", "sum": 3, "note": "no"}
    assert combiner.add([one, two, three]) == 0
    combiner.add([three, two, two])
    combiner.add(["off the schema", UNKNOWN, one])
    combiner.add(["off the schema", UNKNOWN, UNKNOWN])
    found = combiner.fit()
    assert combiner.output(0) == {"queue": "a", "sum": 1, "note": "so it is"}
    assert combiner.output(1) == two
    assert combiner.output(2) == one
    assert combiner.output(3) is UNKNOWN
    assert found["queue"].method == "majority"
    assert "understudy[label]" in (found["queue"].reason or "")
    assert found["sum"].reason is None
    assert found["queue"].accuracies == (0.5, 0.5, 2 / 3)


@needs_crowd_kit
def test_the_label_model_finds_who_is_right() -> None:
    draw = random.Random(0)
    labels = ("a", "b", "c")
    task = Task("t", (Field("answer", "choice", labels, nullable=True),))
    skill = (0.95, 0.6, 0.6)
    combiner, truth = Combiner(task, 3), []
    for _ in range(400):
        right = draw.choice(labels)
        truth.append(right)
        combiner.add([right if draw.random() < good else draw.choice(labels) for good in skill])
    found = combiner.fit()["answer"]
    assert found.method == "Dawid-Skene"
    assert found.accuracies[0] is not None
    assert found.accuracies[0] > 0.85
    assert all(other is not None and other < 0.8 for other in found.accuracies[1:])
    right = sum(combiner.output(row) == label for row, label in enumerate(truth)) / 400
    majority = combiner._votes[0].majority()
    plain = (
        sum(combiner._votes[0].values[at] == label for at, label in zip(majority, truth, strict=True)) / 400
    )
    assert right > plain


@needs_crowd_kit
def test_the_label_model_bears_absent_teachers_and_one_label() -> None:
    task = Task("t", (Field("answer", "boolean"),))
    combiner = Combiner(task, 3)
    for at in range(20):
        combiner.add([at % 2 == 0, at % 2 == 0, UNKNOWN])
    found = combiner.fit()["answer"]
    assert found.accuracies[2] is None
    assert [combiner.output(row) for row in range(20)] == [at % 2 == 0 for at in range(20)]
    same = Combiner(task, 2)
    same.add([True, True])
    assert same.fit()["answer"].method == "majority"
    assert same.output(0) is True
