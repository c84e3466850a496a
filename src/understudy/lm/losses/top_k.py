"""Forward divergence where the teacher tells only its k likeliest tokens, as APIs do. Knows nothing of the tokens that
were not told but their total mass.

Two ways to treat the rest, the *tail*:

`bucket`
    All tokens that were not told count as one: the divergence of distributions over k + 1 outcomes. A lower bound of
    the full divergence (data-processing inequality), and equal to it at k = V. Loses how the teacher shares the tail
    out: any student with the right tail mass is as good as any other.
`renormalise`
    Both distributions are cut to the k tokens and scaled to 1: the divergence given that one of the k is said. Loses
    the tail mass as well: a student that puts nearly everything outside of the list is not punished. For teachers whose
    numbers are not normalised over the vocabulary, so that the tail mass is not known.

Cutting only the teacher is not offered: its optimum is a student that never says anything outside of the list.

API log-probabilities hold at the temperature of the call, normally 1; they cannot be brought to another temperature
without the tail.

Shapes: ... leading dimensions, n positions that count, k tokens told, v vocabulary.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.checks import check_same_shape
from understudy.lm.losses.positions import log_probabilities, pick_positions, token_mean

__all__ = ["Tail", "top_k_kl"]

Tail = Literal["bucket", "renormalise"]
"""How to treat the tokens that the teacher did not tell."""

# By how much told probabilities may sum to more than 1. A bfloat16 has 8 significant bits, so a log-probability is off
# by up to 2^-9 of itself and the sum by up to 2^-9 sum(p |log p|) = 2^-9 times the entropy of the list, which is below
# log(k): 0.009 for k = 100. More than this is no rounding.
_MASS_ROUNDING = 0.01


def top_k_kl(
    student_logits: torch.Tensor,
    teacher_tokens: torch.Tensor,
    teacher_log_probabilities: torch.Tensor,
    *,
    tail: Tail = "bucket",
    mask: torch.Tensor | None = None,
    normaliser: float | None = None,
) -> torch.Tensor:
    """``sum_told p log(p / q)``, and with a bucket ``+ (1 - sum p) log((1 - sum p) / (1 - sum q))``.

    Parameters
    ----------
    student_logits
        Shape (..., V), any float type; computed in float32 at least.
    teacher_tokens
        Which tokens were told, shape (..., k), from 0 to V - 1, no token twice at a position. Any negative number is
        padding, where a position has fewer than k.
    teacher_log_probabilities
        Natural logarithms, shape (..., k), at most 0 up to rounding. Minus infinity, or as low as to underflow (OpenAI
        writes -9999), is a told token with no mass: its share of the student is not part of the tail. Ignored where
        the token is padding.
    tail
        ``bucket`` or ``renormalise``, see above. A position that tells all V tokens has no tail and is renormalised
        either way; so is, under ``bucket``, one whose mass is above 1 by rounding, whose tail is then 0.
    mask, normaliser
        As in :mod:`~understudy.lm.losses.divergence`.

    Returns
    -------
    torch.Tensor
        A scalar in nats; 0 with a gradient of zeros where no position counts.

    Raises
    ------
    ConfigError
        If `tail` is neither.
    DataError
        If at a position that counts nothing with mass was told, the mass is above 1.01, a token is told twice or is
        outside the vocabulary, or if shapes do not fit.
    """
    if tail not in get_args(Tail):
        raise ConfigError("tail must be 'bucket' or 'renormalise'", given=repr(tail))
    check_same_shape(
        teacher_tokens=teacher_tokens,
        teacher_log_probabilities=teacher_log_probabilities,
    )
    if teacher_tokens.shape[:-1] != student_logits.shape[:-1]:
        given = f"teacher {tuple(teacher_tokens.shape)}, student {tuple(student_logits.shape)}"
        raise DataError("student and teacher must have the same positions", given=given)
    log_q_nv = log_probabilities(pick_positions(student_logits, mask))
    told_nk = pick_positions(teacher_tokens, mask)
    is_told_nk = told_nk >= 0
    p_nk = pick_positions(teacher_log_probabilities.detach(), mask).to(log_q_nv.dtype).exp()
    p_nk = p_nk.masked_fill(~is_told_nk, 0.0)
    mass_n1 = p_nk.sum(-1, keepdim=True)
    _check_told(told_nk, mass_n1, log_q_nv.shape[-1])
    place_nk = told_nk.clamp(min=0)
    log_q_nk = log_q_nv.gather(-1, place_nk)
    has_no_tail_n1 = (mass_n1 >= 1) | (is_told_nk.sum(-1, keepdim=True) == log_q_nv.shape[-1])
    if tail == "renormalise":
        log_q_nk = log_q_nk - log_q_nk.masked_fill(~is_told_nk, float("-inf")).logsumexp(-1, keepdim=True)
        return token_mean(_weighted_gaps(p_nk / mass_n1, log_q_nk), normaliser)
    p_nk = torch.where(has_no_tail_n1, p_nk / mass_n1, p_nk)
    tail_p_n1 = (1 - mass_n1).masked_fill(has_no_tail_n1, 0.0)
    log_tail_q_n1 = _log_tail(log_q_nv, place_nk, is_told_nk & ~has_no_tail_n1)
    told_and_tail = torch.cat((p_nk, tail_p_n1), -1), torch.cat((log_q_nk, log_tail_q_n1), -1)
    return token_mean(_weighted_gaps(*told_and_tail), normaliser)


def _check_told(told_nk: torch.Tensor, mass_n1: torch.Tensor, vocabulary: int) -> None:
    if not len(told_nk):
        return
    largest, least_mass, mass = int(told_nk.max()), float(mass_n1.min()), float(mass_n1.max())
    if largest >= vocabulary:
        raise DataError(f"teacher_tokens must be below {vocabulary}", given=str(largest))
    if not least_mass > 0:
        todo = "mask positions without log-probabilities"
        raise DataError("at a position that counts the teacher told no token with mass", todo=todo)
    if not mass <= 1 + _MASS_ROUNDING:
        raise DataError(
            "told probabilities sum to more than 1 at a position",
            given=f"{mass:.4g}",
            todo="give natural logarithms of probabilities, not logits",
        )
    ordered_nk = told_nk.sort(-1).values
    if bool(((ordered_nk[:, 1:] == ordered_nk[:, :-1]) & (ordered_nk[:, 1:] >= 0)).any()):
        raise DataError("teacher_tokens has a token twice at a position", todo="keep one of them")


def _weighted_gaps(p_nk: torch.Tensor, log_q_nk: torch.Tensor) -> torch.Tensor:
    """``sum_k p log(p / q)``; a token with p = 0 adds nothing, whatever q is."""
    return (torch.xlogy(p_nk, p_nk) - p_nk * log_q_nk).sum(-1)


def _log_tail(log_q_nv: torch.Tensor, place_nk: torch.Tensor, is_told_nk: torch.Tensor) -> torch.Tensor:
    """Log of the student's mass outside of the list, summed outside: ``1 - sum_told q`` would cancel to 0 in float32
    where the tail is below 1e-7.
    """
    # Counted, not set: padding points at token 0, which may have been told as well.
    times_told_nv = torch.zeros_like(log_q_nv).scatter_add_(-1, place_nk, is_told_nk.to(log_q_nv.dtype))
    return log_q_nv.masked_fill(times_told_nv > 0, float("-inf")).logsumexp(-1, keepdim=True)
