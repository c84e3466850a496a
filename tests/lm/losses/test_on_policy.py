"""The student writes, the teacher scores: which texts, which positions, which gradient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from loss_reference import divergence, draw, softmax

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.on_policy import OnPolicyStep, Texts, on_policy_loss
from understudy.lm.losses.pointwise import FORWARD_KL, jensen_shannon_of

PAD, VOCABULARY = 0, 6


def texts(*rows: tuple[list[int], list[int]]) -> Texts:
    """Prompts and answers, padded."""
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    tokens, is_token, is_answer = [], [], []
    for prompt, answer in rows:
        more = width - len(prompt) - len(answer)
        tokens.append([*prompt, *answer, *[PAD] * more])
        is_token.append([True] * (len(prompt) + len(answer)) + [False] * more)
        is_answer.append([False] * len(prompt) + [True] * len(answer) + [False] * more)
    return Texts(torch.tensor(tokens), torch.tensor(is_token), torch.tensor(is_answer))


RECORDED = texts(([1, 2], [3, 4, 5]), ([2], [1]), ([5, 5], [2, 2]))
WRITTEN = {0: ([1, 2], [4]), 1: ([2], [3, 3, 3, 3, 3]), 2: ([5, 5], [])}


class Bigram:
    """Logits that depend on the token before, as a model of one parameter matrix."""

    def __init__(self, seed: int) -> None:
        self.table = draw(seed, VOCABULARY, VOCABULARY).requires_grad_()
        self.was_training: list[bool] = []

    def __call__(self, given: Texts) -> torch.Tensor:
        self.was_training.append(torch.is_grad_enabled())
        return self.table[given.tokens]


class Writer:
    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, rows: torch.Tensor) -> Texts:
        assert not torch.is_grad_enabled()
        self.asked.append(rows.tolist())
        return texts(*(WRITTEN[row] for row in rows.tolist()))


def step(share: float, seed: int = 0) -> tuple[OnPolicyStep, Bigram, Bigram, Writer]:
    student, teacher, writer = Bigram(0), Bigram(1), Writer()
    made = on_policy_loss(
        RECORDED,
        sample=writer,
        student=student,
        teacher=teacher,
        divergence=jensen_shannon_of(0.5),
        student_share=share,
        generator=torch.Generator().manual_seed(seed),
    )
    return made, student, teacher, writer


def by_numpy(student: Bigram, teacher: Bigram, rows: list[tuple[list[int], list[int]]]) -> float:
    """Each answer token is predicted from the token before it; mean over a text, then over texts."""
    p, q = softmax(teacher.table.detach().numpy()), softmax(student.table.detach().numpy())
    values = []
    for prompt, answer in rows:
        before = [*prompt, *answer][len(prompt) - 1 : -1] if answer else []
        each = [float(divergence("jensen_shannon", p[one], q[one], 0.5)) for one in before]
        values.append(float(np.mean(each)) if each else 0.0)
    return float(np.mean(values))


def test_recorded_texts_only() -> None:
    made, student, teacher, writer = step(0.0)
    assert writer.asked == []
    assert made.texts is RECORDED
    assert not made.is_sampled.any()
    rows = [([1, 2], [3, 4, 5]), ([2], [1]), ([5, 5], [2, 2])]
    assert made.loss.item() == pytest.approx(by_numpy(student, teacher, rows), rel=1e-10)


def test_the_students_texts_only() -> None:
    before = RECORDED.tokens.clone()
    made, student, teacher, writer = step(1.0)
    assert writer.asked == [[0, 1, 2]]
    assert made.is_sampled.all()
    assert made.loss.item() == pytest.approx(by_numpy(student, teacher, list(WRITTEN.values())), rel=1e-10)
    made.loss.backward()
    assert student.table.grad is not None
    assert teacher.table.grad is None
    assert (student.was_training, teacher.was_training) == ([True], [False])
    assert torch.equal(RECORDED.tokens, before)


def test_a_mixture_keeps_the_order_of_rows_and_repeats_by_its_seed() -> None:
    recorded = [([1, 2], [3, 4, 5]), ([2], [1]), ([5, 5], [2, 2])]
    shares = []
    for seed in range(40):
        made, student, teacher, writer = step(0.5, seed)
        rows = [WRITTEN[at] if drawn else recorded[at] for at, drawn in enumerate(made.is_sampled.tolist())]
        assert writer.asked == ([made.is_sampled.nonzero()[:, 0].tolist()] if made.is_sampled.any() else [])
        assert made.loss.item() == pytest.approx(by_numpy(student, teacher, rows), rel=1e-10)
        shares += made.is_sampled.tolist()
        assert torch.equal(step(0.5, seed)[0].is_sampled, made.is_sampled)
    assert 0.35 < np.mean(shares) < 0.65


def test_an_empty_batch_of_answers_goes_backward() -> None:
    student = Bigram(0)
    empty = texts(([1, 2], []), ([3], []))
    made = on_policy_loss(
        empty,
        sample=Writer(),
        student=student,
        teacher=Bigram(1),
        divergence=FORWARD_KL,
        student_share=0.0,
    )
    made.loss.backward()
    assert made.loss.item() == 0
    assert student.table.grad is not None
    assert not student.table.grad.any()


def test_bad_input_is_refused() -> None:
    options = {"student": Bigram(0), "teacher": Bigram(1), "divergence": FORWARD_KL}
    with pytest.raises(ConfigError, match="student_share must be from 0 to 1"):
        on_policy_loss(RECORDED, sample=Writer(), student_share=1.5, **options)
    with pytest.raises(DataError, match="asked for 3 texts"):
        on_policy_loss(RECORDED, sample=lambda _: texts(([1], [2])), student_share=1.0, **options)
    wrong = replace(RECORDED, is_answer=torch.ones_like(RECORDED.is_answer))
    with pytest.raises(DataError, match="first token"):
        on_policy_loss(wrong, sample=Writer(), student_share=0.0, **options)
    with pytest.raises(DataError, match="same shape"):
        on_policy_loss(
            RECORDED, sample=Writer(), student_share=0.0, **{**options, "teacher": lambda _: draw(0, 3, 5, 4)}
        )
