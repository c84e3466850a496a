from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.errors import DataError
from understudy.students.linear import LinearStudent
from understudy.students.targets import Targets
from understudy.task.field import Field
from understudy.task.problem import Problem

COLOURS = ["red apple pie", "green grass field", "blue sky above"] * 30
LABELS = ["red", "green", "blue"] * 30


def test_scikit_learn_style_use() -> None:
    model = LinearStudent().fit(COLOURS, LABELS)
    assert model.predict(["a red pie", "the sky is blue"]) == ["red", "blue"]
    assert model.classes_ == ["blue", "green", "red"]
    assert model.predict_proba(["a red pie"]).shape == (1, 3)
    assert LinearStudent(strength=1.5).get_params()["strength"] == 1.5


def test_one_label_alone_is_refused_with_a_reason() -> None:
    with pytest.raises(DataError, match="fewer than two"):
        LinearStudent().fit(COLOURS, ["red"] * len(COLOURS))


def test_chinese_is_learnt_and_the_export_agrees(tmp_path: Path) -> None:
    inputs = ["我的包裹还没到", "快递在哪里", "请给我退款", "钱还没退回来"] * 15
    labels = ["delivery", "delivery", "billing", "billing"] * 15
    component = LinearStudent().fit(inputs, labels).component(tmp_path)
    assert component.predict([("包裹在哪",), ("退款什么时候到",)])[0].values == ["delivery", "billing"]


def test_null_and_absent_are_different_answers(tmp_path: Path) -> None:
    field = Field("colour", "choice", ("red",), nullable=True, optional=True)
    problem = Problem(field, "classify", ("red", None, ABSENT))
    values = [{"red": "red", "green": None, "blue": ABSENT}[label] for label in LABELS]
    component = LinearStudent().fit(COLOURS, [Targets(problem, values)]).component(tmp_path)
    found = component.predict([("red apple",), ("green grass",), ("blue sky",)])[0].values
    assert found[0] == "red"
    assert found[1] is None
    assert found[2] is ABSENT


def test_soft_targets_move_probabilities() -> None:
    problem = Problem(Field("answer", "choice", ("yes", "no")), "classify", ("yes", "no"))
    inputs = ["same words here"] * 60
    soft = np.tile([0.8, 0.2], (60, 1))
    model = LinearStudent().fit(inputs, [Targets(problem, ["yes"] * 60, soft)])
    hard = LinearStudent().fit(inputs, [Targets(problem, ["yes"] * 60)])
    assert (
        0.5 < model.predict_proba(["same words here"])[0, 0] < hard.predict_proba(["same words here"])[0, 0]
    )


def test_spans_are_copied_verbatim_and_numbers_parsed(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    inputs, ids, sums = [], [], []
    for _ in range(120):
        code, amount = f"AB{rng.integers(100, 999)}", int(rng.integers(10, 99))
        has = rng.random() < 0.7
        inputs.append(
            (f"order {code} please refund {amount}.50 today" if has else "hello, any news of my thing",)
        )
        ids.append(code if has else None)
        sums.append(amount + 0.5 if has else None)
    targets = [
        Targets(Problem(Field("order", "span", nullable=True), "point", (None,)), ids),
        Targets(Problem(Field("sum", "number", nullable=True), "point", (None,)), sums),
    ]
    component = LinearStudent().fit(inputs, targets).component(tmp_path)
    order, amount = component.predict([("order AB555 please refund 77.50 today",), ("hello, any news",)])
    assert order.values == ["AB555", None]
    assert amount.values == [77.5, None]


def test_rows_that_teach_nothing_are_left_out() -> None:
    values = [label if at % 3 else UNKNOWN for at, label in enumerate(LABELS)]
    problem = Problem(
        Field("answer", "choice", ("red", "green", "blue")), "classify", ("red", "green", "blue")
    )
    model = LinearStudent().fit(COLOURS, [Targets(problem, values)])
    assert model.predict(["green grass"]) == ["green"]


def test_a_large_log_is_sampled_not_loaded_whole() -> None:
    model = LinearStudent(max_calls=30).fit(COLOURS, LABELS)
    assert model.predict(["a red pie"]) == ["red"]
