"""Whatever a model prefers, an answer in JSON is one that the task can say; and all that it can say is allowed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from runtime.tiny_writer import END, PLACES, RECORD, byte_tokeniser
from understudy.calls.call import ABSENT
from understudy.errors import ArtefactError
from understudy.runtime.constraint import JsonConstraint
from understudy.runtime.writing import WriteFormat

FORMAT = WriteFormat(is_plain=False)
# A lone surrogate is no character of a text.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(-(10**15), 10**15) | st.floats(-1e15, 1e15).map(lambda value: float(f"{value:.12g}"))
ANSWERS = st.tuples(
    st.sampled_from(PLACES),
    st.lists(st.sampled_from(["a", "bé"]), unique=True),
    TEXTS | st.none() | st.just(ABSENT),
    NUMBERS,
    TEXTS | st.just(ABSENT),
)


def word_tokeniser(without: str = "") -> Tokenizer:
    """One that marks the beginning of words, as those of T5 do."""
    tokeniser = Tokenizer(models.Unigram())
    tokeniser.pre_tokenizer = pre_tokenizers.Metaspace()
    tokeniser.decoder = decoders.Metaspace()
    alphabet = "".join(char for char in map(chr, range(33, 127)) if char not in without) + "é"
    trainer = trainers.UnigramTrainer(
        vocab_size=130, special_tokens=["<end>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokeniser.train_from_iterator([f"{alphabet} the north {alphabet[::-1]}"] * 20, trainer)
    return tokeniser


BYTES = byte_tokeniser()
CONSTRAINT = JsonConstraint(BYTES, RECORD, vocab_size=BYTES.get_vocab_size() + 4, end_ids=[END])


def is_allowed(constraint: JsonConstraint, ids: list[int]) -> bool:
    matching = constraint.begin()
    for token in ids:
        if not matching.allowed()[token]:
            return False
        matching.take(token)
    return bool(matching.allowed()[END])


@given(ANSWERS)
@settings(max_examples=60, deadline=None)
def test_every_answer_of_training_is_allowed(values: tuple[object, ...]) -> None:
    text = FORMAT.answer(RECORD, values)
    assert is_allowed(CONSTRAINT, BYTES.encode(text, add_special_tokens=False).ids)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_any_walk_ends_in_an_answer(seed: int) -> None:
    """A model of random taste, that ends a text soon."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=BYTES.get_vocab_size() + 4)
    for mark in ('"', ",", "}", "]"):
        taste[BYTES.token_to_id(mark)] += 3
    matching, tokens = CONSTRAINT.begin(), []
    for _ in range(300):
        allowed = matching.allowed()[: len(taste)]
        assert allowed.any()
        token = int(np.where(allowed, taste + rng.normal(size=len(taste)), -np.inf).argmax())
        if token == END:
            break
        tokens.append(token)
        matching.take(token)
    if token != END:
        return  # a number or a string that was never closed: the writer gives it no confidence
    record = json.loads(CONSTRAINT.text_bytes(tokens).decode())
    names = [problem.field.name for problem in RECORD]
    assert list(record) == [name for name in names if name in record]
    assert {"place", "topics", "amount"} <= set(record)
    assert record["place"] in PLACES
    assert set(record["topics"]) <= {"a", "bé"}
    assert np.isfinite(float(record["amount"]))
    assert isinstance(record.get("note", ""), str)


@pytest.mark.parametrize(
    "text",
    [
        '{"place":"west","topics":[],"amount":1}',
        '{"place":"north", "topics":[],"amount":1}',
        '{"topics":[],"place":"north","amount":1}',
        '{"place":"north","topics":["a","a","a"],"amount":1}',
        '{"place":"north","topics":[]}',
        '{"place":"north","topics":[],"amount":1e999}',
        '{"place":"north","topics":[],"amount":"1"}',
        '{"place":"north","topics":[],"amount":1,"note":"\\ud800"}',
        '{"place":"north","topics":[],"amount":1,"note":null}',
        '{"place":"north","topics":[],"amount":1}}',
        "",
    ],
)
def test_what_no_answer_says_is_not(text: str) -> None:
    assert not is_allowed(CONSTRAINT, BYTES.encode(text, add_special_tokens=False).ids)


def test_a_tokeniser_of_marked_words() -> None:
    tokeniser = word_tokeniser()
    constraint = JsonConstraint(
        tokeniser, RECORD, vocab_size=tokeniser.get_vocab_size() + 9, end_ids=[END, 1]
    )
    values = ["north", ["a", "bé"], None, -1e-07, 'the "north" \\']
    ids = tokeniser.encode(FORMAT.answer(RECORD, values), add_special_tokens=False).ids
    assert is_allowed(constraint, ids)
    assert json.loads(constraint.text_bytes(ids).decode())["note"] == values[-1]


def test_another_tokeniser_is_refused() -> None:
    with pytest.raises(ArtefactError, match="tokeniser"):
        JsonConstraint(Tokenizer(models.WordLevel({"a": 0})), RECORD, vocab_size=1, end_ids=[0])


def test_a_tokeniser_without_braces_is_refused_rather_than_stuck() -> None:
    tokeniser = word_tokeniser(without="{}")
    with pytest.raises(ArtefactError, match=r"no token has \{ or \}"):
        JsonConstraint(tokeniser, RECORD, vocab_size=tokeniser.get_vocab_size(), end_ids=[END])
