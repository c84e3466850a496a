"""Sequence-level distillation: the student learns to write the text that the teacher wrote. Knows no probabilities
of the teacher.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from understudy.errors import DataError
from understudy.lm.losses.positions import pick_positions, token_mean, wide_type

__all__ = ["sequence_loss"]


def sequence_loss(
    student_logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    normaliser: float | None = None,
) -> torch.Tensor:
    """Cross-entropy on the teacher's text: ``-sum_t log q(y_t) / normaliser``.

    Kim and Rush 2016, "Sequence-level knowledge distillation", with the teacher's text in place of the mode of its
    distribution over texts. An unbiased estimate of the forward Kullback-Leibler divergence between whole texts (up
    to the teacher's entropy, a constant) if the texts are samples of the teacher at temperature 1; biased towards its
    mode if they were decoded colder.

    Parameters
    ----------
    student_logits
        Shape (..., V), any float type; computed in float32 at least.
    targets
        The teacher's tokens, shape (...), whole numbers from 0 to V - 1 where the mask is true and anything elsewhere.
    mask
        Boolean, shape (...). ``None``: every position counts.
    normaliser
        See :func:`~understudy.lm.losses.positions.token_mean`.

    Returns
    -------
    torch.Tensor
        A scalar in nats; 0 with a gradient of zeros where no position counts.

    Raises
    ------
    DataError
        If shapes do not fit, or a target is outside the vocabulary.
    """
    if targets.shape != student_logits.shape[:-1]:
        given = f"targets {tuple(targets.shape)}, logits {tuple(student_logits.shape)}"
        raise DataError("targets must have one entry for each position of the logits", given=given)
    logits_nv = pick_positions(student_logits, mask)
    targets_n = pick_positions(targets, mask, has_columns=False)
    size = logits_nv.shape[1]
    if len(targets_n) and not 0 <= int(targets_n.min()) <= int(targets_n.max()) < size:
        given = f"{int(targets_n.min())} to {int(targets_n.max())}"
        raise DataError(
            f"targets that count must be from 0 to {size - 1}", given=given, todo="mask what is padding"
        )
    wide_nv = logits_nv.to(wide_type(logits_nv))
    return token_mean(functional.cross_entropy(wide_nv, targets_n, reduction="none"), normaliser)
