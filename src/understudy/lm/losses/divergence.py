"""Token-level distillation: how far the student's distribution over next tokens is from the teacher's.

p is the teacher, q the student, both softmax(logits / temperature). Knows the full logits of both; where they do not
fit into memory see :mod:`~understudy.lm.losses.chunked`, where an API gives only the likeliest tokens see
:mod:`~understudy.lm.losses.top_k`.

Common to all functions. `student_logits` and `teacher_logits` have shape (..., V) and any float type, and are computed
in float32 at least; no gradient flows to the teacher. `mask` is boolean, shape (...). `normaliser`: see
:func:`~understudy.lm.losses.positions.token_mean`. The result is a scalar in nats, the divergence itself: it is *not*
multiplied by the temperature's square. Do that where it is added to a loss at temperature 1 (Hinton et al. 2015: slopes
shrink with the square). Without a position that counts it is 0 with a gradient of zeros. Errors: ConfigError for an
option out of range, DataError for shapes that do not fit.
"""

from __future__ import annotations

import torch

from understudy.lm.losses.checks import check_same_shape
from understudy.lm.losses.pointwise import (
    FORWARD_KL,
    REVERSE_KL,
    Divergence,
    jensen_shannon_of,
    skewed_kl_of,
    skewed_reverse_kl_of,
)
from understudy.lm.losses.positions import log_probabilities, pick_positions, token_mean

__all__ = [
    "divergence_loss",
    "forward_kl",
    "jensen_shannon",
    "reverse_kl",
    "skewed_kl",
    "skewed_reverse_kl",
]


def divergence_loss(
    divergence: Divergence,
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
    normaliser: float | None = None,
) -> torch.Tensor:
    """Any divergence of :mod:`~understudy.lm.losses.pointwise`, over the positions that count."""
    check_same_shape(student_logits=student_logits, teacher_logits=teacher_logits)
    log_q_nv = log_probabilities(pick_positions(student_logits, mask), temperature)
    with torch.no_grad():
        log_p_nv = log_probabilities(pick_positions(teacher_logits, mask), temperature)
    return token_mean(divergence.losses(log_p_nv, log_q_nv), normaliser)


def forward_kl(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
    normaliser: float | None = None,
) -> torch.Tensor:
    """``KL(p || q) = sum_v p log(p / q)``: Hinton et al. 2015, word-level distillation of Kim and Rush 2016.

    The student must cover whatever the teacher may say, so a small one spreads over what it cannot tell apart. At
    least 0, unbounded. Slope with respect to the logits: ``(q - p) / temperature``, bounded.
    """
    return divergence_loss(
        FORWARD_KL,
        student_logits,
        teacher_logits,
        mask=mask,
        temperature=temperature,
        normaliser=normaliser,
    )


def reverse_kl(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
    normaliser: float | None = None,
) -> torch.Tensor:
    """``KL(q || p) = sum_v q log(q / p)``: Gu et al. 2024 (MiniLLM), here per token and without policy gradients.

    The student is punished for what the teacher would not say, and may leave out what it would: it settles on a mode.
    At least 0, unbounded, and so are its slopes where p is tiny: mask in the student whatever is masked (minus
    infinity) in the teacher.
    """
    return divergence_loss(
        REVERSE_KL,
        student_logits,
        teacher_logits,
        mask=mask,
        temperature=temperature,
        normaliser=normaliser,
    )


def jensen_shannon(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    *,
    beta: float = 0.5,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
    normaliser: float | None = None,
) -> torch.Tensor:
    """``beta KL(p || m) + (1 - beta) KL(q || m)``, ``m = beta p + (1 - beta) q``: Agarwal et al. 2024 (GKD).

    From 0 to ``-beta log(beta) - (1 - beta) log(1 - beta)`` (log 2 at one half), symmetric at one half. Divided by
    beta it tends to the forward divergence as beta goes to 0; divided by 1 - beta to the reverse one as beta goes to
    1. At 0 and 1 themselves the formula is 0 and refused; some implementations put the two limits there.
    """
    return divergence_loss(
        jensen_shannon_of(beta),
        student_logits,
        teacher_logits,
        mask=mask,
        temperature=temperature,
        normaliser=normaliser,
    )


def skewed_kl(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    *,
    alpha: float = 0.1,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
    normaliser: float | None = None,
) -> torch.Tensor:
    """``KL(p || alpha p + (1 - alpha) q)``: Ko et al. 2024 (DistiLLM), whose default is alpha = 0.1.

    From 0 to ``-log(alpha)``: a token that the student has forgotten costs no more than that. Equals the forward
    divergence at alpha = 0, which is allowed; 1 is not.
    """
    return divergence_loss(
        skewed_kl_of(alpha),
        student_logits,
        teacher_logits,
        mask=mask,
        temperature=temperature,
        normaliser=normaliser,
    )


def skewed_reverse_kl(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    *,
    alpha: float = 0.1,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
    normaliser: float | None = None,
) -> torch.Tensor:
    """``KL(q || alpha q + (1 - alpha) p)``: Ko et al. 2024 (DistiLLM), whose default is alpha = 0.1.

    From 0 to ``-log(alpha)``, also where the teacher gives a token no mass at all. Equals the reverse divergence at
    alpha = 0, which is allowed; 1 is not.
    """
    return divergence_loss(
        skewed_reverse_kl_of(alpha),
        student_logits,
        teacher_logits,
        mask=mask,
        temperature=temperature,
        normaliser=normaliser,
    )
