"""Divergences: against numpy, their slopes, their identities, their extremes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_reference import divergence, draw, softmax

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.divergence import (
    forward_kl,
    jensen_shannon,
    reverse_kl,
    skewed_kl,
    skewed_reverse_kl,
)

Loss = Callable[..., torch.Tensor]
CASES: list[tuple[str, Loss, dict[str, float]]] = [
    ("forward_kl", forward_kl, {}),
    ("reverse_kl", reverse_kl, {}),
    ("jensen_shannon", jensen_shannon, {"beta": 0.5}),
    ("jensen_shannon", jensen_shannon, {"beta": 0.1}),
    ("skewed_kl", skewed_kl, {"alpha": 0.1}),
    ("skewed_reverse_kl", skewed_reverse_kl, {"alpha": 0.3}),
]
EACH = pytest.mark.parametrize(
    ("name", "loss", "options"), CASES, ids=[f"{one[0]}{list(one[2].values())}" for one in CASES]
)


@EACH
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_equals_numpy(
    name: str,
    loss: Loss,
    options: dict[str, float],
    temperature: float,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    student, teacher = draw(0, 3, 5, 37, dtype=dtype), draw(1, 3, 5, 37, dtype=dtype)
    mask = torch.from_numpy(np.random.default_rng(2).random((3, 5)) < 0.6)
    p, q = (softmax(one.double().numpy(), temperature) for one in (teacher, student))
    each = divergence(name, p, q, next(iter(options.values()), None))[mask.numpy()]
    got = loss(student, teacher, mask=mask, temperature=temperature, **options)
    assert got.dtype == dtype
    assert got.item() == pytest.approx(each.mean(), rel=tolerance)
    parts = loss(student, teacher, mask=mask, temperature=temperature, normaliser=40.0, **options)
    assert parts.item() == pytest.approx(each.sum() / 40, rel=tolerance)


@EACH
def test_slopes(name: str, loss: Loss, options: dict[str, float]) -> None:
    student, teacher = draw(0, 4, 6).requires_grad_(), draw(1, 4, 6)
    mask = torch.tensor([True, False, True, True])
    assert torch.autograd.gradcheck(
        lambda one: loss(one, teacher, mask=mask, temperature=1.7, **options), (student,)
    )


@EACH
def test_equal_distributions_are_at_0_with_no_slope(name: str, loss: Loss, options: dict[str, float]) -> None:
    student = draw(0, 4, 30).requires_grad_()
    value = loss(student, student.detach() + 7.0, **options)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert student.grad is not None
    assert float(student.grad.abs().max()) < 1e-12


@EACH
def test_no_gradient_flows_to_the_teacher(name: str, loss: Loss, options: dict[str, float]) -> None:
    teacher = draw(1, 4, 6).requires_grad_()
    loss(draw(0, 4, 6).requires_grad_(), teacher, **options).backward()
    assert teacher.grad is None


@EACH
def test_without_positions_it_is_0_and_goes_backward(
    name: str, loss: Loss, options: dict[str, float]
) -> None:
    student = draw(0, 4, 6).requires_grad_()
    value = loss(student, draw(1, 4, 6), mask=torch.zeros(4, dtype=torch.bool), **options)
    value.backward()
    assert value.item() == 0
    assert student.grad is not None
    assert not student.grad.any()


@EACH
def test_what_is_masked_may_be_nan(name: str, loss: Loss, options: dict[str, float]) -> None:
    student, teacher = draw(0, 3, 6), draw(1, 3, 6)
    student[1], teacher[1] = float("nan"), float("-inf")
    student.requires_grad_()
    value = loss(student, teacher, mask=torch.tensor([True, False, True]), **options)
    value.backward()
    assert math.isfinite(value.item())
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert not student.grad[1].any()


@EACH
def test_extreme_logits_stay_finite(name: str, loss: Loss, options: dict[str, float]) -> None:
    student = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], requires_grad=True)
    teacher = torch.tensor([[-1e4, 1e4, 0.0], [-1e4, 1e4, 0.0]])
    value = loss(student, teacher, **options)
    value.backward()
    # The first position: all mass of each lies where the other has none; the second: equal.
    bound = {"jensen_shannon": 1.0, "skewed_kl": math.log(10), "skewed_reverse_kl": -math.log(0.3)}
    assert 0 < value.item() <= bound.get(name, 2e4)
    assert student.grad is not None
    assert student.grad.isfinite().all()


@EACH
def test_a_vocabulary_cut_in_both_adds_nothing(name: str, loss: Loss, options: dict[str, float]) -> None:
    student, teacher = draw(0, 3, 6), draw(1, 3, 6)
    cut = [torch.cat((one, torch.full((3, 2), float("-inf"))), 1) for one in (student, teacher)]
    cut[0].requires_grad_()
    value = loss(*cut, **options)
    value.backward()
    assert value.item() == pytest.approx(float(loss(student, teacher, **options)), rel=1e-12)
    assert cut[0].grad is not None
    assert cut[0].grad.isfinite().all()


@EACH
def test_half_precision_is_computed_in_float32(name: str, loss: Loss, options: dict[str, float]) -> None:
    student, teacher = draw(0, 4, 50, dtype=torch.bfloat16), draw(1, 4, 50, dtype=torch.bfloat16)
    got = loss(student, teacher, **options)
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(float(loss(student.double(), teacher.double(), **options)), rel=1e-5)


@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_jensen_shannon_swaps_with_its_weight(seed: int, beta: float) -> None:
    student, teacher = draw(seed, 2, 9), draw(seed + 1, 2, 9)
    there, back = (
        float(jensen_shannon(student, teacher, beta=beta)),
        float(jensen_shannon(teacher, student, beta=1 - beta)),
    )
    assert there == pytest.approx(back, rel=1e-9)
    assert 0 <= there <= -beta * math.log(beta) - (1 - beta) * math.log1p(-beta)


def test_jensen_shannon_tends_to_both_divergences() -> None:
    student, teacher, small = draw(0, 3, 9), draw(1, 3, 9), 1e-7
    forward, reverse = float(forward_kl(student, teacher)), float(reverse_kl(student, teacher))
    assert float(jensen_shannon(student, teacher, beta=small)) / small == pytest.approx(forward, rel=1e-4)
    assert float(jensen_shannon(student, teacher, beta=1 - small)) / small == pytest.approx(reverse, rel=1e-4)


def test_skewed_divergences_tend_to_plain_ones() -> None:
    student, teacher = draw(0, 3, 9), draw(1, 3, 9)
    for skewed, plain in ((skewed_kl, forward_kl), (skewed_reverse_kl, reverse_kl)):
        wanted = float(plain(student, teacher))
        assert float(skewed(student, teacher, alpha=0.0)) == wanted
        assert float(skewed(student, teacher, alpha=1e-9)) == pytest.approx(wanted, rel=1e-4)
        assert float(skewed(student, teacher, alpha=0.999999)) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("weight", [-0.1, 1.0, 1.5, float("nan")])
def test_weights_out_of_range_are_refused(weight: float) -> None:
    logits = draw(0, 2, 4)
    with pytest.raises(ConfigError, match="beta must be above 0 and below 1"):
        jensen_shannon(logits, logits, beta=weight)
    with pytest.raises(ConfigError, match="alpha must be at least 0 and below 1"):
        skewed_kl(logits, logits, alpha=weight)
    with pytest.raises(ConfigError, match="alpha must be at least 0 and below 1"):
        skewed_reverse_kl(logits, logits, alpha=weight)


def test_bad_input_is_refused() -> None:
    logits = draw(0, 2, 4)
    with pytest.raises(ConfigError, match="temperature must be finite and above 0"):
        forward_kl(logits, logits, temperature=0.0)
    with pytest.raises(ConfigError, match="normaliser must be finite and above 0"):
        forward_kl(logits, logits, normaliser=0.0)
    with pytest.raises(DataError, match="same shape"):
        forward_kl(logits, draw(0, 2, 1))
    with pytest.raises(DataError, match="mask must be boolean"):
        forward_kl(logits, logits, mask=torch.ones(2))
    with pytest.raises(DataError, match="one entry for each position"):
        forward_kl(logits, logits, mask=torch.ones(3, dtype=torch.bool))
