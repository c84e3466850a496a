from __future__ import annotations

import numpy as np
import pytest

from understudy.runtime.heads import Head, NumberScale, head_answers
from understudy.runtime.tokens import Tokenised
from understudy.task.field import Field
from understudy.task.problem import Problem

NO_TOKENS = Tokenised(*(np.zeros(0, dtype=np.int64),) * 4, is_truncated=False)


def answer(problem: Problem, head: Head, row: list[float]) -> tuple[object, float, object]:
    return head_answers([problem], [head], np.array(row), np.zeros((0, 0)), NO_TOKENS, ("",))[0]


def test_classes_by_softmax() -> None:
    problem = Problem(Field("queue", "choice", ("a", "b")), "classify", ("a", None, "b"))
    value, sure, scores = answer(problem, Head(row=(1, 4)), [9.0, 0.0, 2.0, 0.0])
    assert value is None
    assert sure == pytest.approx(np.exp(2) / (np.exp(2) + 2))
    assert np.asarray(scores).shape == (3,)


def test_labels_are_sure_together() -> None:
    problem = Problem(Field("tags", "choices", ("a", "b", "c")), "multilabel", ("a", "b", "c"))
    value, sure, _ = answer(problem, Head(row=(0, 3)), [3.0, -3.0, 0.5])
    assert value == ["a", "c"]
    each = 1 / (1 + np.exp(-np.array([3.0, 3.0, 0.5])))
    assert sure == pytest.approx(each.prod())


def test_numbers_are_rounded_where_all_were_whole_and_sure_where_errors_were_small() -> None:
    problem = Problem(Field("stars", "number", tolerance=0.1), "regress")
    scale = NumberScale(3.0, 1.0, is_whole=True).with_errors(np.array([0.0, 0.1, 0.2, 0.9]))
    value, sure, _ = answer(problem, Head(row=(0, 1), scale=scale), [1.2])
    assert value == 4.0
    assert sure == pytest.approx(3 / 5)  # slack is 0.1 * 4; one failure is added to what was seen


def test_a_head_survives_json() -> None:
    head = Head(
        row=(2, 4), token=3, longest_span=7, is_snapped=True, scale=NumberScale(1.0, 2.0, False, (0.5,))
    )
    assert Head.from_dict(head.to_dict()) == head
