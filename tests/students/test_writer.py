"""The writer keeps the contract, is asked as it was trained, and settles on a confidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lm.tiny_base import make_base
from understudy.calls.call import ABSENT, UNKNOWN
from understudy.lm.config import DecoderConfig
from understudy.runtime.component import load_component
from understudy.students.base import LearnsRationales
from understudy.students.check import check_student
from understudy.students.targets import Targets
from understudy.students.writer import WriterStudent
from understudy.task.field import Field, values_equal
from understudy.task.problem import Problem

NOTE = Problem(Field("note", "text"), "write")


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders from scratch that take milliseconds a step."""

    def shape(vocab_size: int, _n_answer_tokens: int, context_tokens: int) -> DecoderConfig:
        return DecoderConfig(vocab_size, 64, 2, 2, 2, 160, context_tokens)

    monkeypatch.setattr("understudy.lm.finetune.scratch_shape", shape)


class NoteWriter(WriterStudent):
    """Only a text, which is then written as it is."""

    modes: ClassVar[Any] = frozenset({"write"})


def test_a_writer_of_texts_keeps_the_contract() -> None:
    assert isinstance(WriterStudent(), LearnsRationales)
    check_student(NoteWriter(steps=6, max_new_tokens=16))


@pytest.mark.slow
def test_a_writer_of_records_keeps_the_contract() -> None:
    check_student(WriterStudent(steps=30))


def learnt(**words: Any) -> tuple[WriterStudent, list[tuple[str, ...]], list[str]]:
    inputs = [(f"{colour} {thing}",) for colour in ("red", "blue") for thing in ("dog", "cat")] * 10
    answers = [f"{text.split()[1]}s/{text.split()[0]}" for (text,) in inputs]
    student = WriterStudent(steps=120, learning_rate=1e-2, **words)
    return student.fit(inputs, [Targets(NOTE, answers)]), inputs, answers


def test_it_learns_exports_settles_and_is_read_back(tmp_path: Path) -> None:
    student, inputs, answers = learnt()
    component, state = tmp_path / "component", tmp_path / "state"
    for folder in (component, state):
        folder.mkdir()
    student.export(component)
    found = load_component(component).predict(inputs[:4])[0]
    assert found.values == answers[:4]
    assert found.confidence.min() > 0.5
    before = json.loads((component / "component.json").read_text())
    assert before["confidence"]["kind"] == "mean_logprob"
    assert before["base"] is None
    student.settle(component, inputs, [Targets(NOTE, answers)])
    after = json.loads((component / "component.json").read_text())
    assert after["confidence_choice"]["n"] == 40
    assert after["confidence_choice"]["error_rate"] == 0
    assert set(after["confidence_choice"]["areas"]) == {"margin", "mean_logprob", "samples"}
    assert after["confidence"]["kind"] == "mean_logprob"  # nothing is wrong, so nothing dearer is better
    assert {**before, "confidence": 0} == {
        **{key: value for key, value in after.items() if key != "confidence_choice"},
        "confidence": 0,
    }
    student.save_state(state)
    again = WriterStudent()
    assert again.load_state(state)
    assert not WriterStudent().load_state(component)
    assert again.predict_fields(inputs[:4])[0].values == answers[:4]


def test_records_of_any_fields_are_read_with_their_types() -> None:
    problems = [
        Problem(Field("note", "text", nullable=True), "write", (None,)),
        Problem(Field("kind", "choice", (1, "x")), "classify", (1, "x")),
        Problem(Field("tags", "choices", ("a", "b")), "multilabel", ("a", "b")),
        Problem(Field("code", "span", optional=True), "point", (ABSENT,)),
        Problem(Field("size", "number"), "regress"),
    ]
    values: list[list[Any]] = [["hello", None], [1, "x"], [["b"], []], ["AB", ABSENT], [2.0, 3.5]]
    inputs = [("first AB",), ("second",)] * 8
    targets = [Targets(one, own * 8) for one, own in zip(problems, values, strict=True)]
    student = WriterStudent(steps=60, learning_rate=1e-2).fit(inputs, targets)
    found = student.predict_fields(inputs[:2])
    for problem, prediction, own in zip(problems, found, values, strict=True):
        for value, wanted in zip(prediction.values, own, strict=True):
            assert values_equal(problem.field, value, wanted), problem.field.name
            assert isinstance(value, type(wanted)) or problem is problems[-1]


def test_reasons_are_learnt_but_never_written() -> None:
    inputs = [("red dog",), ("blue cat",)] * 10
    answers = ["dogs", "cats"] * 10
    reasons = ["a dog is named", None] * 10
    student = WriterStudent(steps=60, learning_rate=1e-2)
    student.fit(inputs, [Targets(NOTE, answers)], rationales=reasons)
    assert student.record_["n_rows"] == 30
    assert student.predict(inputs[:2]) == ["dogs", "cats"]
    without = WriterStudent(steps=2, rationale_weight=0)
    without.fit(inputs, [Targets(NOTE, answers)], rationales=reasons)
    assert without.record_["n_rows"] == 20


def test_a_base_leaves_its_name_in_the_component(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    student = WriterStudent(str(base), "lora", precision="float32", steps=2, instructions="Sort.")
    student.fit([("red dog",)], [Targets(NOTE, ["dogs"])])
    (tmp_path / "out").mkdir()
    student.export(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "component.json").read_text())
    assert told["base"]["name"] == str(base)
    assert told["base"]["tuning"] == "lora"
    assert told["format"]["before"] == "Sort.\n\n"
    assert np.isfinite(load_component(tmp_path / "out").predict([("red dog",)])[0].confidence).all()


def test_rows_of_which_a_field_is_unknown_and_broken_characters_do_no_harm() -> None:
    inputs = [("red \ud800 dog",), ("blue cat",), ("",)]
    student = WriterStudent(steps=2).fit(inputs, [Targets(NOTE, ["d\udfffg", UNKNOWN, "x"])])
    assert student.record_["n_rows"] == 2
    assert len(student.predict(inputs)) == 3
