"""Which positions count, and what they are divided by."""

from __future__ import annotations

import pytest
import torch
from loss_reference import draw, softmax

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.checks import check_same_shape
from understudy.lm.losses.positions import (
    log_probabilities,
    normalise_in_place,
    pick_positions,
    token_mean,
    wide_type,
)


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_log_probabilities_both_ways(temperature: float) -> None:
    logits = draw(0, 5, 40)
    logits[1, 3], logits[2] = float("-inf"), 1e4 * logits[2]
    wanted = softmax(logits.numpy(), temperature)
    logs, probabilities = logits.clone(), torch.empty_like(logits)
    normalise_in_place(logs, probabilities, temperature)
    torch.testing.assert_close(probabilities.numpy(), wanted, rtol=1e-12, atol=1e-300)
    torch.testing.assert_close(logs, log_probabilities(logits, temperature), rtol=1e-12, atol=1e-12)
    assert logs.isfinite().all()
    assert probabilities[1, 3] == 0


def test_positions_are_picked_in_order() -> None:
    tensor = torch.arange(12).reshape(2, 3, 2)
    mask = torch.tensor([[True, False, True], [False, True, False]])
    assert pick_positions(tensor, mask).tolist() == [[0, 1], [4, 5], [8, 9]]
    assert pick_positions(tensor, None).shape == (6, 2)
    assert pick_positions(mask, mask, has_columns=False).tolist() == [True] * 3
    assert pick_positions(mask, None, has_columns=False).shape == (6,)
    with pytest.raises(DataError, match="mask must be boolean"):
        pick_positions(tensor, mask.long())


def test_the_mean_is_per_position_or_by_what_is_stated() -> None:
    losses = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    assert token_mean(losses).item() == 3
    assert token_mean(losses, 18.0).item() == 0.5
    nothing = token_mean(losses[:0])
    nothing.backward()
    assert nothing.item() == 0
    assert losses.grad is not None
    assert losses.grad.tolist() == [0, 0, 0]
    with pytest.raises(ConfigError, match="normaliser must be finite and above 0"):
        token_mean(losses, float("nan"))


def test_types_and_shapes() -> None:
    kinds = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
    wide = [wide_type(torch.zeros(1, dtype=kind)) for kind in kinds]
    assert wide == [torch.float32] * 3 + [torch.float64]
    with pytest.raises(DataError, match=r"a and b must have the same shape"):
        check_same_shape(a=torch.zeros(2, 3), b=torch.zeros(2, 1))
