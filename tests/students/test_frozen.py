from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tiny_encoder import write_tiny_encoder
from understudy.calls.call import ABSENT, UNKNOWN
from understudy.errors import ConfigError, DataError
from understudy.runtime.component import load_component
from understudy.students.check import check_student, toy_task
from understudy.students.frozen import FrozenStudent
from understudy.students.targets import Targets
from understudy.task.field import Field
from understudy.task.problem import Problem
from understudy.training.frozen_features import FrozenEncoder, frozen_encoder


def test_frozen_keeps_the_contract(tiny_base: Path) -> None:
    check_student(FrozenStudent(str(tiny_base)))


def test_plain_labels_as_in_scikit_learn(tiny_base: Path) -> None:
    texts = ["the red shirt", "a red shoe", "the blue dog", "a blue man"] * 8
    labels = [1, 1, 2, 2] * 8
    student = FrozenStudent(str(tiny_base)).fit(texts, labels)
    assert student.predict(texts) == labels
    assert student.predict_proba(texts).shape == (32, 2)
    assert student.classes_ == [1, 2]


def test_folds_do_not_embed_a_text_twice(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, targets = toy_task(frozenset({"classify"}), count=40)
    runs = 0
    encoder: FrozenEncoder = frozen_encoder(str(tiny_base), 256)
    once = encoder._model.run

    def counted(tokens: object) -> object:
        nonlocal runs
        runs += 1
        return once(tokens)  # type: ignore[arg-type]

    monkeypatch.setattr(encoder._model, "run", counted)
    fresh = [(f"{parts[0]} once more",) for parts in inputs]
    for _ in range(3):
        FrozenStudent(str(tiny_base)).fit(fresh, targets)
    assert runs == len(set(fresh))


def test_missing_classes_null_and_absent(tiny_base: Path) -> None:
    values = ("a", "b", "never", None, ABSENT)
    problem = Problem(
        Field("queue", "choice", ("a", "b", "never"), nullable=True, optional=True), "classify", values
    )
    texts = ["red shirt", "blue dog", "my invoice", "the office", "unknown"] * 6
    student = FrozenStudent(str(tiny_base)).fit(
        texts, [Targets(problem, ["a", "b", None, ABSENT, UNKNOWN] * 6)]
    )
    found = student.predict_fields(texts[:4])[0]
    assert found.values == ["a", "b", None, ABSENT]
    assert found.scores is not None
    assert found.scores[:, 2].max() < 1e-6


def test_a_single_known_row_is_enough_and_none_is_refused(tiny_base: Path) -> None:
    problem = Problem(Field("queue", "choice", ("a", "b")), "classify", ("a", "b"))
    student = FrozenStudent(str(tiny_base)).fit(["red", "dog"], [Targets(problem, ["b", UNKNOWN])])
    assert student.predict(["shirt"]) == ["b"]
    with pytest.raises(DataError, match="queue"):
        FrozenStudent(str(tiny_base)).fit(["red", "dog"], [Targets(problem, [UNKNOWN, UNKNOWN])])
    with pytest.raises(DataError, match="classes"):
        FrozenStudent(str(tiny_base)).fit(["red", "dog"], [Targets(problem, ["a", "z"])])
    number = Problem(Field("stars", "number"), "regress")
    with pytest.raises(DataError, match="stars"):
        FrozenStudent(str(tiny_base)).fit(["red", "dog"], [Targets(number, [1.0, float("nan")])])


def test_weights_decide_between_contradicting_rows(tiny_base: Path) -> None:
    texts, labels = ["red shirt"] * 20 + ["blue dog"] * 20, ["a", "b"] * 10 + ["b"] * 20
    weights = np.array([10.0, 0.1] * 10 + [1.0] * 20)
    assert FrozenStudent(str(tiny_base)).fit(texts, labels, sample_weight=weights).predict(["red shirt"]) == [
        "a"
    ]
    assert FrozenStudent(str(tiny_base)).fit(texts, labels, sample_weight=11 - weights).predict(
        ["red shirt"]
    ) == ["b"]


def test_a_family_that_cannot_be_frozen_is_named(tmp_path: Path) -> None:
    base = str(write_tiny_encoder(tmp_path, family="mpnet"))
    with pytest.raises(ConfigError, match="frozen"):
        FrozenStudent(base).fit(["red", "dog"], ["a", "b"])


def test_a_hidden_layer_is_served_as_it_was_learnt(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Classes through the hidden layer, a number beside it: one graph, equal to the float model."""
    monkeypatch.setattr("understudy.students.frozen.prefers_hidden", lambda *_args, **_kept: True)
    texts = [
        f"the {colour} {thing}" for colour in ("red", "blue", "green") for thing in ("shirt", "shoe", "dog")
    ]
    labels = [text.split()[1] for text in texts]
    stars = [float(len(text)) + 0.25 for text in texts]
    colour = Problem(
        Field("colour", "choice", ("blue", "green", "red")), "classify", ("blue", "green", "red")
    )
    number = Problem(Field("stars", "number"), "regress")
    targets = [Targets(number, stars * 12), Targets(colour, labels * 12)]
    student = FrozenStudent(str(tiny_base)).fit(texts * 12, targets)
    assert student.hidden_ is not None
    assert student.predict_fields(texts)[1].values == labels
    student.export(tmp_path)
    served = load_component(tmp_path).predict([(text,) for text in texts])
    assert served[1].values == labels
    own = student.predict_fields(texts)
    assert np.abs(served[1].scores - own[1].scores).max() < 0.02
    assert np.abs(np.array(served[0].values) - np.array(own[0].values)).max() < 0.05
