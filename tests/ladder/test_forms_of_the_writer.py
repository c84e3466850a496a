"""The fitted writer's other forms stand in the ladder's tables, after the rung that they are made from."""

from __future__ import annotations

import pytest

from understudy.errors import ConfigError
from understudy.ladder.options import LearnOptions
from understudy.ladder.rungs import RUNG_ORDER, plan_rungs, student_class
from understudy.task.field import Field
from understudy.task.problem import Problem

FORMS = ("writer_pruned", "writer_int4", "writer_gguf")
TEXT = Problem(Field("reply", "text"), "write")


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_a_rung_made_from_the_writer(name: str) -> None:
    found = student_class(name)
    assert (found.rung, found.made_from) == (name, "writer")
    assert "source" in found().get_params()
    assert RUNG_ORDER.index(name) > RUNG_ORDER.index("writer")
    assert found.modes == student_class("writer").modes


def test_forms_are_planned_where_a_text_is_to_be_written_and_take_less_than_the_writer() -> None:
    plans = {one.name: one for one in plan_rungs([TEXT], 5_000, 200.0, LearnOptions(), answer_chars=100.0)}
    assert set(FORMS) < set(plans)
    assert all(plans[name].fit_seconds < plans["writer"].fit_seconds for name in FORMS)
    label = Problem(Field("queue", "choice", ("a", "b")), "classify", ("a", "b"))
    assert not set(FORMS) & {one.name for one in plan_rungs([label], 5_000, 200.0, LearnOptions())}


def test_a_form_without_the_writer_is_refused() -> None:
    with pytest.raises(ConfigError, match="made from writer"):
        plan_rungs([TEXT], 100, 50.0, LearnOptions(rungs=("linear", "writer_int4")))
