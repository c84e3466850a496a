"""What a local teacher would say at each asked position of a pack, kept as its last hidden states.

For teachers with the student's tokeniser. Hidden states and an output matrix stand for logits: at a vocabulary of
100,000 they are a hundredth of the size, and :mod:`understudy.lm.losses.chunked` needs no more. Sequences come back in
every epoch, so what was computed is kept while there is room.

Shapes: n asked positions of a pack, h the teacher's width.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from transformers import PreTrainedModel

from understudy.errors import ConfigError
from understudy.lm.packing import NOTHING, Pack

__all__ = ["TeacherStates", "asked_hidden", "output_matrix"]

# Fields with which some models change their logits after the product with the output matrix.
_LOGIT_CHANGES = ("final_logit_softcapping", "logit_scale", "logits_scaling")


def output_matrix(model: PreTrainedModel) -> torch.Tensor:
    """The matrix that makes logits of hidden states, shape (V, h).

    Raises
    ------
    ConfigError
        If logits are more than that product: a bias, a cap or a scale.
    """
    head = model.get_output_embeddings()
    changes = [name for name in _LOGIT_CHANGES if getattr(model.config, name, None) not in (None, 1.0)]
    if head is None or getattr(head, "bias", None) is not None or changes:
        raise ConfigError(
            "this model's scores are more than hidden states times a matrix",
            given=f"model_type = {model.config.model_type}, {', '.join(changes) or 'no plain output matrix'}",
            todo="distil from its texts alone: --loss sequence",
        )
    weight: torch.Tensor = head.weight
    return weight


def asked_hidden(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
    """Last hidden states at the positions that are asked for something, shape (n, h), in the labels' order."""
    hidden = model.base_model(
        input_ids=pack.tokens_BS,
        position_ids=pack.positions_BS,
        attention_mask=pack.attends(),
        use_cache=False,
    ).last_hidden_state
    return hidden[pack.labels_BS != NOTHING]  # type: ignore[no-any-return]


class TeacherStates:
    """Hidden states of a frozen teacher, computed when first asked for.

    Parameters
    ----------
    model
        With the student's tokeniser; put into evaluation mode.
    most_bytes
        What may be kept in memory; beyond it sequences are computed anew each time.
    """

    def __init__(self, model: PreTrainedModel, *, most_bytes: int = 2**30) -> None:
        self.model = model.eval()
        self.head = output_matrix(model).detach()
        self.free_bytes = most_bytes
        self._kept: dict[bytes, torch.Tensor] = {}

    def at(self, pack: Pack) -> torch.Tensor:
        """Hidden states at the asked positions, shape (n, h), in the labels' order."""
        keys = [_key(pack, at) for at in range(len(pack.tokens_BS))]
        found = [self._kept.get(key) for key in keys]
        missing = [at for at, states in enumerate(found) if states is None]
        if missing:
            for at, states in zip(missing, self._compute(pack, missing), strict=True):
                found[at] = states
                size = states.numel() * states.element_size()
                if size <= self.free_bytes:
                    self.free_bytes -= size
                    self._kept[keys[at]] = states
        return torch.cat([states for states in found if states is not None]).to(self.head.device)

    @torch.no_grad()
    def _compute(self, pack: Pack, numbers: list[int]) -> list[torch.Tensor]:
        part = Pack(
            pack.tokens_BS[numbers],
            pack.positions_BS[numbers],
            pack.pieces_BS[numbers],
            pack.labels_BS[numbers],
        ).to(self.head.device)
        counts: list[int] = (part.labels_BS != NOTHING).sum(1).tolist()
        hidden = asked_hidden(self.model, part).to(self.head.dtype)
        # Clones: a view would keep the whole pass in memory.
        return [states.clone() for states in torch.split(hidden, counts)]


def _key(pack: Pack, at: int) -> bytes:
    digest = hashlib.sha256()
    columns: tuple[Any, ...] = (pack.tokens_BS[at], pack.pieces_BS[at], pack.labels_BS[at])
    for column in columns:
        digest.update(column.cpu().numpy().tobytes())
    return digest.digest()
