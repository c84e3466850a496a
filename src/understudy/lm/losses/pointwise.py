"""Divergences of two distributions, position by position, from their log-probabilities. Knows neither masks nor
means: :mod:`~understudy.lm.losses.divergence` and :mod:`~understudy.lm.losses.chunked` add those.

p is the teacher, q the student. Shapes: n positions, v vocabulary; logarithms must be finite, as
:func:`~understudy.lm.losses.positions.log_probabilities` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from understudy.lm.losses import slopes
from understudy.lm.losses.checks import check_weight

__all__ = [
    "FORWARD_KL",
    "REVERSE_KL",
    "Divergence",
    "jensen_shannon_of",
    "kl_of",
    "log_mixture",
    "skewed_kl_of",
    "skewed_reverse_kl_of",
]


@dataclass(frozen=True, slots=True)
class Divergence:
    """One divergence, written twice.

    Attributes
    ----------
    name
        With its parameter, for messages and logs.
    losses
        Takes log p and log q, (n, v) each, and gives nats, (n,). Plain torch: autograd follows it.
    losses_and_slopes
        The same and the derivative with respect to the student's logits, by hand; see
        :data:`~understudy.lm.losses.slopes.LossesAndSlopes`.
    """

    name: str
    losses: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    losses_and_slopes: slopes.LossesAndSlopes


def kl_of(log_a_nv: torch.Tensor, log_b_nv: torch.Tensor) -> torch.Tensor:
    """``KL(a || b) = sum_v a log(a / b)``, in nats, at least 0 up to rounding (Kullback and Leibler 1951)."""
    return (log_a_nv.exp() * (log_a_nv - log_b_nv)).sum(-1)


def log_mixture(log_a_nv: torch.Tensor, log_b_nv: torch.Tensor, weight: float) -> torch.Tensor:
    """``log(weight a + (1 - weight) b)``, without leaving logarithms; `weight` from 0 to 1, both excluded."""
    return torch.logaddexp(log_a_nv + math.log(weight), log_b_nv + math.log1p(-weight))


def _reverse_kl(log_p_nv: torch.Tensor, log_q_nv: torch.Tensor) -> torch.Tensor:
    return kl_of(log_q_nv, log_p_nv)


FORWARD_KL = Divergence("forward_kl", kl_of, slopes.forward_kl_slopes)
"""``KL(p || q)``."""

REVERSE_KL = Divergence("reverse_kl", _reverse_kl, slopes.reverse_kl_slopes)
"""``KL(q || p)``."""


def jensen_shannon_of(beta: float) -> Divergence:
    """``beta KL(p || m) + (1 - beta) KL(q || m)`` with ``m = beta p + (1 - beta) q``.

    Raises
    ------
    ConfigError
        If beta is not between 0 and 1, both excluded.
    """
    todo = "at 0 and 1 the formula is 0 for all students: use forward_kl or reverse_kl"
    check_weight("beta", beta, todo=todo)
    return Divergence(
        f"jensen_shannon({beta:g})",
        partial(_jensen_shannon, beta=beta),
        partial(slopes.jensen_shannon_slopes, beta=beta),
    )


def _jensen_shannon(log_p_nv: torch.Tensor, log_q_nv: torch.Tensor, beta: float) -> torch.Tensor:
    log_m_nv = log_mixture(log_p_nv, log_q_nv, beta)
    return beta * kl_of(log_p_nv, log_m_nv) + (1 - beta) * kl_of(log_q_nv, log_m_nv)


def skewed_kl_of(alpha: float) -> Divergence:
    """``KL(p || alpha p + (1 - alpha) q)``.

    Raises
    ------
    ConfigError
        If alpha is not from 0 to 1, 1 excluded.
    """
    check_weight("alpha", alpha, may_be_zero=True, todo="at 1 the divergence is 0 for all students")
    if not alpha:
        return FORWARD_KL
    return Divergence(
        f"skewed_kl({alpha:g})",
        partial(_skewed_kl, alpha=alpha),
        partial(slopes.skewed_kl_slopes, alpha=alpha),
    )


def _skewed_kl(log_p_nv: torch.Tensor, log_q_nv: torch.Tensor, alpha: float) -> torch.Tensor:
    return kl_of(log_p_nv, log_mixture(log_p_nv, log_q_nv, alpha))


def skewed_reverse_kl_of(alpha: float) -> Divergence:
    """``KL(q || alpha q + (1 - alpha) p)``.

    Raises
    ------
    ConfigError
        If alpha is not from 0 to 1, 1 excluded.
    """
    check_weight("alpha", alpha, may_be_zero=True, todo="at 1 the divergence is 0 for all students")
    if not alpha:
        return REVERSE_KL
    return Divergence(
        f"skewed_reverse_kl({alpha:g})",
        partial(_skewed_reverse_kl, alpha=alpha),
        partial(slopes.skewed_reverse_kl_slopes, alpha=alpha),
    )


def _skewed_reverse_kl(log_p_nv: torch.Tensor, log_q_nv: torch.Tensor, alpha: float) -> torch.Tensor:
    return kl_of(log_q_nv, log_mixture(log_q_nv, log_p_nv, alpha))
