"""Types found in a log: the kinds, their limits, and the shapes of inputs."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from understudy.calls.call import ABSENT, UNKNOWN, Call
from understudy.errors import DataError
from understudy.task.compile import compile_problems, deferred_fields
from understudy.task.field import Field
from understudy.task.infer import find_line_labels, infer_input_names, infer_task, refine_text
from understudy.task.sketch import MAX_DISTINCT, OutputSketch
from understudy.task.task import Task

RNG = random.Random(0)
WORDS = [f"{a}{b}{c}" for a in "bcdfglm" for b in "aeiou" for c in "lnrst"]


def sentence(n: int = 12) -> str:
    return " ".join(RNG.choice(WORDS) for _ in range(n))


def calls(outputs: list[Any], inputs: list[Any] | None = None) -> list[Call]:
    given = inputs or [sentence() for _ in outputs]
    return [
        Call(f"c{at}", text, output) for at, (text, output) in enumerate(zip(given, outputs, strict=True))
    ]


def only_field(outputs: list[Any], inputs: list[Any] | None = None) -> Field:
    (field,) = infer_task(calls(outputs, inputs)).fields
    return field


def test_few_labels_are_a_choice() -> None:
    field = only_field([RNG.choice(["a", "b", "c"]) for _ in range(300)])
    assert (field.name, field.kind, set(field.labels)) == ("answer", "choice", {"a", "b", "c"})
    short = only_field(["yes", "no", "yes", "no", "yes", "yes", "no", "yes", "no", "no"])
    assert short.kind == "choice"


def test_many_labels_with_a_long_tail_are_still_a_choice() -> None:
    outputs = [f"label {min(int(RNG.paretovariate(0.8)), 400)}" for _ in range(4000)]
    assert only_field(outputs).kind == "choice"


def test_free_text_is_text() -> None:
    assert only_field([sentence() for _ in range(200)]).kind == "text"
    assert only_field([sentence() for _ in range(10)]).kind == "text"


def test_copied_values_are_spans_and_listed_answers_are_not() -> None:
    inputs = [sentence() for _ in range(400)]
    assert only_field([" ".join(text.split()[3:5]) for text in inputs], inputs).kind == "span"
    listed = [f"{text} Answer with good, bad or ugly." for text in inputs]
    assert only_field([RNG.choice(["good", "bad", "ugly"]) for _ in inputs], listed).kind == "choice"


def test_constants_do_not_speak_against_a_span() -> None:
    inputs = [sentence() for _ in range(400)]
    outputs = [text.split()[2] + " " + text.split()[3] if RNG.random() < 0.4 else "n/a" for text in inputs]
    task = infer_task(calls(outputs, inputs))
    assert task.fields[0].kind == "span"
    problem = compile_problems(task, {"answer": outputs}, [(text,) for text in inputs])[0]
    assert (problem.mode, problem.values) == ("point", ("n/a",))


def test_types() -> None:
    assert only_field([True, False] * 20).kind == "boolean"
    assert only_field([at * 1.5 for at in range(40)]).kind == "number"
    choices = only_field([["x"], ["y", "x"], []] * 20)
    assert (choices.kind, set(choices.labels)) == ("choices", {"x", "y"})
    assert only_field([[sentence()] for _ in range(40)]).kind == "text"
    assert only_field([[{"a": 1}]] * 40).kind == "text"


def test_null_makes_nullable_and_a_missing_key_optional() -> None:
    rows = [
        {"a": RNG.choice("xy"), "b": {"c": None if at % 3 else 1.5, "d": at % 2 == 0}} for at in range(90)
    ]
    for row in rows[::2]:
        del row["a"]
    for outputs in (rows, [f"```json\n{json.dumps(row)}\n```" for row in rows]):
        fields = {field.name: field for field in infer_task(calls(outputs)).fields}
        assert set(fields) == {"a", "b.c", "b.d"}
        assert (fields["a"].kind, fields["a"].optional, fields["a"].nullable) == ("choice", True, False)
        assert (fields["b.c"].kind, fields["b.c"].optional, fields["b.c"].nullable) == ("number", False, True)
        assert fields["b.d"].kind == "boolean"


def test_a_null_object_makes_its_fields_nullable() -> None:
    outputs = [{"k": "x", "a": None if at % 2 else {"b": True}} for at in range(40)]
    fields = {field.name: field for field in infer_task(calls(outputs)).fields}
    assert set(fields) == {"k", "a.b"}
    assert fields["a.b"].nullable
    assert not fields["a.b"].optional


def test_mixed_schemas_the_majority_wins() -> None:
    labels = [RNG.choice(["a", "b"]) for _ in range(70)]
    objects = [{"x": True}] * 30
    assert infer_task(calls(labels + objects)).is_plain
    assert not infer_task(calls(labels[:20] + objects)).is_plain


def test_ways_to_write_a_label_and_strays() -> None:
    outputs = ["billing"] * 60 + ["delivery"] * 60 + ["Billing"] * 3 + ["other"]
    outputs.append("I am sorry, but I cannot say which of the queues is meant here, as it is unclear to me.")
    assert set(only_field(outputs).labels) == {"billing", "delivery", "other"}


def test_gold_adds_labels_that_the_teacher_never_gives() -> None:
    rows = [Call(f"c{at}", sentence(), "ab"[at % 2], "abc"[at % 3]) for at in range(90)]
    assert set(infer_task(rows).fields[0].labels) == {"a", "b", "c"}


def test_no_answers_at_all() -> None:
    with pytest.raises(DataError, match="no call has an answer"):
        infer_task(calls([ABSENT, ABSENT]))


def test_objects_without_a_common_key() -> None:
    with pytest.raises(DataError, match="common key"):
        infer_task(calls([{f"k{at}": at} for at in range(50)]))


def test_the_sketch_is_bounded() -> None:
    sketch = OutputSketch()
    for at in range(MAX_DISTINCT * 3):
        sketch.add(f"value {at}", "")
    assert len(sketch.plain.values) == MAX_DISTINCT
    assert sketch.plain.is_open
    for at in range(3000):
        sketch.add({f"key {at}": 1}, "")
    assert len(sketch.paths) <= 2000


def test_inputs_of_records_and_of_labelled_lines() -> None:
    assert infer_input_names([{"p": "a", "h": "b"}] * 20) == ("p", "h")
    assert infer_input_names(["a"] * 20) == ()
    lines = [f"Premise: {sentence()}\nHypothesis: {sentence()}" for _ in range(50)]
    assert find_line_labels(lines) == ("Premise", "Hypothesis")
    assert find_line_labels([f"Note: {sentence()}" for _ in range(50)]) == ()
    assert find_line_labels([*lines, sentence(), sentence()]) == ()
    assert find_line_labels([f"{sentence()}\nAnswer Choices:\n(a) {sentence(1)}" for _ in range(50)]) == ()


def test_text_fields_of_a_json_schema_are_refined() -> None:
    given = Task("t", (Field("a", "text", nullable=True), Field("b", "text"), Field("c", "boolean")))
    seen = Task("t", (Field("a", "span"), Field("b", "choice", ("x",)), Field("c", "span")))
    assert [field.kind for field in refine_text(given, seen).fields] == ["span", "choice", "boolean"]
    assert refine_text(given, seen).fields[0].nullable


def test_problems_of_each_kind() -> None:
    fields = (
        Field("c", "choice", ("x", "y"), nullable=True, optional=True),
        Field("b", "boolean", nullable=True),
        Field("m", "choices", ("p", "q")),
        Field("few", "number"),
        Field("copied", "number", nullable=True),
        Field("many", "number"),
        Field("s", "span", optional=True),
        Field("t", "text"),
    )
    n = 200
    inputs = [(f"{sentence()} {at + 1000}",) for at in range(n)]
    columns = {
        "c": ["x", None, ABSENT, UNKNOWN] * 50,
        "b": [True, False] * 100,
        "m": [("p",)] * n,
        "few": [1, 2, 3, 4] * 50,
        "copied": [None if at % 4 == 0 else at + 1000 for at in range(n)],
        "many": [at * 0.37 for at in range(n)],
        "s": [text.split()[0] for (text,) in inputs],
        "t": ["free"] * n,
    }
    task = Task("t", fields)
    problems = {problem.field.name: problem for problem in compile_problems(task, columns, inputs)}
    assert {name: problem.mode for name, problem in problems.items()} == {
        "c": "classify", "b": "classify", "m": "multilabel", "few": "classify", "copied": "point",
        "many": "regress", "s": "point", "t": "write",
    }  # fmt: skip
    assert problems["c"].values == ("x", "y", None, ABSENT)
    assert problems["b"].values == (False, True)
    assert problems["few"].values == (1, 2, 3, 4)
    assert problems["copied"].values == (None,)
    assert problems["s"].values == ()
    assert problems["t"].values == ()
    assert deferred_fields(task) == ()


def test_sentences_of_a_log_that_repeats_its_calls_are_text() -> None:
    rows = [
        Call(f"c{at}", f"input {at}", f"a whole sentence that says why number {at} was decided so, at length")
        for at in range(80)
    ]
    assert infer_task(rows * 20, "task").fields[0].kind == "text"
