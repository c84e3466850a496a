"""Distillation between different vocabularies by the shape of the distributions alone. Knows not which token is which.

Shapes: ... leading dimensions, n positions that count, v vocabulary of student or teacher.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from understudy.errors import DataError
from understudy.lm.losses.positions import log_probabilities, pick_positions, token_mean

__all__ = ["rank_sorted_distance"]


def rank_sorted_distance(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
    normaliser: float | None = None,
) -> torch.Tensor:
    """``sum_r |q_(r) - p_(r)|``, probabilities in falling order, the shorter list filled up with zeros.

    Boizard et al. 2024, "Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss for LLMs": the
    Wasserstein distance where moving mass costs the same between any two tokens has this closed form. They add it to
    the cross-entropy on the teacher's text, which alone says which token is meant; so should you.

    Loses the tokens' identity: any permutation of the student's vocabulary has the same value. From 0 to 2.

    Parameters
    ----------
    student_logits, teacher_logits
        Shapes (..., V) and (..., V'): the same positions, for instance the first positions of the chunks of
        :func:`~understudy.lm.losses.span_alignment.align_spans`. (The paper pairs the t-th tokens of both texts, which
        stand at different places as soon as one token has been split.)
    mask, temperature, normaliser
        As in :mod:`~understudy.lm.losses.divergence`.

    Returns
    -------
    torch.Tensor
        A scalar; 0 with a gradient of zeros where no position counts. Where two sorted probabilities are equal the
        slope is taken as 0.

    Raises
    ------
    ConfigError
        If an option is out of range.
    DataError
        If the positions differ.
    """
    if student_logits.shape[:-1] != teacher_logits.shape[:-1]:
        given = f"{tuple(student_logits.shape)} and {tuple(teacher_logits.shape)}"
        raise DataError("student and teacher must have the same positions", given=given)
    q_nv = log_probabilities(pick_positions(student_logits, mask), temperature).exp()
    with torch.no_grad():
        p_nv = log_probabilities(pick_positions(teacher_logits, mask), temperature).exp().to(q_nv.dtype)
    size = max(q_nv.shape[-1], p_nv.shape[-1])
    sorted_q_nv, sorted_p_nv = (
        functional.pad(one.sort(-1, descending=True).values, (0, size - one.shape[-1]))
        for one in (q_nv, p_nv)
    )
    return token_mean((sorted_q_nv - sorted_p_nv).abs().sum(-1), normaliser)
