from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.errors import DataError
from understudy.students.targets import Targets
from understudy.task.field import Field
from understudy.task.problem import Problem
from understudy.training.base_encoder import resolve_base
from understudy.training.rows import prepare_rows


def spans(
    values: list[Any], texts: list[str], tiny_base: Path, kind: Any = "span", weight: Any = None
) -> Any:
    problem = Problem(Field("code", kind, nullable=True, optional=True), "point", (None, ABSENT))
    tokeniser = resolve_base(str(tiny_base)).tokeniser()
    return prepare_rows([(text,) for text in texts], [Targets(problem, values)], tokeniser, weight).heads[0]


def test_spans_become_tokens_and_voids_columns(tiny_base: Path) -> None:
    texts = ["the red shirt", "the dog", "a man", "red or red", "no place"]
    made = spans(["Red  Shirt", None, ABSENT, "red", "elsewhere"], texts, tiny_base)
    assert made.rows.tolist() == [0, 1, 2, 3]
    assert [point.spans for point in made.points] == [((2, 1),), (), (), ((1, 0), (3, 0))]
    assert [point.void for point in made.points] == [-1, 0, 1, -1]
    assert made.unlocated == 1
    assert made.head.is_snapped


def test_numbers_are_located_by_value(tiny_base: Path) -> None:
    made = spans([1200.5, 7], ["pay 1,200.50 now", "a 7"], tiny_base, "number")
    assert made.rows.tolist() == [0, 1]
    assert made.points[0].spans[0][0] == 2


def test_spans_inside_words_switch_snapping_off(tiny_base: Path) -> None:
    made = spans(["12", "13"], ["size12kg", "size13kg"], tiny_base)
    assert not made.head.is_snapped
    assert made.unlocated == 0


def test_rows_without_weight_or_value_do_not_teach(tiny_base: Path) -> None:
    made = spans(["red", "red", UNKNOWN], ["red", "red", "red"], tiny_base, weight=np.array([1.0, 0.0, 1.0]))
    assert made.rows.tolist() == [0]


@pytest.mark.parametrize("values", [[UNKNOWN, UNKNOWN], ["nowhere", "either"]])
def test_nothing_to_learn_is_said(tiny_base: Path, values: list[Any]) -> None:
    with pytest.raises(DataError, match="code"):
        spans(values, ["red", "dog"], tiny_base)
