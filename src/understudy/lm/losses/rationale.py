"""Answer and reason as two tasks of one student: the same prompt asks for the one or for the other, and only the answer
is paid for when it serves. Knows not how a prompt says which.

Its counterpart for encoders, which cannot write, is :mod:`understudy.training.rationale`.

Shapes: b texts, t tokens, v vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.sequence import sequence_loss

__all__ = ["AnswerAndReason", "answer_and_reason_loss"]


@dataclass(frozen=True, slots=True)
class AnswerAndReason:
    """The loss and its two parts.

    Attributes
    ----------
    total
        What to differentiate: ``answer + reason_weight * reason``.
    answer, reason
        Nats per token of the task, detached; 0 where the batch has none of it.
    answer_tokens, reason_tokens
        How many tokens that count the batch has of each.
    """

    total: torch.Tensor
    answer: torch.Tensor
    reason: torch.Tensor
    answer_tokens: int
    reason_tokens: int


def answer_and_reason_loss(
    student_logits: torch.Tensor,
    targets: torch.Tensor,
    mask: torch.Tensor,
    is_reason: torch.Tensor,
    *,
    reason_weight: float = 1.0,
    answer_normaliser: float | None = None,
    reason_normaliser: float | None = None,
) -> AnswerAndReason:
    """``L_answer + reason_weight * L_reason``, each the cross-entropy on the teacher's text, averaged over its own
    tokens.

    Hsieh et al. 2023, "Distilling step-by-step": their code weighs the two as alpha and 1 - alpha and recommends 0.5,
    which is a weight of 1 here up to the factor of both. Averaging each task by itself matters: reasons are many times
    longer than answers, and in one common mean they would drown them.

    Parameters
    ----------
    student_logits
        Shape (b, t, v).
    targets
        The teacher's tokens, (b, t): of an answer or of a reason.
    mask
        Boolean, (b, t).
    is_reason
        Boolean, (b,): which texts are reasons. Texts without a rationale simply have no such row.
    reason_weight
        At least 0.
    answer_normaliser, reason_normaliser
        ``None``: the tokens of the task in this batch. See :func:`~understudy.lm.losses.positions.token_mean`.

    Returns
    -------
    AnswerAndReason
        A task without tokens adds 0 with a gradient of zeros.

    Raises
    ------
    ConfigError
        If the weight is negative or not finite, or a normaliser not above 0.
    DataError
        If shapes do not fit.
    """
    if not 0 <= reason_weight < float("inf"):
        raise ConfigError("reason_weight must be finite and at least 0", given=f"{reason_weight!r}")
    if is_reason.dtype != torch.bool or is_reason.shape != mask.shape[:1] or mask.ndim != 2:
        raise DataError(
            "is_reason must be boolean with one entry for each text",
            given=f"{is_reason.dtype} {tuple(is_reason.shape)} for a mask {tuple(mask.shape)}",
        )
    answer_bt, reason_bt = mask & ~is_reason[:, None], mask & is_reason[:, None]
    answer = sequence_loss(student_logits, targets, mask=answer_bt, normaliser=answer_normaliser)
    reason = sequence_loss(student_logits, targets, mask=reason_bt, normaliser=reason_normaliser)
    return AnswerAndReason(
        answer + reason_weight * reason,
        answer.detach(),
        reason.detach(),
        int(answer_bt.sum()),
        int(reason_bt.sum()),
    )
