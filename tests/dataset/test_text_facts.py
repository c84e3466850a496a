"""Texts before training: how long, how different, which equality to set; what repeats of a teacher's texts tell."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.dataset.facts import teacher_facts
from understudy.dataset.text_facts import text_facts
from understudy.task.field import Field
from understudy.task.task import Task

NOTE = Field("answer", "text")


@pytest.mark.parametrize(
    ("texts", "suggested"),
    [
        ([f"2026-01-{day:02d}" for day in range(1, 29)], None),
        ([f"A customer who wrote on day {at} wants the money for order {at * 7} returned to them soon." for at in range(60)],
         "rouge_l"),
        ([f"There are {at} boxes of 12 parcels each, so in all there are {at} * 12 = {at * 12}." for at in range(60)],
         "numeric"),
        (["We are sorry that it came late. A refund is on its way to the card that was used."] * 60, None),
    ],
)  # fmt: skip
def test_a_metric_is_suggested_where_equality_would_certify_nothing(
    texts: list[str], suggested: str | None
) -> None:
    facts = text_facts(NOTE, texts)
    assert facts is not None
    assert facts.suggested_metric == suggested
    assert facts.median_chars <= facts.high_chars <= max(map(len, texts))


def test_no_suggestion_where_a_metric_is_set_and_no_facts_without_texts() -> None:
    texts = [f"A customer who wrote on day {at} wants the money for an order returned." for at in range(60)]
    scored = Field("answer", "text", metric="rouge_l", metric_at_least=0.5)
    facts = text_facts(scored, texts)
    assert facts is not None
    assert facts.distinct_share == 1
    assert facts.suggested_metric is None
    assert text_facts(NOTE, [None, None]) is None
    assert text_facts(Field("items", "text", holds_json=True), texts) is None
    assert text_facts(Field("place", "span"), texts) is None


def test_a_teacher_agrees_with_itself_by_the_fields_metric() -> None:
    inputs = [("one",)] * 3
    exact = np.zeros(3, dtype=np.int64)
    said = ["the parcel is late", "the parcel was late", "no refund"]
    columns = {"answer": said}
    gold = {"answer": [""] * 3}

    def agreement(field: Field) -> tuple[float, float]:
        facts = teacher_facts(Task("t", (field,)), inputs, exact, columns, gold, {})
        return facts.self_agreement["answer"].value, facts.ceiling["answer"]

    assert agreement(NOTE)[0] == 0
    share, ceiling = agreement(Field("answer", "text", metric="rouge_l", metric_at_least=0.7))
    assert share == pytest.approx(1 / 3)
    assert ceiling == 1  # likeness is no equivalence, so that nothing bounds it


def test_numbers_are_compared_by_value() -> None:
    columns = {"answer": ["3 + 4 = 7", "it is 7.0"]}
    field = Field("answer", "text", metric="numeric")
    facts = teacher_facts(
        Task("t", (field,)), [("one",)] * 2, np.zeros(2, dtype=np.int64), columns, {"answer": ["7"] * 2}, {}
    )
    assert facts.self_agreement["answer"].value == 1
    assert facts.accuracy["answer"].value == 1
