"""Distillation from a teacher with other tokens, with real tokenisers and small models."""

import dataclasses

import pytest
import torch
from tiny_decoder import DENSE

from understudy.errors import ConfigError
from understudy.lm.decoder import build_decoder
from understudy.lm.distil import OTHER_TOKENS, Distillation
from understudy.lm.distil_other_tokens import OtherTeacher, has_same_tokens, other_tokens_objective
from understudy.lm.losses.positions import log_probabilities
from understudy.lm.placed_rows import rows_of
from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.tokeniser import end_id, train_tokeniser
from understudy.lm.train import next_token_loss

PAIRS = [("naïve café", "a naïve answer"), ("two", "zwei, dos, två"), ("nothing", "")]


@pytest.fixture(scope="module")
def sides():
    """Tokenisers of bytes and of merged bytes, and a model for each."""
    ours = train_tokeniser([""], vocab_size=257)
    theirs = train_tokeniser(["a naïve answer and another answer", "zwei dos två café"] * 4, vocab_size=290)
    models = [
        build_decoder(dataclasses.replace(DENSE, vocab_size=one.get_vocab_size()), seed=seed).eval()
        for seed, one in enumerate((ours, theirs))
    ]
    return ours, theirs, *models


def _pack(tokeniser, pairs=PAIRS):
    end = end_id(tokeniser)
    rows = [
        TokenRow(tuple(tokeniser.encode(one).ids), (*tokeniser.encode(two).ids, end)) for one, two in pairs
    ]
    return RowBatches(rows, sequence_tokens=64, pad_id=end).take([0])


def _teacher(sides):
    ours, theirs, _, teacher = sides
    return OtherTeacher(teacher, theirs, end_id(theirs), ours, end_id(ours))


@pytest.mark.parametrize("loss", OTHER_TOKENS)
def test_each_loss_is_positive_and_reaches_every_weight(sides, loss):
    ours, _, student, _ = sides
    pack = _pack(ours)
    found = other_tokens_objective(Distillation(loss, weight=1.0), _teacher(sides))(student, pack)
    student.zero_grad()
    found.backward()
    assert found.item() > 0
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in student.parameters())
    with torch.no_grad():
        mixed = other_tokens_objective(Distillation(loss, weight=0.25), _teacher(sides))(student, pack)
        expected = 0.25 * found.detach() + 0.75 * next_token_loss(student, pack)
    assert mixed.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_chunk_likelihood_is_that_of_the_text(sides):
    ours, theirs, student, teacher = sides
    # One chunk of text, one of the end: "zwei" is one token of the teacher's.
    text = "zwei"
    assert len(theirs.encode(text).ids) == 1
    pack = _pack(ours, [("two", text)])
    found = other_tokens_objective(Distillation("chunk_likelihood", weight=1.0), _teacher(sides))
    with torch.no_grad():
        loss = found(student, pack)
        logs = []
        for model, tokeniser in ((student, ours), (teacher, theirs)):
            prompt = tokeniser.encode("two").ids
            answer = [*tokeniser.encode(text).ids, end_id(tokeniser)]
            scores = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
            each = log_probabilities(scores).gather(1, torch.tensor(answer)[:, None])[:, 0]
            logs.append(torch.stack((each[:-1].sum(), each[-1])).double())
    q, p = (one.exp() for one in logs)
    expected = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-3, abs=1e-6)


def test_a_row_that_does_not_come_back_has_cross_entropy_alone(sides):
    ours, _, student, _ = sides
    end = end_id(ours)
    # A lone continuation byte is no text.
    row = TokenRow(tuple(ours.encode("two").ids), (ours.encode("é").ids[1], end))
    pack = RowBatches([row], sequence_tokens=64, pad_id=end).take([0])
    teacher = _teacher(sides)
    assert teacher.at(rows_of(pack)[0]) is None
    with torch.no_grad():
        loss = other_tokens_objective(Distillation("rank_sorted", weight=0.5), teacher)(student, pack)
        assert loss.item() == pytest.approx(0.5 * next_token_loss(student, pack).item(), rel=1e-5)


def test_tokenisers_are_compared_by_their_tokens(sides):
    ours, theirs, *_ = sides
    assert has_same_tokens(ours, train_tokeniser(["other text"], vocab_size=257))
    assert not has_same_tokens(ours, theirs)


def test_a_loss_over_one_vocabulary_is_refused(sides):
    with pytest.raises(ConfigError, match="loss must be one of"):
        other_tokens_objective(Distillation("forward_kl"), _teacher(sides))
