"""Sparse divergence from the likeliest tokens that an API tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_reference import draw, kl, softmax

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.divergence import forward_kl
from understudy.lm.losses.top_k import Tail, top_k_kl


def told(teacher: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    logs, tokens = teacher.log_softmax(-1).topk(k)
    return tokens, logs


def by_numpy(student: Any, teacher: Any, k: int, tail: Tail) -> float:
    p, q = softmax(teacher), softmax(student)
    values = []
    for row_p, row_q in zip(p, q, strict=True):
        listed = np.argsort(-row_p)[:k]
        a, b = row_p[listed], row_q[listed]
        if tail == "renormalise":
            a, b = a / a.sum(), b / b.sum()
        elif k < len(row_p):
            rest = np.delete(np.arange(len(row_p)), listed)
            a, b = np.append(a, row_p[rest].sum()), np.append(b, row_q[rest].sum())
        values.append(kl(a, b))
    return float(np.mean(values))


@pytest.mark.parametrize("tail", ["bucket", "renormalise"])
@pytest.mark.parametrize("k", [1, 5, 19, 20])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_equals_numpy(tail: Tail, k: int, dtype: torch.dtype, tolerance: float) -> None:
    student, teacher = draw(0, 6, 20, scale=1.5), draw(1, 6, 20, scale=1.5)
    got = top_k_kl(student.to(dtype), *told(teacher.to(dtype), k), tail=tail)
    assert got.item() == pytest.approx(by_numpy(student, teacher, k, tail), rel=tolerance, abs=1e-12)


@pytest.mark.parametrize("tail", ["bucket", "renormalise"])
def test_slopes(tail: Tail) -> None:
    student = draw(0, 4, 9).requires_grad_()
    tokens, logs = told(draw(1, 4, 9), 3)
    tokens[1, 2], tokens[3, 1:] = -1, -1
    mask = torch.tensor([True, True, False, True])
    assert torch.autograd.gradcheck(lambda one: top_k_kl(one, tokens, logs, tail=tail, mask=mask), (student,))


@given(st.integers(0, 10_000), st.integers(1, 11))
def test_the_bucket_is_a_lower_bound_that_rises_to_the_whole(seed: int, k: int) -> None:
    student, teacher = draw(seed, 3, 12), draw(seed + 1, 3, 12)
    here, next_one = (float(top_k_kl(student, *told(teacher, count))) for count in (k, k + 1))
    whole = float(forward_kl(student, teacher))
    assert 0 <= here <= next_one + 1e-12
    assert next_one <= whole + 1e-12
    if k + 1 == 12:
        assert next_one == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("tail", ["bucket", "renormalise"])
def test_all_told_equals_the_full_divergence(tail: Tail) -> None:
    student, teacher = draw(0, 5, 30, dtype=torch.float32), draw(1, 5, 30, dtype=torch.float32)
    assert float(top_k_kl(student, *told(teacher, 30), tail=tail)) == pytest.approx(
        float(forward_kl(student, teacher)), rel=1e-5
    )


@pytest.mark.parametrize("tail", ["bucket", "renormalise"])
def test_padding_is_as_if_it_were_not_there(tail: Tail) -> None:
    student, teacher = draw(0, 2, 9), draw(1, 2, 9)
    wide_tokens, wide_logs = told(teacher, 4)
    wide_tokens[1, 2:], wide_logs[1, 2:] = -1, float("nan")
    each = [top_k_kl(student[:1], *told(teacher[:1], 4), tail=tail)]
    each.append(top_k_kl(student[1:], *told(teacher[1:], 2), tail=tail))
    got = top_k_kl(student, wide_tokens, wide_logs, tail=tail)
    assert got.item() == pytest.approx(sum(each).item() / 2, rel=1e-12)


def test_a_told_token_without_mass_is_not_in_the_tail() -> None:
    student = torch.tensor([[0.2, 0.3, 0.1, 0.4]]).log()
    tokens, half = torch.tensor([[0, 1]]), float(np.log(0.5))
    rest = 0.5 * np.log(0.5 / 0.2) + 0.5 * np.log(0.5 / 0.5)  # token 1 is taken out of the student's tail
    for nothing in (float("-inf"), -9999.0):
        got = top_k_kl(student, tokens, torch.tensor([[half, nothing]]))
        assert got.item() == pytest.approx(rest, rel=1e-5)


def test_mass_above_1_by_rounding_leaves_no_tail() -> None:
    student = draw(0, 1, 6).requires_grad_()
    logs = torch.tensor([[0.7, 0.303]], dtype=torch.float64).log()
    got = top_k_kl(student, torch.tensor([[2, 4]]), logs)
    q = softmax(student.detach().numpy())[0]
    p = np.array([0.7, 0.303]) / 1.003
    assert got.item() == pytest.approx(float(kl(p, q[[2, 4]])), rel=1e-10)
    got.backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("tail", ["bucket", "renormalise"])
def test_extremes_stay_finite(tail: Tail) -> None:
    student = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 0.0, 1e4]], requires_grad=True)
    tokens, logs = torch.tensor([[1, 2], [2, -5]]), torch.tensor([[-0.5, -2.0], [-0.1, float("-inf")]])
    value = top_k_kl(student, tokens, logs, tail=tail)
    value.backward()
    assert value.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_a_tail_below_rounding_is_not_lost() -> None:
    student = torch.tensor([[30.0, 0.0, 0.0]])  # mass outside of the list 2e-13: 1 - q would be 0 in float32
    got = top_k_kl(student, torch.tensor([[0]]), torch.tensor([[float(np.log(0.9))]]))
    tail = np.log(2 * np.exp(-30.0) / (1 + 2 * np.exp(-30.0)))
    assert got.item() == pytest.approx(0.9 * np.log(0.9) + 0.1 * (np.log(0.1) - tail), rel=1e-5)


def test_half_precision_and_no_positions() -> None:
    student, (tokens, logs) = draw(0, 3, 9, dtype=torch.bfloat16), told(draw(1, 3, 9), 3)
    assert top_k_kl(student, tokens, logs.bfloat16()).dtype == torch.float32
    student.requires_grad_()
    value = top_k_kl(student, tokens, logs, mask=torch.zeros(3, dtype=torch.bool))
    value.backward()
    assert value.item() == 0


def test_bad_input_is_refused() -> None:
    student, (tokens, logs) = draw(0, 3, 9), told(draw(1, 3, 9), 3)
    with pytest.raises(ConfigError, match="tail must be"):
        top_k_kl(student, tokens, logs, tail="drop")
    with pytest.raises(DataError, match="sum to more than 1"):
        top_k_kl(student, tokens, logs + 1.0)
    with pytest.raises(DataError, match="told no token with mass"):
        top_k_kl(student, torch.full_like(tokens, -1), logs)
    with pytest.raises(DataError, match="must be below 9"):
        top_k_kl(student, tokens + 9, logs)
    with pytest.raises(DataError, match="a token twice"):
        top_k_kl(student, torch.zeros_like(tokens), logs - 1)
    with pytest.raises(DataError, match="same shape"):
        top_k_kl(student, tokens, logs[:, :2])
    with pytest.raises(DataError, match="same positions"):
        top_k_kl(student[:2], tokens, logs)
