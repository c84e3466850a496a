"""Rows of a log: what is kept, what is held out, what is left out and counted."""

import json

import pytest

from understudy.errors import DataError
from understudy.lm.distil_data import Pair, read_pairs, rows_from
from understudy.lm.tokeniser import end_id, train_tokeniser


@pytest.fixture(scope="module")
def tokeniser():
    return train_tokeniser([""], vocab_size=257)


def _rows(pairs, tokeniser, **more):
    return rows_from(pairs, tokeniser, end_id(tokeniser), sequence_tokens=24, seed=0, **more)


def test_answers_that_are_no_text_become_json(tmp_path):
    path = tmp_path / "calls.jsonl"
    lines = [{"input": "a", "output": {"x": 1}}, {"input": {"p": "b", "q": "c"}, "output": "d"}]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert read_pairs([path]) == [Pair(("a",), '{"x":1}'), Pair(("b", "c"), "d")]


def test_rows_are_split_once_and_nothing_is_lost(tokeniser):
    pairs = [Pair((f"in {at}",), f"out {at}") for at in range(40)]
    found = _rows(pairs, tokeniser)
    assert (len(found.train), len(found.valid)) == (38, 2)
    texts = {tokeniser.decode(row.answer) for row in (*found.train, *found.valid)}
    assert texts == {pair.answer for pair in pairs}
    assert found == _rows(pairs, tokeniser)


def test_a_prompt_that_was_asked_often_is_on_one_side_only(tokeniser):
    pairs = [Pair((f"in {at % 20}",), f"out {at}") for at in range(60)]
    found = _rows(pairs, tokeniser, valid_share=0.1)
    train, valid = ({row.prompt for row in part} for part in (found.train, found.valid))
    assert not train & valid
    assert (len(found.train), len(found.valid)) == (54, 6)


def test_few_prompts_still_leave_one_to_measure_with(tokeniser):
    found = _rows([Pair((f"in {at % 3}",), f"out {at}") for at in range(10)], tokeniser)
    assert (len(found.train), len(found.valid)) == (7, 3)
    with pytest.raises(DataError, match="different prompts"):
        _rows([Pair(("in",), f"out {at}") for at in range(10)], tokeniser)


def test_long_prompts_are_cut_and_long_answers_left_out(tokeniser):
    pairs = [Pair(("x" * 99,), "yes"), Pair(("short",), "no"), Pair(("short",), "z" * 99)]
    found = _rows(pairs, tokeniser)
    assert (found.n_cut, found.n_left_out) == (1, 1)
    assert max(len(row) for row in (*found.train, *found.valid)) == 24


def test_too_few_rows_that_fit_say_what_to_do(tokeniser):
    with pytest.raises(DataError, match="longer sequences"):
        _rows([Pair(("a",), "b"), Pair(("a",), "z" * 99)], tokeniser)
