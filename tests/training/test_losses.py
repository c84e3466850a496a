"""The loss of a pointer is the negative log of the confidence that the runtime would state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.runtime.heads import head_answers
from understudy.students.targets import Targets
from understudy.task.field import Field
from understudy.task.problem import Problem
from understudy.training.base_encoder import resolve_base
from understudy.training.batches import epoch_batches, pad_batch
from understudy.training.losses import batch_loss
from understudy.training.rows import prepare_rows


@pytest.mark.parametrize("value", ["red", "red shirt", None])
def test_loss_and_runtime_share_one_probability(tiny_base: Path, value: str | None) -> None:
    problem = Problem(Field("code", "span", nullable=True), "point", (None,))
    inputs = [("the red shirt of a man",), ("dog",)]
    rows = prepare_rows(
        inputs, [Targets(problem, [value, "dog"])], resolve_base(str(tiny_base)).tokeniser(), None
    )
    random = np.random.default_rng(0)
    token = random.normal(size=(2, max(len(one.ids) for one in rows.tokens), 3))
    row = random.normal(size=(2, 1))
    head = rows.heads[0].head
    alone = rows.tokens[0]
    loss = batch_loss(rows, np.array([0]), torch.tensor(row[:1]).float(), torch.tensor(token[:1]).float())
    # Raise the right answer until the runtime chooses it; its confidence must then be exp(-loss).
    if value is None:
        row[0, 0] = 9.0
    else:
        first, more = rows.heads[0].points[0].spans[0]
        token[0, first, 0] += 9.0
        token[0, first + more, 1] += 9.0
    after = batch_loss(rows, np.array([0]), torch.tensor(row[:1]).float(), torch.tensor(token[:1]).float())
    answers = head_answers([problem], [head], row[0], token[0, : len(alone.ids)], alone, inputs[0])
    said, sure, _ = answers[0]
    assert said == value
    assert float(after) == pytest.approx(-np.log(sure), abs=1e-4)
    assert float(loss) > float(after)


def test_padding_does_not_change_a_pointer_loss(tiny_base: Path) -> None:
    problem = Problem(Field("code", "span"), "point")
    inputs = [("red dog",), ("the red shirt of a man",)]
    rows = prepare_rows(
        inputs, [Targets(problem, ["dog", "red"])], resolve_base(str(tiny_base)).tokeniser(), None
    )
    token = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0))
    none = torch.zeros(2, 0)
    both = batch_loss(rows, np.array([0, 1]), none, token)
    each = [batch_loss(rows, np.array([at]), none[:1], token[at : at + 1, : (4, 8)[at]]) for at in (0, 1)]
    assert float(both) == pytest.approx(float(sum(each)) / 2, abs=1e-5)


def test_an_epoch_uses_every_row_once_and_depends_on_seed_and_epoch_alone() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, 103)
    batches = epoch_batches(lengths, 8, seed=1, epoch=2)
    assert sorted(np.concatenate(batches)) == list(range(103))
    again = epoch_batches(lengths, 8, seed=1, epoch=2)
    assert all((one == two).all() for one, two in zip(batches, again, strict=True))
    other = epoch_batches(lengths, 8, seed=1, epoch=3)
    assert any(len(one) != len(two) or (one != two).any() for one, two in zip(batches, other, strict=True))


def test_batches_are_padded_at_the_end(tiny_base: Path) -> None:
    tokeniser = resolve_base(str(tiny_base)).tokeniser()
    ids, types, mask = pad_batch([tokeniser(("dog",)), tokeniser(("dog", "man"))], 0, "cpu")
    assert ids.shape == types.shape == mask.shape == (2, 5)
    assert mask.sum(1).tolist() == [3, 5]
    assert ids[0, 3:].tolist() == [0, 0]
