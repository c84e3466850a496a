"""Forward divergence between different vocabularies by the tokens that both have. Knows pairs of token numbers, not
which strings they are.

Shapes: ... leading dimensions, n positions that count, s shared tokens, v and u vocabularies.
"""

from __future__ import annotations

import torch

from understudy.errors import DataError
from understudy.lm.losses.pointwise import kl_of
from understudy.lm.losses.positions import log_probabilities, pick_positions, token_mean

__all__ = ["shared_vocabulary_kl"]


def shared_vocabulary_kl(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    student_tokens: torch.Tensor,
    teacher_tokens: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
    normaliser: float | None = None,
) -> torch.Tensor:
    """``KL(p' || q')`` where p' and q' have one outcome for each shared token and one for all others together.

    The distributions are merged where both models stand at the same place of the text: at the first tokens of the
    chunks of :func:`~understudy.lm.losses.span_alignment.align_spans`. Loses what is not shared. Is no lower bound of
    anything: the same string is not quite the same event for two tokenisers (where one must write *foo*, the other may
    have *foobar*).

    Parameters
    ----------
    student_logits, teacher_logits
        At the same positions, shapes (..., v) and (..., u). No gradient flows to the teacher.
    student_tokens, teacher_tokens
        Numbers of the shared tokens, both (s,), in the same order, none twice.
    mask, temperature, normaliser
        As in :mod:`~understudy.lm.losses.divergence`.

    Returns
    -------
    torch.Tensor
        A scalar in nats; 0 with a gradient of zeros where no position counts. Where a side has no other tokens, both
        are cut to the shared ones and scaled to 1.

    Raises
    ------
    ConfigError
        If an option is out of range.
    DataError
        If nothing is shared, a token is named twice, or shapes do not fit.
    """
    if student_logits.shape[:-1] != teacher_logits.shape[:-1] or student_tokens.shape != teacher_tokens.shape:
        given = f"logits {tuple(student_logits.shape)} and {tuple(teacher_logits.shape)}, "
        given += f"tokens {tuple(student_tokens.shape)} and {tuple(teacher_tokens.shape)}"
        raise DataError("student and teacher must have the same positions and pairs of tokens", given=given)
    shared = len(student_tokens)
    if not shared or any(len(set(one.tolist())) < shared for one in (student_tokens, teacher_tokens)):
        raise DataError("shared tokens must be at least one, and none twice", given=f"{shared} pairs")
    has_rest = shared < min(student_logits.shape[-1], teacher_logits.shape[-1])
    log_q_nv = log_probabilities(pick_positions(student_logits, mask), temperature)
    with torch.no_grad():
        log_p_nu = log_probabilities(pick_positions(teacher_logits, mask), temperature).to(log_q_nv.dtype)
        log_p_ns = _merge(log_p_nu, teacher_tokens, has_rest)
    return token_mean(kl_of(log_p_ns, _merge(log_q_nv, student_tokens, has_rest)), normaliser)


def _merge(log_nv: torch.Tensor, tokens_s: torch.Tensor, has_rest: bool) -> torch.Tensor:
    shared_ns = log_nv[:, tokens_s]
    if not has_rest:
        return shared_ns.log_softmax(-1)
    rest_n1 = log_nv.index_fill(-1, tokens_s, float("-inf")).logsumexp(-1, keepdim=True)
    return torch.cat((shared_ns, rest_n1), -1)
