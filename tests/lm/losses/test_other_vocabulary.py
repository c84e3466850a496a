"""Different vocabularies: by rank, and by the tokens that both have."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_reference import draw, kl, softmax

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.divergence import forward_kl
from understudy.lm.losses.rank_sorted import rank_sorted_distance
from understudy.lm.losses.shared_vocabulary import shared_vocabulary_kl

MASK = torch.tensor([True, False, True])
TOLERANCES = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
OURS, THEIRS = torch.tensor([4, 0, 2]), torch.tensor([7, 1, 5])


@TOLERANCES
@pytest.mark.parametrize("sizes", [(5, 9), (9, 5), (6, 6)])
def test_rank_sorted_equals_numpy(dtype: torch.dtype, tolerance: float, sizes: tuple[int, int]) -> None:
    student, teacher = draw(0, 3, sizes[0], dtype=dtype), draw(1, 3, sizes[1], dtype=dtype)
    wide = max(sizes)
    q, p = (
        -np.sort(-np.pad(softmax(one.double().numpy(), 2.0), ((0, 0), (0, wide - one.shape[1]))), axis=1)
        for one in (student, teacher)
    )
    wanted = np.abs(p - q).sum(1)[MASK.numpy()].mean()
    got = rank_sorted_distance(student, teacher, mask=MASK, temperature=2.0)
    assert got.item() == pytest.approx(wanted, rel=tolerance)


@given(st.permutations(range(7)))
def test_rank_sorted_does_not_see_which_token_is_which(order: list[int]) -> None:
    student, teacher = draw(0, 3, 7), draw(1, 3, 7)
    got = rank_sorted_distance(student[:, order], teacher)
    assert got.item() == pytest.approx(rank_sorted_distance(student, teacher).item(), rel=1e-12)
    assert rank_sorted_distance(teacher[:, order], teacher).item() == pytest.approx(0, abs=1e-15)


def test_rank_sorted_slopes_extremes_and_no_positions() -> None:
    student, teacher = draw(0, 3, 5).requires_grad_(), draw(1, 3, 8)
    assert torch.autograd.gradcheck(lambda one: rank_sorted_distance(one, teacher, mask=MASK), (student,))
    # All on one token against even over very many: nearly all mass must move, 2 at most.
    sure = torch.tensor([[1e4, -1e4]], dtype=torch.bfloat16)
    got = rank_sorted_distance(sure, torch.zeros(1, 1000))
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(2 * 0.999, rel=1e-5)
    none = rank_sorted_distance(student, teacher, mask=torch.zeros_like(MASK))
    none.backward()
    assert none.item() == 0


@TOLERANCES
def test_shared_vocabulary_equals_numpy(dtype: torch.dtype, tolerance: float) -> None:
    student, teacher = draw(0, 3, 6, dtype=dtype), draw(1, 3, 9, dtype=dtype)
    q, p = softmax(student.double().numpy(), 1.3), softmax(teacher.double().numpy(), 1.3)
    merged_q, merged_p = (
        np.column_stack([full[:, tokens.numpy()], 1 - full[:, tokens.numpy()].sum(1)])
        for full, tokens in ((q, OURS), (p, THEIRS))
    )
    wanted = kl(merged_p, merged_q)[MASK.numpy()].mean()
    got = shared_vocabulary_kl(student, teacher, OURS, THEIRS, mask=MASK, temperature=1.3)
    assert got.item() == pytest.approx(wanted, rel=tolerance)


def test_one_vocabulary_in_two_orders_is_the_full_divergence() -> None:
    student, teacher = draw(0, 3, 6), draw(1, 3, 6)
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    got = shared_vocabulary_kl(student, teacher[:, order], order, torch.arange(6))
    assert got.item() == pytest.approx(forward_kl(student, teacher).item(), rel=1e-10)


def test_a_side_without_other_tokens_is_compared_on_the_shared_ones() -> None:
    student, teacher = draw(0, 3, 3), draw(1, 3, 9)
    got = shared_vocabulary_kl(student, teacher, torch.tensor([2, 0, 1]), THEIRS)
    p = softmax(teacher[:, THEIRS].numpy())
    q = softmax(student[:, [2, 0, 1]].numpy())
    assert got.item() == pytest.approx(kl(p, q).mean(), rel=1e-10)


def test_shared_vocabulary_slopes_extremes_and_no_positions() -> None:
    student, teacher = draw(0, 3, 6).requires_grad_(), draw(1, 3, 9)
    assert torch.autograd.gradcheck(
        lambda one: shared_vocabulary_kl(one, teacher, OURS, THEIRS, mask=MASK), (student,)
    )
    far = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    value = shared_vocabulary_kl(far, far.detach().flip(1), torch.tensor([0]), torch.tensor([1]))
    value.backward()
    assert math.isfinite(value.item())
    assert far.grad is not None
    assert far.grad.isfinite().all()
    none = shared_vocabulary_kl(student, teacher, OURS, THEIRS, mask=torch.zeros_like(MASK))
    none.backward()
    assert none.item() == 0


def test_bad_input_is_refused() -> None:
    student, teacher = draw(0, 3, 6), draw(1, 3, 9)
    with pytest.raises(DataError, match="same positions"):
        rank_sorted_distance(student[:2], teacher)
    with pytest.raises(ConfigError, match="temperature"):
        rank_sorted_distance(student, teacher, temperature=0.0)
    with pytest.raises(DataError, match="none twice"):
        shared_vocabulary_kl(student, teacher, torch.tensor([1, 1]), torch.tensor([2, 3]))
    with pytest.raises(DataError, match="none twice"):
        shared_vocabulary_kl(student, teacher, OURS[:0], THEIRS[:0])
    with pytest.raises(DataError, match="pairs of tokens"):
        shared_vocabulary_kl(student, teacher, OURS, THEIRS[:2])
