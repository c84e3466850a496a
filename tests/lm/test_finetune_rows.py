"""What is to be written becomes rows: one text per value, lengths by quantiles, reasons that weigh as much as answers."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.errors import DataError
from understudy.export.gguf_vocabulary import gguf_vocabulary
from understudy.lm.answers import TextRow, is_plain_text, text_rows, token_budget, token_rows
from understudy.lm.tokeniser import end_id, train_tokeniser
from understudy.lm.writer_recipe import base_plan, scratch_plan, scratch_shape, scratch_vocabulary
from understudy.runtime.writing import WriteFormat
from understudy.students.targets import Targets
from understudy.task.field import Field
from understudy.task.problem import Problem

NOTE = Problem(Field("note", "text"), "write")
TAGS = Problem(Field("tags", "choices", ("red", "blue")), "multilabel", ("red", "blue"))
SIZE = Problem(Field("size", "number", optional=True), "point", (ABSENT,))
INPUTS = [("a red shirt",), ("a blue dog",), ("none",)]


def test_a_lone_text_is_written_as_it_is_and_a_record_as_json() -> None:
    assert is_plain_text([NOTE])
    assert not is_plain_text([NOTE, TAGS])
    assert not is_plain_text([Problem(Field("note", "text", nullable=True), "write", (None,))])
    plain = text_rows(INPUTS, [Targets(NOTE, ["x", UNKNOWN, "y"])], WriteFormat())
    assert [(row.parts, row.answer) for row in plain] == [(INPUTS[0], "x"), (INPUTS[2], "y")]
    record = text_rows(
        INPUTS,
        [
            Targets(NOTE, ["x", "é", "y"]),
            Targets(TAGS, [["blue", "red"], ["red"], []]),
            Targets(SIZE, [12.0, 1.5, ABSENT]),
        ],
        WriteFormat(is_plain=False),
    )
    assert [row.answer for row in record] == [
        '{"note":"x","tags":["red","blue"],"size":12}',
        '{"note":"é","tags":["red"],"size":1.5}',
        '{"note":"y","tags":[]}',
    ]


def test_rows_without_weight_or_value_teach_nothing() -> None:
    weights = np.array([0.0, 2.0, 1.0])
    rows = text_rows(INPUTS, [Targets(NOTE, ["x", "y", UNKNOWN])], WriteFormat(), sample_weight=weights)
    assert [(row.answer, row.weight) for row in rows] == [("y", 2.0)]
    with pytest.raises(DataError, match="note"):
        text_rows(INPUTS, [Targets(NOTE, [UNKNOWN] * 3)], WriteFormat())


def test_lengths_follow_the_data_and_what_is_lost_is_counted() -> None:
    tokeniser = train_tokeniser(["abc"], vocab_size=257)
    rows = [TextRow(("abcd",), "xy")] * 299 + [TextRow(("a" * 900,), "z" * 500)]
    budget = token_budget(rows, tokeniser, WriteFormat(), most_prompt=1000, most_answer=300)
    assert (budget.prompt, budget.answer) == (
        8,
        4,
    )  # a quarter more than 4 + 2 tokens, and than 2 and the end
    assert (budget.n_cut_prompts, budget.n_dropped_answers) == (1, 1)
    kept = token_rows(rows, tokeniser, WriteFormat(), budget, end_id(tokeniser))
    assert len(kept) == 299
    assert all(len(row.prompt) <= 8 and row.answer[-1] == end_id(tokeniser) for row in kept)
    with pytest.raises(DataError, match="too short"):
        token_budget(rows, tokeniser, WriteFormat(), most_prompt=1000, most_answer=300, context=6)


def test_reasons_weigh_as_much_as_answers_however_long_they_are() -> None:
    tokeniser = train_tokeniser(["abc"], vocab_size=257)
    form = WriteFormat()
    targets = [Targets(NOTE, ["yes", "no", "yes"])]
    texts = text_rows(INPUTS, targets, form, rationales=["for it is red " * 2, None, " "])
    budget = token_budget(texts, tokeniser, form, most_prompt=100, most_answer=100)
    rows = token_rows(texts, tokeniser, form, budget, end_id(tokeniser))
    assert [text.is_reason for text in texts] == [False, False, False, True]
    answers, reason = rows[:3], rows[3]
    mass = sum(len(row.answer) * row.weight for row in answers)
    assert len(reason.answer) * reason.weight == pytest.approx(mass)
    assert mass * 2 == pytest.approx(sum(len(row.answer) for row in rows))
    assert reason.prompt != answers[0].prompt
    assert reason.prompt[: len("a red shirt")] == answers[0].prompt[: len("a red shirt")]
    assert {row.weight for row in token_rows(texts[:3], tokeniser, form, budget, 0)} == {1.0}


def test_special_tokens_in_a_users_answer_are_text() -> None:
    tokeniser = train_tokeniser(["abc"], vocab_size=257)
    end = end_id(tokeniser)
    budget = token_budget(
        [TextRow(("<|end|>",), "<|end|>")], tokeniser, WriteFormat(), most_prompt=99, most_answer=99
    )
    row = token_rows([TextRow(("<|end|>",), "<|end|>")], tokeniser, WriteFormat(), budget, end)[0]
    assert row.answer.count(end) == 1
    assert end not in row.prompt


def test_sizes_and_steps_grow_with_the_data() -> None:
    assert scratch_vocabulary(10) == 320 < scratch_vocabulary(200_000) <= scratch_vocabulary(10**9) == 2048
    small, large = scratch_shape(320, 1_000, 64), scratch_shape(2048, 10**6, 512)
    assert small.n_parameters() < large.n_parameters() < 5_000_000
    steps = [scratch_plan([30] * n, n_parameters=10**6).settings.schedule.n_steps for n in (2, 2000, 10**5)]
    assert steps[0] == 300 < steps[1] == 2500 < steps[2] == 4000
    large = scratch_plan([400] * 10**5, n_parameters=4 * 10**6)
    assert large.settings.schedule.n_steps * 400 * 16 * 6 * 4e6 == pytest.approx(3e13, rel=0.01)
    assert large.epochs == pytest.approx(3e13 / 6 / 4e6 / (400 * 10**5), rel=0.01)
    assert scratch_plan([30] * 200, n_parameters=10**6, steps=7).settings.schedule.n_steps == 7
    assert scratch_plan([30, 500], n_parameters=10**6).settings.sequence_tokens >= 500


def test_bases_are_tuned_shorter_and_adapters_faster() -> None:
    full, adapters = (base_plan([30] * 2000, is_full=is_full) for is_full in (True, False))
    assert full.settings.schedule == adapters.settings.schedule
    assert full.settings.learning_rate < adapters.settings.learning_rate
    assert full.settings.schedule.n_steps == 500
    assert base_plan([30], is_full=True, learning_rate=1e-5, steps=3).settings.learning_rate == 1e-5
    apart = base_plan([30] * 2000, is_full=True, is_packed=False)
    assert (apart.settings.batch_sequences, apart.epochs) == (16, 4.0)


def test_a_number_is_the_same_tokens_wherever_it_stands() -> None:
    texts = [f"order {at} of {at + 1}: #{at}" for at in range(100, 400)]
    tokeniser = train_tokeniser(texts, vocab_size=400, splits_digits=True)
    digits = [tokeniser.token_to_id(digit) for digit in "271"]
    for text in ("271", "order 271", "#271.", "x271y"):
        ids = tokeniser.encode(text, add_special_tokens=False).ids
        assert any(ids[at : at + 3] == digits for at in range(len(ids))), text
        assert tokeniser.decode(ids) == text
    for text in ("Größe 12 €\r\n\n x", "包裹在哪里", "🙂  a\x00b"):
        assert tokeniser.decode(tokeniser.encode(text).ids) == text
    assert gguf_vocabulary(tokeniser, 400, end_id(tokeniser)).pre_tokenizer == "qwen2"


def test_labels_are_written_as_the_grammar_of_served_answers_has_them() -> None:
    stars = Problem(Field("stars", "number"), "classify", (1.0, 1.5, True, None))
    rows = text_rows(
        INPUTS * 2, [Targets(stars, [1, 1.0, 1.5, True, None, 2.0])], WriteFormat(is_plain=False)
    )
    said = [row.answer.removeprefix('{"stars":').removesuffix("}") for row in rows]
    assert said == ["1.0", "1.0", "1.5", "true", "null", "2.0"]
