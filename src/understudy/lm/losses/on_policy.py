"""On-policy distillation: the student writes, the teacher says what it would have written at each step. Knows neither
models nor optimisers; it is given functions.

Shapes: b texts, t tokens, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.checks import check_same_shape
from understudy.lm.losses.pointwise import Divergence
from understudy.lm.losses.positions import log_probabilities

__all__ = ["OnPolicyStep", "Texts", "on_policy_loss"]


@dataclass(frozen=True, slots=True)
class Texts:
    """Prompts with answers, padded at the end.

    Attributes
    ----------
    tokens
        Whole numbers, (b, t).
    is_token
        Boolean, (b, t): false where there is padding.
    is_answer
        Boolean, (b, t): the tokens that were answered, not given. The first token of a text cannot be one.
    """

    tokens: torch.Tensor
    is_token: torch.Tensor
    is_answer: torch.Tensor


@dataclass(frozen=True, slots=True)
class OnPolicyStep:
    """What a step was made of.

    Attributes
    ----------
    texts
        The mixed batch, rows in the order of the recorded ones.
    is_sampled
        Boolean, (b,): which rows the student wrote.
    loss
        What to differentiate, in nats per token of a text, averaged over texts.
    """

    texts: Texts
    is_sampled: torch.Tensor
    loss: torch.Tensor


def on_policy_loss(
    recorded: Texts,
    *,
    sample: Callable[[torch.Tensor], Texts],
    student: Callable[[Texts], torch.Tensor],
    teacher: Callable[[Texts], torch.Tensor],
    divergence: Divergence,
    student_share: float,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> OnPolicyStep:
    """One step of generalised knowledge distillation.

    Agarwal et al. 2024, "On-policy distillation of language models": ``(1 - lambda) E_recorded[D] + lambda
    E_student[D]``, with ``D(y) = 1/|y| sum_t D(p(. | y_<t), q(. | y_<t))``. They draw once for a whole batch whether the
    student writes it; here each text draws for itself, which has the same expectation and varies less. As there, no
    gradient goes through the sampling: the objective is not the gradient of an expectation over the student's texts.

    Parameters
    ----------
    recorded
        Prompts with the teacher's (or the log's) answers.
    sample
        Takes row numbers (b',), on the CPU, and gives the same prompts with answers written by the student, b' rows in this order,
        normally at temperature 1. Called without gradients, and only if a row was drawn.
    student, teacher
        Take texts, give logits (b, t, v): those at t are for the token at t + 1. The teacher is called without
        gradients, also on what the student wrote, so it must be a model that can be asked for its logits.
    divergence
        One of :mod:`~understudy.lm.losses.pointwise`.
    student_share
        lambda, from 0 (recorded texts only) to 1 (the student's only).
    temperature
        Of both distributions in the divergence.
    generator
        Draws the rows, on the CPU; give a seeded one to repeat a step.

    Returns
    -------
    OnPolicyStep
        A text without an answer (the student may write nothing) adds 0, and is counted in the mean over texts.

    Raises
    ------
    ConfigError
        If `student_share` or `temperature` is out of range.
    DataError
        If `sample` gives another number of texts than it was asked for, the first token of a text is marked as an
        answer, or shapes do not fit.
    """
    if not 0 <= student_share <= 1:
        raise ConfigError("student_share must be from 0 to 1", given=f"{student_share!r}")
    count = len(recorded.tokens)
    is_sampled = torch.rand(count, generator=generator) < student_share
    texts = recorded
    if bool(is_sampled.any()):
        with torch.no_grad():
            texts = _replace_rows(recorded, sample(is_sampled.nonzero()[:, 0]), is_sampled)
    if bool(texts.is_answer[:, :1].any()):
        raise DataError("the first token of a text cannot be an answer: nothing predicts it")
    with torch.no_grad():
        teacher_btv = teacher(texts)
    student_btv = student(texts)
    check_same_shape(student_logits=student_btv, teacher_logits=teacher_btv)
    # What is predicted at t is the token at t + 1.
    mask_bt = functional.pad(texts.is_answer[:, 1:], (0, 1))
    with torch.no_grad():
        log_p_nv = log_probabilities(teacher_btv[mask_bt], temperature)
    losses_n = divergence.losses(log_p_nv, log_probabilities(student_btv[mask_bt], temperature))
    lengths_b = mask_bt.sum(1).clamp(min=1)
    loss = (losses_n / lengths_b[mask_bt.nonzero()[:, 0]]).sum() / max(count, 1)
    return OnPolicyStep(texts, is_sampled, loss)


def _replace_rows(recorded: Texts, written: Texts, is_sampled: torch.Tensor) -> Texts:
    """The recorded texts with those of the drawn rows that the student wrote, padded to the longest."""
    wanted = int(is_sampled.sum())
    if len(written.tokens) != wanted:
        raise DataError(f"sample was asked for {wanted} texts", given=f"{len(written.tokens)} texts")
    width = max(recorded.tokens.shape[1], written.tokens.shape[1])
    parts = []
    for name in ("tokens", "is_token", "is_answer"):
        ours, theirs = getattr(recorded, name), getattr(written, name)
        whole = functional.pad(ours, (0, width - ours.shape[1])).clone()
        whole[is_sampled.to(whole.device)] = functional.pad(theirs, (0, width - theirs.shape[1])).to(whole)
        parts.append(whole)
    return Texts(*parts)
