"""When two texts are the same answer: the metrics of a field."""

from __future__ import annotations

import pytest

from understudy.errors import ConfigError
from understudy.task.compile import compile_problems, deferred_fields
from understudy.task.field import Field, values_equal
from understudy.task.spec import task_from_json_schema, task_from_toml, task_to_toml
from understudy.task.task import Task


@pytest.mark.parametrize(
    ("settings", "same", "another"),
    [
        ({"metric": "exact"}, ("a b", "a b"), ("a b", "a  b")),
        ({}, ("a b", " a\n b"), ("a b", "A b")),
        ({"metric": "numeric"}, ("3 * 2 = 6.0", "it is 6"), ("6 or 7", "6")),
        ({"metric": "numeric", "tolerance": 0.1}, ("so 105", "100"), ("so 111", "100")),
        ({"metric": "rouge_l", "metric_at_least": 0.5}, ("The parcel is late", "the parcel was late"), ("no", "yes")),
        ({"metric": "chrf", "metric_at_least": 0.5}, ("parcels late", "parcel late"), ("refund", "parcel late")),
    ],
)  # fmt: skip
def test_each_metric_tells_the_same_from_another(
    settings: dict[str, object], same: tuple[str, str], another: tuple[str, str]
) -> None:
    field = Field("note", "text", **settings)  # type: ignore[arg-type]
    assert values_equal(field, *same)
    assert not values_equal(field, *another)
    assert not values_equal(field, None, "")


def test_texts_without_a_number_agree_numerically_only_if_they_are_the_same() -> None:
    field = Field("answer", "text", metric="numeric")
    assert values_equal(field, "none of them", "none of  them")
    assert not values_equal(field, "none", "no idea")
    assert not values_equal(field, "1" + "0" * 400, "7")


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("text", {"metric": "bleu"}, "unknown metric"),
        ("span", {"metric": "rouge_l", "metric_at_least": 0.5}, "only texts"),
        ("text", {"metric": "rouge_l"}, "needs the score"),
        ("text", {"metric": "chrf", "metric_at_least": 1.2}, "needs the score"),
        ("text", {"metric": "exact", "metric_at_least": 0.5}, "at_least goes with"),
        ("text", {"tolerance": 0.1}, "only with metric numeric"),
        ("number", {"holds_json": True}, "only texts can hold JSON"),
    ],
)
def test_combinations_that_mean_nothing_are_refused(
    kind: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Field("note", kind, **settings)  # type: ignore[arg-type]


def test_metrics_in_task_files_go_there_and_back() -> None:
    text = 'name = "t"\n[[field]]\nname = "note"\nkind = "text"\nmetric = "rouge_l"\nat_least = 0.6\n'
    task = task_from_toml(text)
    assert task.fields[0].metric_at_least == 0.6
    assert task_from_toml(task_to_toml(task)) == task
    assert Task.from_dict(task.to_dict()) == task
    with pytest.raises(ConfigError, match="the key is at_least"):
        task_from_toml(text.replace("at_least", "metric_at_least"))
    with pytest.raises(ConfigError, match="metric must be a str"):
        task_from_toml(text.replace('"rouge_l"', "3"))


def test_metrics_in_a_json_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "note": {"type": "string", "x-understudy-metric": "chrf", "x-understudy-at-least": 0.7},
            "items": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["note", "items"],
    }
    note, items = task_from_json_schema(schema).fields
    assert (note.metric, note.metric_at_least) == ("chrf", 0.7)
    assert items.holds_json


def test_a_field_without_a_metric_is_stored_as_before() -> None:
    assert set(Field("note", "text").to_dict()) == {
        "name", "kind", "labels", "nullable", "optional", "required", "tolerance",
    }  # fmt: skip


def test_texts_become_problems_and_lists_kept_as_json_do_not() -> None:
    task = Task(
        "t",
        (
            Field("note", "text", nullable=True),
            Field("items", "text", holds_json=True),
            Field("why", "text", required=False),
        ),
    )
    columns = {"note": ["a", None, "b"], "items": ["[]"] * 3, "why": ["x"] * 3}
    note, why = compile_problems(task, columns, [("one",)] * 3)
    assert (note.mode, note.values) == ("write", (None,))
    assert why.field.name == "why"
    assert deferred_fields(task) == ("items", "why")
