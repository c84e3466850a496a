"""Likelihoods of chunks under two tokenisers."""

from __future__ import annotations

import math

import pytest
import torch
from loss_reference import draw

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.cross_tokenizer import chunk_likelihood_loss, token_log_probabilities
from understudy.lm.losses.span_alignment import Alignment, align_spans

# Two texts: of the first, chunks (0 | 0 1) (1 2 | 2) (3 | 3 4); of the second (0 1 | 0) and padding.
ALIGNMENTS = [
    align_spans(6, [(0, 2), (2, 3), (3, 4), (4, 6)], [(0, 1), (1, 2), (2, 4), (4, 5), (5, 6)]),
    align_spans(3, [(0, 1), (1, 3)], [(0, 3)]),
]
STUDENT_MASK = torch.tensor([[True] * 4, [True, True, False, False]])
TEACHER_MASK = torch.tensor([[True] * 5, [True] + [False] * 4])


def logs(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return -draw(seed, *shape, scale=1.0, dtype=dtype).abs() - 0.01


def binary_kl(log_p: float, log_q: float, temperature: float) -> float:
    p, q = math.exp(log_p / temperature), math.exp(log_q / temperature)
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


@pytest.mark.parametrize("temperature", [1.0, 5.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_equals_the_formula(temperature: float, dtype: torch.dtype, tolerance: float) -> None:
    student, teacher = logs(0, 2, 4, dtype=dtype), logs(1, 2, 5, dtype=dtype)
    s, t = student.double(), teacher.double()
    pairs = [
        (t[0, 0] + t[0, 1], s[0, 0]),
        (t[0, 2], s[0, 1] + s[0, 2]),
        (t[0, 3] + t[0, 4], s[0, 3]),
        (t[1, 0], s[1, 0] + s[1, 1]),
    ]
    wanted = sum(binary_kl(p.item(), q.item(), temperature) for p, q in pairs) / 4
    options = {"student_mask": STUDENT_MASK, "teacher_mask": TEACHER_MASK, "temperature": temperature}
    got = chunk_likelihood_loss(student, teacher, ALIGNMENTS, **options)
    assert got.item() == pytest.approx(wanted, rel=tolerance)
    part = chunk_likelihood_loss(student, teacher, ALIGNMENTS, normaliser=10.0, **options)
    assert part.item() == pytest.approx(0.4 * wanted, rel=tolerance)


def test_slopes() -> None:
    student, teacher = logs(0, 2, 4).requires_grad_(), logs(1, 2, 5).requires_grad_()
    options = {"student_mask": STUDENT_MASK, "teacher_mask": TEACHER_MASK}
    assert torch.autograd.gradcheck(
        lambda one: chunk_likelihood_loss(one, teacher, ALIGNMENTS, **options), (student,)
    )
    chunk_likelihood_loss(student, teacher, ALIGNMENTS, **options).backward()
    assert teacher.grad is None


def test_a_chunk_counts_only_as_a_whole() -> None:
    student, teacher = logs(0, 2, 4), logs(1, 2, 5)
    student_mask, teacher_mask = STUDENT_MASK.clone(), TEACHER_MASK.clone()
    student_mask[0, 2] = teacher_mask[0, 0] = False  # spoils the second and the first chunk
    student[0, 2] = teacher[0, 0] = float("nan")
    student.requires_grad_()
    got = chunk_likelihood_loss(
        student, teacher, ALIGNMENTS, student_mask=student_mask, teacher_mask=teacher_mask
    )
    pairs = [(teacher[0, 3] + teacher[0, 4], student[0, 3]), (teacher[1, 0], student[1, 0] + student[1, 1])]
    assert got.item() == pytest.approx(sum(binary_kl(p.item(), q.item(), 1.0) for p, q in pairs) / 2)
    got.backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert not student.grad[0, :3].any()


def test_equal_likelihoods_are_at_0_with_no_slope() -> None:
    alignment = [align_spans(4, [(0, 4)], [(0, 2), (2, 4)])]
    student = torch.tensor([[-1.5]], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([[-1.0, -0.5]], dtype=torch.float64)
    value = chunk_likelihood_loss(
        student,
        teacher,
        alignment,
        student_mask=torch.ones(1, 1, dtype=torch.bool),
        teacher_mask=torch.ones(1, 2, dtype=torch.bool),
    )
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-15)
    assert student.grad is not None
    assert student.grad.item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("student", [0.0, -1e-12, -1e-4, -30.0, -1e4])
@pytest.mark.parametrize("teacher", [0.0, -1e-9, -1e-4, -30.0, -1e4])
def test_extremes_stay_finite(student: float, teacher: float) -> None:
    ours = torch.tensor([[student]], dtype=torch.float32, requires_grad=True)
    mask = torch.ones(1, 1, dtype=torch.bool)
    value = chunk_likelihood_loss(
        ours,
        torch.tensor([[teacher]]),
        [align_spans(1, [(0, 1)], [(0, 1)])],
        student_mask=mask,
        teacher_mask=mask,
    )
    value.backward()
    assert value.isfinite()
    assert value.item() >= -1e-6
    assert ours.grad is not None
    assert ours.grad.isfinite().all()


def test_no_chunk_counts() -> None:
    student = logs(0, 2, 4).requires_grad_()
    for alignments in ([Alignment(()), Alignment(())], ALIGNMENTS):
        mask = torch.zeros_like(STUDENT_MASK)
        value = chunk_likelihood_loss(
            student, logs(1, 2, 5), alignments, student_mask=mask, teacher_mask=TEACHER_MASK
        )
        value.backward()
        assert value.item() == 0
        assert student.grad is not None
        assert not student.grad.any()


def test_log_probabilities_of_tokens() -> None:
    logits, tokens = draw(0, 2, 4, 7), torch.tensor([[1, 2, 3, 4], [6, 0, 0, 5]])
    got = token_log_probabilities(logits, tokens)
    assert got.shape == (2, 4)
    assert got[0, 2].item() == pytest.approx(logits[0, 1].log_softmax(-1)[3].item(), rel=1e-12)
    assert not got[:, 0].any()


def test_bad_input_is_refused() -> None:
    student, teacher = logs(0, 2, 4), logs(1, 2, 5)
    masks = {"student_mask": STUDENT_MASK, "teacher_mask": TEACHER_MASK}
    with pytest.raises(ConfigError, match="temperature"):
        chunk_likelihood_loss(student, teacher, ALIGNMENTS, temperature=0.0, **masks)
    with pytest.raises(DataError, match="number of texts"):
        chunk_likelihood_loss(student, teacher, ALIGNMENTS[:1], **masks)
    with pytest.raises(DataError, match="same shape"):
        chunk_likelihood_loss(student[:, :2], teacher, ALIGNMENTS, **masks)
    with pytest.raises(DataError, match="that the student has not"):
        chunk_likelihood_loss(
            student[:, :2],
            teacher,
            ALIGNMENTS,
            student_mask=STUDENT_MASK[:, :2],
            teacher_mask=TEACHER_MASK,
        )
