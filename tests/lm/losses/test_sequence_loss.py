"""Cross-entropy on the teacher's text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from loss_reference import draw, softmax

from understudy.errors import DataError
from understudy.lm.losses.sequence import sequence_loss

MASK = torch.tensor([[True, True, False], [True, False, False]])
TARGETS = torch.tensor([[4, 0, -100], [6, -100, 99]])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_equals_numpy(dtype: torch.dtype, tolerance: float) -> None:
    logits = draw(0, 2, 3, 7, dtype=dtype)
    q = softmax(logits.double().numpy())
    logs = [np.log(q[0, 0, 4]), np.log(q[0, 1, 0]), np.log(q[1, 0, 6])]
    assert float(sequence_loss(logits, TARGETS, mask=MASK)) == pytest.approx(-np.mean(logs), rel=tolerance)
    got = sequence_loss(logits, TARGETS, mask=MASK, normaliser=10.0)
    assert got.item() == pytest.approx(-sum(logs) / 10, rel=tolerance)


def test_parts_of_a_step_add_up_with_one_normaliser() -> None:
    logits, targets = draw(0, 4, 5, 7), torch.randint(7, (4, 5), generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3, [False] * 5, [True] * 4 + [False]])
    count = float(mask.sum())
    parts = [
        sequence_loss(logits[at : at + 2], targets[at : at + 2], mask=mask[at : at + 2], normaliser=count)
        for at in (0, 2)
    ]
    assert sum(parts).item() == pytest.approx(float(sequence_loss(logits, targets, mask=mask)), rel=1e-12)


def test_slopes_and_no_positions() -> None:
    logits = draw(0, 2, 3, 7).requires_grad_()
    assert torch.autograd.gradcheck(lambda one: sequence_loss(one, TARGETS, mask=MASK), (logits,))
    value = sequence_loss(logits, TARGETS, mask=torch.zeros_like(MASK))
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_extremes() -> None:
    logits = torch.tensor([[1e4, -1e4], [0.0, float("-inf")]], dtype=torch.bfloat16)
    got = sequence_loss(logits, torch.tensor([1, 0]))
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(1e4, rel=5e-3)  # what bfloat16 makes of the logits


def test_bad_input_is_refused() -> None:
    logits = draw(0, 2, 3, 7)
    with pytest.raises(DataError, match="from 0 to 6"):
        sequence_loss(logits, TARGETS)
    with pytest.raises(DataError, match="one entry for each position"):
        sequence_loss(logits, TARGETS[:1])
