"""Derivatives by hand equal those of autograd through the plain formulas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_reference import draw

from understudy.lm.losses.pointwise import (
    FORWARD_KL,
    REVERSE_KL,
    Divergence,
    jensen_shannon_of,
    skewed_kl_of,
    skewed_reverse_kl_of,
)
from understudy.lm.losses.positions import log_probabilities, normalise_in_place

ALL = [
    FORWARD_KL,
    REVERSE_KL,
    jensen_shannon_of(0.5),
    jensen_shannon_of(0.05),
    skewed_kl_of(0.1),
    skewed_reverse_kl_of(0.1),
]
EACH = pytest.mark.parametrize("divergence", ALL, ids=lambda one: one.name)


def by_hand(
    divergence: Divergence, teacher: torch.Tensor, student: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    log_p, log_q = teacher.clone(), student.detach().clone()
    p, q = torch.empty_like(log_p), torch.empty_like(log_q)
    normalise_in_place(log_p, p)
    normalise_in_place(log_q, q)
    losses, slopes = divergence.losses_and_slopes(p, q, log_p - log_q, torch.empty_like(p))
    return losses, slopes


def by_autograd(
    divergence: Divergence, teacher: torch.Tensor, student: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    student = student.detach().clone().requires_grad_()
    losses = divergence.losses(log_probabilities(teacher), log_probabilities(student))
    (slopes,) = torch.autograd.grad(losses.sum(), student)
    return losses.detach(), slopes


@EACH
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.01, 1.0, 30.0]))
def test_by_hand_equals_autograd(divergence: Divergence, seed: int, scale: float) -> None:
    student, teacher = draw(seed, 3, 8, scale=scale), draw(seed + 1, 3, 8, scale=scale)
    for got, wanted in zip(
        by_hand(divergence, teacher, student), by_autograd(divergence, teacher, student), strict=True
    ):
        # Where p and q are close, the plain formula loses digits to cancellation.
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-13)


@EACH
def test_far_apart_in_float32(divergence: Divergence) -> None:
    student = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [0.0, 0.0, float("-inf")]])
    teacher = torch.tensor([[-1e4, 1e4, 0.0], [-1e4, 1e4, 0.0], [0.0, 1.0, float("-inf")]])
    losses, slopes = by_hand(divergence, teacher, student)
    wanted, wanted_slopes = by_autograd(divergence, teacher.double(), student.double())
    assert slopes.isfinite().all()
    torch.testing.assert_close(losses.double(), wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(slopes.double(), wanted_slopes, rtol=1e-5, atol=1e-6)


@EACH
def test_close_together_in_float32(divergence: Divergence) -> None:
    """Late in training: the divergence is 1e-4 or less, and its slopes are all that is left to learn from."""
    teacher = draw(0, 4, 500)
    student = teacher + draw(1, 4, 500, scale=0.01)
    losses, slopes = by_hand(divergence, teacher.float(), student.float())
    wanted, wanted_slopes = by_autograd(divergence, teacher, student)
    # Gaps of 1e-2 between logs of up to 10: a rounding of 5e-7 in each, of which losses are a weighted mean.
    torch.testing.assert_close(losses.double(), wanted, rtol=0, atol=5e-7)
    assert (slopes.double() - wanted_slopes).norm() <= 1e-4 * wanted_slopes.norm()


def test_names_say_the_parameter() -> None:
    assert [one.name for one in ALL[2:5]] == ["jensen_shannon(0.5)", "jensen_shannon(0.05)", "skewed_kl(0.1)"]
    assert skewed_kl_of(0.0) is FORWARD_KL
    assert skewed_reverse_kl_of(0.0) is REVERSE_KL
