"""What a student is taught by: objectives for the training loop, made of a teacher and a loss.

An objective mixes cross-entropy on the recorded text with a divergence from the teacher,
``(1 - weight) CE + weight temperature^2 D``: the square keeps the slopes' size when the temperature changes (Hinton et
al. 2015, section 2.1). Here are the losses that need the student's own tokeniser and fixed texts; see
:mod:`understudy.lm.distil_on_policy` for texts that the student writes, and
:mod:`understudy.lm.distil_other_tokens` for teachers with other tokens.

Shapes: n asked positions of a pack, k told tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.chunked import chunked_divergence, chunked_head_loss
from understudy.lm.losses.pointwise import (
    FORWARD_KL,
    REVERSE_KL,
    Divergence,
    jensen_shannon_of,
    skewed_kl_of,
    skewed_reverse_kl_of,
)
from understudy.lm.losses.top_k import Tail, top_k_kl
from understudy.lm.packing import NOTHING, Pack
from understudy.lm.placed_rows import row_key, rows_of
from understudy.lm.teacher_states import TeacherStates, asked_hidden, output_matrix
from understudy.lm.train import Objective

__all__ = [
    "DIVERGENCES",
    "OTHER_TOKENS",
    "Distillation",
    "Told",
    "asked_cross_entropy",
    "state_objective",
    "told_objective",
]

DIVERGENCES = ("forward_kl", "reverse_kl", "jensen_shannon", "skewed_kl", "skewed_reverse_kl")
"""Losses over the whole vocabulary of a teacher with the student's tokeniser."""

OTHER_TOKENS = ("chunk_likelihood", "shared_vocabulary", "rank_sorted")
"""Losses that do not ask for the student's tokeniser."""

_LOSSES = ("sequence", "top_k", *DIVERGENCES, "on_policy", *OTHER_TOKENS)


@dataclass(frozen=True, slots=True)
class Distillation:
    """How a student is taught.

    Attributes
    ----------
    loss
        ``sequence`` (the recorded text alone), ``top_k``, one of :data:`DIVERGENCES`, ``on_policy``, or one of
        :data:`OTHER_TOKENS`.
    weight
        Of the divergence, above 0 to 1; the rest is cross-entropy on the recorded text. ``sequence`` has none.
    temperature
        Of both distributions, above 0; ``top_k`` knows 1 only.
    beta, alpha
        Of ``jensen_shannon`` and of the skewed divergences.
    tail
        Of ``top_k``: see :mod:`understudy.lm.losses.top_k`.
    student_share
        Of ``on_policy``: the share of texts that the student writes, 0 to 1.
    divergence
        Of ``on_policy``: one of :data:`DIVERGENCES`.
    seed
        Of what the student writes.
    """

    loss: str = "forward_kl"
    weight: float = 0.5
    temperature: float = 1.0
    beta: float = 0.5
    alpha: float = 0.1
    tail: Tail = "bucket"
    student_share: float = 0.5
    divergence: str = "jensen_shannon"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, is_good, allowed in (
            ("loss", self.loss in _LOSSES, f"one of {', '.join(_LOSSES)}"),
            ("weight", 0 < self.weight <= 1, "above 0, at most 1"),
            ("temperature", 0 < self.temperature < float("inf"), "above 0"),
            ("tail", self.tail in get_args(Tail), " or ".join(get_args(Tail))),
            ("student_share", 0 <= self.student_share <= 1, "from 0 to 1"),
            ("divergence", self.divergence in DIVERGENCES, f"one of {', '.join(DIVERGENCES)}"),
        ):
            if not is_good:
                raise ConfigError(f"{name} must be {allowed}", given=f"{name} = {getattr(self, name)!r}")
        if self.loss == "top_k" and self.temperature != 1:
            raise ConfigError(
                "top_k knows the temperature 1 only: what was told holds at it",
                given=f"temperature = {self.temperature:g}",
            )

    def pointwise(self) -> Divergence:
        """The divergence that `loss` names, or under ``on_policy`` `divergence`."""
        name = self.divergence if self.loss == "on_policy" else self.loss
        if name == "forward_kl":
            return FORWARD_KL
        if name == "reverse_kl":
            return REVERSE_KL
        if name == "jensen_shannon":
            return jensen_shannon_of(self.beta)
        if name == "skewed_kl":
            return skewed_kl_of(self.alpha)
        if name == "skewed_reverse_kl":
            return skewed_reverse_kl_of(self.alpha)
        raise ConfigError("this loss has no divergence over the vocabulary", given=f"loss = {self.loss}")


def asked_cross_entropy(hidden_nh: torch.Tensor, head_vh: torch.Tensor, pack: Pack) -> torch.Tensor:
    """Cross-entropy of the labels, summed, from hidden states at the asked positions."""
    is_asked = pack.labels_BS != NOTHING
    labels_n = pack.labels_BS[is_asked]
    weights_n = None if pack.weights_BS is None else pack.weights_BS[is_asked]

    def losses(logits_cv: torch.Tensor, rows: slice) -> torch.Tensor:
        losses_c = functional.cross_entropy(logits_cv, labels_n[rows], reduction="none")
        return losses_c if weights_n is None else losses_c * weights_n[rows]

    return chunked_head_loss(hidden_nh, head_vh, losses, normaliser=1.0)


def state_objective(how: Distillation, teacher: TeacherStates) -> Objective:
    """One of :data:`DIVERGENCES` from a local teacher, without full logits of either."""
    divergence = how.pointwise()

    def objective(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
        _refuse_weights(pack)
        head = output_matrix(model)
        hidden = asked_hidden(model, pack).to(head.dtype)
        # The normaliser carries the weight: scaling the result would copy both gradients.
        taught = chunked_divergence(
            hidden,
            head,
            teacher.at(pack).to(head),
            teacher.head.to(head),
            divergence=divergence,
            temperature=how.temperature,
            normaliser=1 / (how.weight * how.temperature**2),
        )
        return taught + _rest(how, hidden, head, pack)

    return objective


@dataclass(frozen=True, slots=True)
class Told:
    """What an API told of one answer's tokens.

    Attributes
    ----------
    tokens
        Whole numbers, shape (answer tokens, k); below 0 where fewer were told.
    log_probabilities
        Natural logarithms, same shape.
    """

    tokens: torch.Tensor
    log_probabilities: torch.Tensor


def told_objective(how: Distillation, told: Mapping[tuple[int, tuple[int, ...]], Told]) -> Objective:
    """``top_k``: the likeliest tokens as a log holds them, by :func:`~understudy.lm.placed_rows.row_key`.

    Rows of which nothing was told have cross-entropy alone, at full weight.
    """

    def objective(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
        _refuse_weights(pack)
        head = output_matrix(model)
        hidden = asked_hidden(model, pack).to(head.dtype)
        logits_nv = hidden @ head.T
        found = [told.get(row_key(row.prompt, row.answered)) for row in rows_of(pack)]
        counts = [len(row.answered) for row in rows_of(pack)]
        width = max((one.tokens.shape[1] for one in found if one is not None), default=1)
        tokens_nk = torch.full((sum(counts), width), -1, dtype=torch.long)
        logs_nk = torch.zeros((sum(counts), width))
        is_told_n = torch.zeros(sum(counts), dtype=torch.bool)
        begin = 0
        for one, count in zip(found, counts, strict=True):
            if one is not None:
                if len(one.tokens) != count:
                    given = f"{len(one.tokens)} positions for an answer of {count} tokens"
                    raise DataError("what was told does not fit the answer", given=given)
                tokens_nk[begin : begin + count, : one.tokens.shape[1]] = one.tokens
                logs_nk[begin : begin + count, : one.tokens.shape[1]] = one.log_probabilities
                is_told_n[begin : begin + count] = (one.tokens >= 0).any(1)
            begin += count
        device = logits_nv.device
        is_told_n = is_told_n.to(device)
        taught = top_k_kl(
            logits_nv,
            tokens_nk.to(device),
            logs_nk.to(device),
            tail=how.tail,
            mask=is_told_n,
            normaliser=1 / how.weight,
        )
        labels_n = pack.labels_BS[pack.labels_BS != NOTHING]
        losses_n = functional.cross_entropy(logits_nv.float(), labels_n, reduction="none")
        return taught + (losses_n * torch.where(is_told_n, 1 - how.weight, 1.0)).sum()

    return objective


def _rest(how: Distillation, hidden: torch.Tensor, head: torch.Tensor, pack: Pack) -> torch.Tensor:
    if how.weight == 1:
        return hidden.new_zeros(())
    return (1 - how.weight) * asked_cross_entropy(hidden, head, pack)


def _refuse_weights(pack: Pack) -> None:
    if pack.weights_BS is not None:
        raise ConfigError(
            "rows with weights of their own cannot be distilled with this loss", todo="use --loss sequence"
        )
