"""What a log tells of tokens, found again in the student's vocabulary."""

import json

import pytest
import torch
from tokenizers import Tokenizer, models

from understudy.errors import DataError
from understudy.lm.tokeniser import END, end_id, train_tokeniser
from understudy.lm.told_calls import byte_forms, read_told, told_of


def _token(text, logprob, top=()):
    return {
        "token": text,
        "logprob": logprob,
        "top_logprobs": [{"token": other, "logprob": value} for other, value in top],
    }


def _record(content, text="hé"):
    return {
        "request": {
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello?"}]
        },
        "response": {
            "choices": [{"message": {"role": "assistant", "content": text}, "logprobs": {"content": content}}]
        },
    }


@pytest.fixture(scope="module")
def tokeniser():
    return train_tokeniser(["hé hé hé"] * 3, vocab_size=260)


def _ids(tokeniser, text):
    return [*tokeniser.encode(text).ids, end_id(tokeniser)]


def test_bytes_of_a_byte_level_vocabulary(tokeniser):
    forms = byte_forms(tokeniser)
    assert forms[END.encode()] == end_id(tokeniser)
    assert forms[b" "] == tokeniser.encode(" ").ids[0]
    for text in ("h", "\n", "hé"):
        ids = tokeniser.encode(text).ids
        assert len(ids) > 1 or forms[text.encode()] == ids[0]
    assert len(forms) == tokeniser.get_vocab_size()


def test_blanks_and_bytes_of_a_sentencepiece_vocabulary():
    forms = byte_forms(Tokenizer(models.BPE(vocab={"▁a": 0, "<0x0A>": 1, "b": 2}, merges=[])))
    assert forms == {b" a": 0, b"\n": 1, b"b": 2}


def test_a_log_is_read_and_lines_without_log_probabilities_are_passed_over(tmp_path, tokeniser):
    path = tmp_path / "calls.jsonl"
    content = [_token("hé", -0.5, [("hé", -0.5), ("h", -1.0)]), _token(END, -0.1)]
    lines = [json.dumps(_record(content)), "", json.dumps({"input": "a", "output": "b"})]
    path.write_text("\n".join(lines), encoding="utf-8")
    (answer,) = read_told(path)
    assert (answer.input, answer.text) == ("hello?", "hé")
    ids = _ids(tokeniser, "hé")
    assert len(ids) == 2
    told = told_of(answer, byte_forms(tokeniser), ids, end_id(tokeniser))
    assert told.tokens.tolist() == [[ids[0], tokeniser.token_to_id("h"), -1], [ids[1], -1, -1]]
    assert torch.allclose(told.log_probabilities[0, :2], torch.tensor([-0.5, -1.0]))


def test_nothing_is_told_of_an_end_that_the_provider_leaves_out(tmp_path, tokeniser):
    path = tmp_path / "calls.jsonl"
    path.write_text(json.dumps(_record([_token("hé", -0.5)])), encoding="utf-8")
    (answer,) = read_told(path)
    told = told_of(answer, byte_forms(tokeniser), _ids(tokeniser, "hé"), end_id(tokeniser))
    assert (told.tokens >= 0).any(1).tolist() == [True, False]


def test_an_answer_in_other_tokens_is_not_told(tmp_path, tokeniser):
    path = tmp_path / "calls.jsonl"
    path.write_text(json.dumps(_record([_token("h", -0.5), _token("é", -0.5)])), encoding="utf-8")
    (answer,) = read_told(path)
    assert told_of(answer, byte_forms(tokeniser), _ids(tokeniser, "hé"), end_id(tokeniser)) is None


def test_a_line_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "calls.jsonl"
    path.write_text("{}\n{oops", encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        list(read_told(path))
