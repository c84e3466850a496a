"""Prompts and answers for models in which an encoder reads the prompt and a decoder writes: batches and their loss.

The counterpart of :mod:`understudy.lm.rows`. Rows are not packed: each is a sequence, padded to the longest of its
batch, in the order that seed and epoch fix.

Shapes: B sequences, S tokens of the longest prompt, T tokens of the longest answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from understudy.errors import DataError
from understudy.lm.packing import NOTHING, EpochOrder
from understudy.lm.rows import TokenRow, rows_fingerprint

__all__ = ["PromptBatches", "PromptPack", "answer_loss"]


@dataclass(frozen=True, slots=True)
class PromptPack:
    """A batch.

    Attributes
    ----------
    tokens_BS, is_token_BS
        Ids of the prompts, and which of them are not padding.
    labels_BT
        Ids of the answers, padded with :data:`~understudy.lm.packing.NOTHING`; transformers shifts them itself.
    weights_BT
        Of each label in the loss.
    """

    tokens_BS: torch.Tensor  # noqa: N815  (shape suffix)
    is_token_BS: torch.Tensor  # noqa: N815
    labels_BT: torch.Tensor  # noqa: N815
    weights_BT: torch.Tensor  # noqa: N815

    @property
    def n_sequences(self) -> int:
        """Sequences in the batch."""
        return len(self.tokens_BS)

    @property
    def n_labels(self) -> int:
        """Tokens that are asked for something."""
        return int((self.labels_BT != NOTHING).sum())

    def to(self, device: torch.device) -> PromptPack:
        """Move the batch to a device."""
        return PromptPack(*(one.to(device) for one in self._tensors()))

    def split(self, n_sequences: int) -> list[PromptPack]:
        """Cut into batches of `n_sequences` at most, in order."""
        starts = range(0, len(self.tokens_BS), n_sequences)
        return [
            PromptPack(*(one[start : start + n_sequences] for one in self._tensors())) for start in starts
        ]

    def _tensors(self) -> tuple[torch.Tensor, ...]:
        return self.tokens_BS, self.is_token_BS, self.labels_BT, self.weights_BT


class PromptBatches:
    """Rows as batches for an encoder and a decoder; see :class:`understudy.lm.packing.Batches`.

    Raises
    ------
    DataError
        If there are no rows.
    """

    def __init__(self, rows: Sequence[TokenRow], *, pad_id: int, seed: int = 0) -> None:
        if not rows:
            raise DataError("there are no rows to train on")
        self.rows, self.pad_id, self.seed = tuple(rows), pad_id, seed
        self.n_sequences = len(rows)
        self.fingerprint = rows_fingerprint(self.rows, 0)
        self._order = EpochOrder(len(rows), seed)

    def take(self, numbers: Sequence[int]) -> PromptPack:
        """Pad the rows with these numbers to one length."""
        chosen = [self.rows[number] for number in numbers]
        longest_prompt = max(len(row.prompt) for row in chosen)
        longest_answer = max(len(row.answer) for row in chosen)
        tokens = np.full((len(chosen), longest_prompt), self.pad_id, np.int64)
        labels = np.full((len(chosen), longest_answer), NOTHING, np.int64)
        weights = np.zeros((len(chosen), longest_answer), np.float32)
        for at, row in enumerate(chosen):
            tokens[at, : len(row.prompt)] = row.prompt
            labels[at, : len(row.answer)] = row.answer
            weights[at, : len(row.answer)] = row.weight
        lengths = np.array([len(row.prompt) for row in chosen])
        is_token = np.arange(longest_prompt) < lengths[:, None]
        return PromptPack(*map(torch.from_numpy, (tokens, is_token, labels, weights)))

    def batch(self, number: int, size: int) -> PromptPack:
        """Batch `number` (from 0) of `size` rows; epochs follow each other, each in an order of its own."""
        return self.take(self._order.places(number, size))


def answer_loss(model: Any, pack: Any) -> torch.Tensor:
    """Cross-entropy of the answer's tokens in nats, weighed and summed."""
    logits = model(
        input_ids=pack.tokens_BS,
        attention_mask=pack.is_token_BS.long(),
        labels=pack.labels_BT,
        use_cache=False,
    ).logits
    each = functional.cross_entropy(
        logits.float().flatten(0, 1), pack.labels_BT.flatten(), ignore_index=NOTHING, reduction="none"
    )
    weights: torch.Tensor = pack.weights_BT.flatten()
    return (each * weights).sum()
