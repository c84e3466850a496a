"""The divergences once more, with their derivatives by hand: for chunks, where autograd would keep a dozen arrays
of a chunk's size. :mod:`~understudy.lm.losses.pointwise` is what they must equal.

Everything follows from p, q and the gap g = log p - log q: with a mixture m = w p + (1 - w) q,
``log(m / q) = log(1 + w (e^g - 1))``, which loses nothing where p and q are close. With d = dL/dq, up to a constant
for each position, the slope with respect to the student's logits is ``q (d - sum_v q d)``, because
dq_v/dz_w = q_v ((v = w) - q_w).

Shapes: c positions of a chunk, v vocabulary. p is the teacher, q the student.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = [
    "LossesAndSlopes",
    "forward_kl_slopes",
    "jensen_shannon_slopes",
    "reverse_kl_slopes",
    "skewed_kl_slopes",
    "skewed_reverse_kl_slopes",
]

LossesAndSlopes = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]
]
"""Takes p, q, the gap and a spare array, all (c, v), and may overwrite each; gives losses in nats (c,) and slopes
(c, v), which lie in one of the four.
"""

_Pair = tuple[torch.Tensor, torch.Tensor]

# exp(80) fits into float32. Beyond, log(m / q) = g + log(w) to every digit, so cutting the gap changes no difference of
# the two, and what is weighed by q < exp(-80) is nothing beside 1.
_LARGEST_GAP = 80.0


def forward_kl_slopes(
    p_cv: torch.Tensor, q_cv: torch.Tensor, gap_cv: torch.Tensor, spare_cv: torch.Tensor
) -> _Pair:
    """``KL(p || q) = sum p g``; slope ``q - p``."""
    del spare_cv
    return _row_dot(p_cv, gap_cv), q_cv.sub_(p_cv)


def reverse_kl_slopes(
    p_cv: torch.Tensor, q_cv: torch.Tensor, gap_cv: torch.Tensor, spare_cv: torch.Tensor
) -> _Pair:
    """``KL(q || p) = -sum q g``; d = -g."""
    del p_cv, spare_cv
    return _through_softmax(q_cv, gap_cv.neg_())


def jensen_shannon_slopes(
    p_cv: torch.Tensor, q_cv: torch.Tensor, gap_cv: torch.Tensor, spare_cv: torch.Tensor, beta: float
) -> _Pair:
    """``beta KL(p || m) + (1 - beta) KL(q || m)``, m = beta p + (1 - beta) q; d = (1 - beta) log(q / m)."""
    log_m_over_q_cv = _log_mixture_over_q(gap_cv, beta, spare_cv)
    of_teacher_c = _row_dot(p_cv, gap_cv.sub_(log_m_over_q_cv))
    of_student_c, slopes_cv = _through_softmax(q_cv, log_m_over_q_cv.neg_())
    return beta * of_teacher_c + (1 - beta) * of_student_c, slopes_cv.mul_(1 - beta)


def skewed_kl_slopes(
    p_cv: torch.Tensor, q_cv: torch.Tensor, gap_cv: torch.Tensor, spare_cv: torch.Tensor, alpha: float
) -> _Pair:
    """``KL(p || m)``, m = alpha p + (1 - alpha) q; d = -(1 - alpha) p / m, where p / m is from 0 to 1 / alpha."""
    log_p_over_m_cv = gap_cv.sub_(_log_mixture_over_q(gap_cv, alpha, spare_cv))
    losses_c = _row_dot(p_cv, log_p_over_m_cv)
    _, slopes_cv = _through_softmax(q_cv, log_p_over_m_cv.exp_().mul_(alpha - 1))
    return losses_c, slopes_cv


def skewed_reverse_kl_slopes(
    p_cv: torch.Tensor, q_cv: torch.Tensor, gap_cv: torch.Tensor, spare_cv: torch.Tensor, alpha: float
) -> _Pair:
    """``KL(q || m)``, m = alpha q + (1 - alpha) p; d = log(q / m) - alpha q / m, up to a constant."""
    log_q_over_m_cv = _log_mixture_over_q(gap_cv, 1 - alpha, spare_cv).neg_()
    losses_c = _row_dot(q_cv, log_q_over_m_cv)
    share_cv = torch.exp(log_q_over_m_cv, out=p_cv)
    _, slopes_cv = _through_softmax(q_cv, log_q_over_m_cv.sub_(share_cv, alpha=alpha))
    return losses_c, slopes_cv


def _row_dot(a_cv: torch.Tensor, b_cv: torch.Tensor) -> torch.Tensor:
    """Sum of products over the vocabulary, without an array of products."""
    return torch.bmm(a_cv[:, None, :], b_cv[:, :, None])[:, 0, 0]


def _through_softmax(q_cv: torch.Tensor, d_cv: torch.Tensor) -> _Pair:
    """``sum_v q d`` and ``q (d - sum_v q d)``; overwrites d."""
    mean_c = _row_dot(q_cv, d_cv)
    return mean_c, d_cv.sub_(mean_c[:, None]).mul_(q_cv)


def _log_mixture_over_q(gap_cv: torch.Tensor, weight: float, out_cv: torch.Tensor) -> torch.Tensor:
    """``log((weight p + (1 - weight) q) / q)``; cuts the gap."""
    gap_cv.clamp_(max=_LARGEST_GAP)
    return torch.expm1(gap_cv, out=out_cv).mul_(weight).log1p_()
