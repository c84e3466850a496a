"""Chunked losses equal the naive ones, in value and in gradient, and never hold the logits of all positions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from loss_reference import draw
from torch.utils._python_dispatch import TorchDispatchMode

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.chunked import chunked_divergence, chunked_head_loss, default_chunk_positions
from understudy.lm.losses.divergence import divergence_loss
from understudy.lm.losses.pointwise import (
    FORWARD_KL,
    REVERSE_KL,
    Divergence,
    jensen_shannon_of,
    skewed_kl_of,
    skewed_reverse_kl_of,
)
from understudy.lm.losses.sequence import sequence_loss
from understudy.lm.losses.top_k import top_k_kl

ALL = [FORWARD_KL, REVERSE_KL, jensen_shannon_of(0.3), skewed_kl_of(0.1), skewed_reverse_kl_of(0.1)]
EACH = pytest.mark.parametrize("divergence", ALL, ids=lambda one: one.name)
MASK = torch.tensor([[True, True, False, True], [True, False, True, True]])


def inputs(dtype: torch.dtype = torch.float64, vocabulary: int = 11) -> tuple[torch.Tensor, ...]:
    """Hidden states and heads of a student of width 5 and a teacher of width 3."""
    shapes = ((2, 4, 5), (vocabulary, 5), (2, 4, 3), (vocabulary, 3))
    made = [draw(seed, *shape, scale=1.0, dtype=dtype) for seed, shape in enumerate(shapes)]
    return made[0].requires_grad_(), made[1].requires_grad_(), made[2], made[3]


def naive(divergence: Divergence, *given: torch.Tensor, **options: Any) -> torch.Tensor:
    hidden, head, teacher_hidden, teacher_head = given
    return divergence_loss(divergence, hidden @ head.T, teacher_hidden @ teacher_head.T, **options)


@EACH
@pytest.mark.parametrize("chunk", [1, 2, 5, 6, 100, None])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_equals_naive(
    divergence: Divergence, chunk: int | None, dtype: torch.dtype, tolerance: float
) -> None:
    given, options = inputs(dtype), {"mask": MASK, "temperature": 1.7, "normaliser": 4.0}
    wanted = naive(divergence, *given, **options)
    got = chunked_divergence(*given, divergence=divergence, chunk_positions=chunk, **options)
    assert got.item() == pytest.approx(wanted.item(), rel=tolerance)
    # As a part of a larger loss: the upstream gradient is not 1.
    slopes, wanted_slopes = (torch.autograd.grad(0.25 * one, given[:2]) for one in (got, wanted))
    for one, other in zip(slopes, wanted_slopes, strict=True):
        assert (one - other).norm() <= tolerance * other.norm()


@EACH
def test_gradcheck(divergence: Divergence) -> None:
    hidden, head, teacher_hidden, teacher_head = inputs(vocabulary=4)
    assert torch.autograd.gradcheck(
        lambda one, two: chunked_divergence(
            one, two, teacher_hidden, teacher_head, divergence=divergence, mask=MASK, chunk_positions=4
        ),
        (hidden, head),
    )


class Largest(TorchDispatchMode):
    """Watches every operation for the largest array that it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(one, torch.Tensor):
                self.size = max(self.size, one.numel())
        return made


@EACH
def test_logits_of_all_positions_never_exist(divergence: Divergence) -> None:
    positions, vocabulary, width, chunk = 64, 200, 8, 4
    hidden, teacher_hidden = draw(0, positions, width).requires_grad_(), draw(1, positions, width)
    head, teacher_head = draw(2, vocabulary, width).requires_grad_(), draw(3, vocabulary, width)
    with Largest() as chunked:
        chunked_divergence(
            hidden, head, teacher_hidden, teacher_head, divergence=divergence, chunk_positions=chunk
        ).backward()
    assert chunked.size == vocabulary * width  # the head's own gradient
    with Largest() as whole:
        naive(divergence, hidden, head, teacher_hidden, teacher_head).backward()
    assert whole.size >= positions * vocabulary


def test_any_loss_of_logits_can_be_chunked() -> None:
    hidden, head, teacher_hidden, teacher_head = (one.flatten(0, -2) for one in inputs())
    targets = torch.tensor([3, 0, 10, 5, 7, 7, 1, 2])
    logs, tokens = (teacher_hidden @ teacher_head.T).log_softmax(-1).topk(4)

    def mixed(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        assert len(logits) <= 3
        each = torch.nn.functional.cross_entropy(logits, targets[rows], reduction="none")
        rest = zip(logits[:, None], tokens[rows, None], logs[rows, None], strict=True)
        sparse = [top_k_kl(*one) for one in rest]
        return each + 0.5 * torch.stack(sparse)

    got = chunked_head_loss(hidden, head, mixed, chunk_positions=3)
    wanted = sequence_loss(hidden @ head.T, targets) + 0.5 * top_k_kl(hidden @ head.T, tokens, logs)
    assert got.item() == pytest.approx(wanted.item(), rel=1e-10)
    for one, other in zip(
        torch.autograd.grad(got, (hidden, head)), torch.autograd.grad(wanted, (hidden, head)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_only_what_asks_gets_a_gradient() -> None:
    for frozen in (0, 1):
        given = list(inputs())
        given[frozen] = given[frozen].detach()
        chunked_divergence(*given).backward()
        wanted = list(inputs())
        naive(FORWARD_KL, *wanted).backward()
        assert given[frozen].grad is None
        torch.testing.assert_close(given[1 - frozen].grad, wanted[1 - frozen].grad)
    teacher = list(inputs())
    teacher[2].requires_grad_()
    teacher[3].requires_grad_()
    chunked_divergence(*teacher).backward()
    assert teacher[2].grad is None
    assert teacher[3].grad is None


def test_without_gradients_nothing_is_kept() -> None:
    given = inputs()
    wanted = naive(FORWARD_KL, *given).item()
    with torch.no_grad():
        value = chunked_divergence(*given)
        other = chunked_head_loss(given[0].flatten(0, 1), given[1], lambda one, _: one.logsumexp(-1))
    assert not value.requires_grad
    assert not other.requires_grad
    assert value.item() == pytest.approx(wanted, rel=1e-10)


def test_no_position_counts() -> None:
    given = inputs()
    value = chunked_divergence(*given, mask=torch.zeros_like(MASK))
    value.backward()
    assert value.item() == 0
    for one in given[:2]:
        assert one.grad is not None
        assert not one.grad.any()


def test_masked_hidden_states_may_be_nan() -> None:
    hidden, head, teacher_hidden, teacher_head = inputs()
    broken = hidden.detach().clone()
    broken[~MASK] = float("nan")
    broken.requires_grad_()
    chunked_divergence(broken, head, teacher_hidden, teacher_head, mask=MASK).backward()
    assert broken.grad is not None
    assert head.grad is not None
    assert broken.grad.isfinite().all()
    assert head.grad.isfinite().all()
    assert not broken.grad[~MASK].any()


def test_half_precision_sums_in_float32() -> None:
    given = inputs(torch.bfloat16, vocabulary=60)
    value = chunked_divergence(*given, chunk_positions=2)
    assert value.dtype == torch.float32
    wanted = naive(FORWARD_KL, *given)
    assert value.item() == pytest.approx(wanted.item(), rel=1e-5)
    value.backward()
    exact = [one.detach().double().requires_grad_() for one in given[:2]]
    naive(FORWARD_KL, *exact, given[2].double(), given[3].double()).backward()
    for one, other in zip(given[:2], exact, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert one.grad.dtype == torch.bfloat16
        # Logits and their slopes pass through bfloat16 (2^-9) once each.
        assert (one.grad.double() - other.grad).norm() <= 0.02 * other.grad.norm()


def test_autocast_does_not_reach_inside() -> None:
    given = inputs(torch.float32)
    wanted = naive(FORWARD_KL, *given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = chunked_divergence(*given)
    assert got.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_graph_may_be_kept_and_used_again() -> None:
    given = inputs()
    value = chunked_divergence(*given)
    first = torch.autograd.grad(value, given[1], retain_graph=True)[0]
    again = torch.autograd.grad(3 * value, given[1])[0]
    torch.testing.assert_close(again, 3 * first)


def test_second_derivatives_are_refused() -> None:
    given = inputs()
    with pytest.raises(ConfigError, match="no second derivative"):
        torch.autograd.grad(chunked_divergence(*given), given[1], create_graph=True)


def test_the_default_chunk() -> None:
    assert default_chunk_positions(131_072) == 64
    assert default_chunk_positions(10**7) == 16


def test_bad_input_is_refused() -> None:
    hidden, head, teacher_hidden, teacher_head = inputs()
    with pytest.raises(DataError, match="same vocabulary"):
        chunked_divergence(hidden, head, teacher_hidden, teacher_head[:-1])
    with pytest.raises(DataError, match="one type and width"):
        chunked_divergence(hidden, head.float(), teacher_hidden, teacher_head)
    with pytest.raises(ConfigError, match="chunk_positions"):
        chunked_divergence(hidden, head, teacher_hidden, teacher_head, chunk_positions=0)
    with pytest.raises(ConfigError, match="temperature"):
        chunked_divergence(hidden, head, teacher_hidden, teacher_head, temperature=-1.0)
