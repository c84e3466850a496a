"""Distillation where teacher and student cut texts into tokens differently, over chunks of text that are whole tokens
for both (:mod:`~understudy.lm.losses.span_alignment`). Knows log-probabilities of the tokens of one text, and no more:
an API that returns those of its own text is teacher enough.

Two other ways, for teachers whose full logits are known: :mod:`~understudy.lm.losses.shared_vocabulary` at positions
where chunks begin, and :mod:`~understudy.lm.losses.rank_sorted`.

Shapes: b texts, t tokens of the student, u tokens of the teacher, v vocabulary, c chunks of all texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from understudy.errors import DataError
from understudy.lm.losses.checks import check_positive, check_same_shape
from understudy.lm.losses.positions import log_probabilities, token_mean, wide_type
from understudy.lm.losses.span_alignment import Alignment

__all__ = ["chunk_likelihood_loss", "token_log_probabilities"]

# log(1 - e^x) is computed in one way above, in another below, each where it keeps its digits (Maechler 2012,
# "Accurately computing log(1 - exp(-|a|))").
_MINUS_LOG_2 = -0.6931471805599453


def token_log_probabilities(logits_btv: torch.Tensor, tokens_bt: torch.Tensor) -> torch.Tensor:
    """``log q(y_t | y_<t)`` for each token, from logits at t for the token at t + 1.

    Returns
    -------
    torch.Tensor
        Shape (b, t). The first token's is unknown, since nothing stands before it: it is written as 0 and must be
        masked.
    """
    log_q_bt = log_probabilities(logits_btv[:, :-1]).gather(-1, tokens_bt[:, 1:, None])[..., 0]
    return torch.nn.functional.pad(log_q_bt, (1, 0))


def chunk_likelihood_loss(
    student_log_probabilities: torch.Tensor,
    teacher_log_probabilities: torch.Tensor,
    alignments: Sequence[Alignment],
    *,
    student_mask: torch.Tensor,
    teacher_mask: torch.Tensor,
    temperature: float = 1.0,
    normaliser: float | None = None,
) -> torch.Tensor:
    """``P log(P / Q) + (1 - P) log((1 - P) / (1 - Q))``, averaged over chunks; P and Q are the probabilities of a
    chunk's text, the products over its tokens, to the power of 1 / temperature.

    Minixhofer et al. 2025, "Universal cross-tokenizer distillation via approximate likelihood matching": the divergence
    of the two outcomes *this text* and *any other*.

    Loses what the teacher would rather have said, as everything does that sees one text only. Is approximate even at
    what it measures: the probability of a text is a sum over all its tokenisations, of which each model is asked for
    one, and the chunk before may have ended differently for the one than for the other.

    Parameters
    ----------
    student_log_probabilities, teacher_log_probabilities
        Of each token given those before, (b, t) and (b, u), natural logarithms. No gradient flows to the teacher.
    alignments
        One for each text.
    student_mask, teacher_mask
        Boolean, (b, t) and (b, u): tokens whose log-probability is known and is to count. A chunk counts where all its
        tokens do, on both sides.
    temperature
        Above 0. Above 1, chunks of many tokens, whose P is tiny, weigh more.
    normaliser
        ``None``: the number of chunks that count. See :func:`~understudy.lm.losses.positions.token_mean`.

    Returns
    -------
    torch.Tensor
        A scalar in nats; 0 with a gradient of zeros where no chunk counts. P and Q are kept below 1 by one unit in the
        last place, so that a sure student stays finite.

    Raises
    ------
    ConfigError
        If an option is out of range.
    DataError
        If shapes do not fit.
    """
    check_positive("temperature", temperature)
    check_same_shape(student_log_probabilities=student_log_probabilities, student_mask=student_mask)
    check_same_shape(teacher_log_probabilities=teacher_log_probabilities, teacher_mask=teacher_mask)
    if not len(student_mask) == len(teacher_mask) == len(alignments):
        given = f"{len(student_mask)}, {len(teacher_mask)} and {len(alignments)}"
        raise DataError("student, teacher and alignments must have the same number of texts", given=given)
    log_q_c, is_ours_c = _sum_chunks(student_log_probabilities, student_mask, alignments, "student")
    log_p_c, is_theirs_c = _sum_chunks(
        teacher_log_probabilities.detach(), teacher_mask, alignments, "teacher"
    )
    counts_c = is_ours_c & is_theirs_c
    log_q_c, log_p_c = log_q_c[counts_c] / temperature, log_p_c[counts_c].to(log_q_c.dtype) / temperature
    return token_mean(_binary_kl(log_p_c, log_q_c), normaliser)


def _sum_chunks(
    logs_bt: torch.Tensor,
    mask_bt: torch.Tensor,
    alignments: Sequence[Alignment],
    side: Literal["student", "teacher"],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of each chunk's tokens, and whether all of them count; chunks of all texts in one row, (c,)."""
    tokens: list[int] = []
    chunks: list[int] = []
    first = 0
    for text, alignment in enumerate(alignments):
        for token, chunk in alignment.chunk_of_tokens(side).items():
            if token >= logs_bt.shape[1]:
                given = f"token {token} of {logs_bt.shape[1]}"
                raise DataError(f"an alignment names a token that the {side} has not", given=given)
            tokens.append(text * logs_bt.shape[1] + token)
            chunks.append(first + chunk)
        first += len(alignment.chunks)
    device = logs_bt.device
    token_at, chunk_at = (torch.tensor(one, dtype=torch.long, device=device) for one in (tokens, chunks))
    is_in = mask_bt.reshape(-1)[token_at]
    left_out = torch.zeros(first, dtype=torch.long, device=device).index_add_(0, chunk_at, (~is_in).long())
    sums = torch.zeros(first, dtype=wide_type(logs_bt), device=device)
    # Masked tokens are not added, so that an unknown (NaN) there does not spread to a gradient.
    logs = logs_bt.reshape(-1)[token_at[is_in]].to(sums.dtype)
    return sums.index_add(0, chunk_at[is_in], logs), left_out == 0


def _binary_kl(log_p_c: torch.Tensor, log_q_c: torch.Tensor) -> torch.Tensor:
    most = -torch.finfo(log_q_c.dtype).eps
    log_p_c, log_q_c = log_p_c.clamp(max=most), log_q_c.clamp(max=most)
    of_rest_c = -torch.expm1(log_p_c) * (_log_1_minus_exp(log_p_c) - _log_1_minus_exp(log_q_c))
    return log_p_c.exp() * (log_p_c - log_q_c) + of_rest_c


def _log_1_minus_exp(x_c: torch.Tensor) -> torch.Tensor:
    """``log(1 - e^x)`` for x < 0. Each branch sees only arguments that it is good for: a NaN in the slope of the other
    would not be masked.
    """
    is_near_0 = x_c > _MINUS_LOG_2
    near_c = x_c.masked_fill(~is_near_0, _MINUS_LOG_2)
    far_c = x_c.masked_fill(is_near_0, _MINUS_LOG_2)
    return torch.where(is_near_0, (-torch.expm1(near_c)).log(), torch.log1p(-far_c.exp()))
