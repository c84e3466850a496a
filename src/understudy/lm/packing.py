"""Packs texts into sequences of one length, without one text seeing another.

Sequence i is tokens ``i * S`` to ``(i + 1) * S`` of the shards: no padding, no token twice. A text that is cut at
the end of a sequence goes on in the next as a piece of its own. Within a sequence each piece counts positions
from 0, attends to itself only, and its last token is asked for nothing.

Shapes: B sequences, S tokens in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from understudy.errors import DataError
from understudy.lm.shards import TokenShards

__all__ = ["NOTHING", "Batches", "EpochOrder", "Pack", "PackedTokens", "pack"]

NOTHING = -100
"""Label of a token that is asked for nothing: what torch's cross-entropy leaves out."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A batch of packed sequences.

    Attributes
    ----------
    tokens_BS, positions_BS, pieces_BS
        Ids; positions within the piece; number of the piece within its sequence.
    labels_BS
        The next token of the same piece, else :data:`NOTHING`. Already shifted: position t holds what position
        t should predict.
    weights_BS
        Of each label in the loss; ``None``: all 1.
    is_single
        Whether all labels lie in the first piece of their sequences, so that causal attention alone keeps pieces
        apart and positions count from 0; ``False`` is always right.
    """

    tokens_BS: torch.Tensor  # noqa: N815  (shape suffix)
    positions_BS: torch.Tensor  # noqa: N815
    pieces_BS: torch.Tensor  # noqa: N815
    labels_BS: torch.Tensor  # noqa: N815
    weights_BS: torch.Tensor | None = None  # noqa: N815
    is_single: bool = False

    @property
    def n_sequences(self) -> int:
        """Sequences in the batch."""
        return len(self.tokens_BS)

    @property
    def n_labels(self) -> int:
        """Tokens that are asked for something."""
        return int((self.labels_BS != NOTHING).sum())

    def attends(self) -> torch.Tensor:
        """Tell who sees whom: booleans, shape (B, 1, S, S); causal, and within a piece only."""
        same = self.pieces_BS[:, :, None] == self.pieces_BS[:, None, :]
        return torch.tril(same)[:, None]

    def to(self, device: torch.device) -> Pack:
        """Move the batch to a device."""
        return Pack(
            self.tokens_BS.to(device),
            self.positions_BS.to(device),
            self.pieces_BS.to(device),
            self.labels_BS.to(device),
            None if self.weights_BS is None else self.weights_BS.to(device),
            self.is_single,
        )

    def split(self, n_sequences: int) -> list[Pack]:
        """Cut into batches of `n_sequences` at most, in order."""
        starts = range(0, len(self.tokens_BS), n_sequences)
        return [self._rows(slice(start, start + n_sequences)) for start in starts]

    def _rows(self, rows: slice) -> Pack:
        weights = None if self.weights_BS is None else self.weights_BS[rows]
        labels, pieces = self.labels_BS[rows], self.pieces_BS[rows]
        is_single = self.is_single or not bool(((labels != NOTHING) & (pieces != pieces[:, :1])).any())
        return Pack(self.tokens_BS[rows], self.positions_BS[rows], pieces, labels, weights, is_single)


class Batches(Protocol):
    """What the training loop draws from: sequences by number, in an order that is a function of seed and epoch."""

    @property
    def fingerprint(self) -> str:
        """Names the content: a resumed run must find the same."""
        ...

    @property
    def seed(self) -> int:
        """Of the order."""
        ...

    @property
    def n_sequences(self) -> int:
        """Sequences in one epoch, 1 or more."""
        ...

    def take(self, numbers: Sequence[int]) -> Pack:
        """Pack the sequences with these numbers."""
        ...

    def batch(self, number: int, size: int) -> Pack:
        """Batch `number` (from 0) of `size` sequences, over epochs."""
        ...


def pack(tokens_BS: torch.Tensor, end_id: int) -> Pack:  # noqa: N803
    """Find the pieces in sequences of tokens, in which `end_id` closes a text."""
    is_end = (tokens_BS == end_id).to(torch.int64)
    pieces = is_end.cumsum(1) - is_end  # the end token belongs to the text that it closes
    at = torch.arange(tokens_BS.shape[1]).expand_as(tokens_BS)
    is_first = torch.ones_like(tokens_BS, dtype=torch.bool)
    is_first[:, 1:] = pieces[:, 1:] != pieces[:, :-1]
    positions = at - torch.where(is_first, at, 0).cummax(1).values
    labels = torch.full_like(tokens_BS, NOTHING)
    labels[:, :-1] = torch.where(is_first[:, 1:], NOTHING, tokens_BS[:, 1:])
    return Pack(tokens_BS, positions, pieces, labels)


class PackedTokens:
    """Sequences of `sequence_tokens` tokens, in an order that seed and epoch fix.

    A batch is a function of its number: whoever resumes at step k asks for batch k, and nothing else needs to be
    remembered. The tail of the shards that fills no sequence is left out.

    Raises
    ------
    DataError
        If there are fewer tokens than one sequence needs.
    """

    def __init__(self, shards: TokenShards, *, sequence_tokens: int, seed: int = 0) -> None:
        self.shards, self.sequence_tokens, self.seed = shards, sequence_tokens, seed
        self.fingerprint = shards.fingerprint
        self.n_sequences = shards.n_tokens // sequence_tokens
        self._order = EpochOrder(self.n_sequences, seed)
        if not self.n_sequences:
            raise DataError(
                "there is less text than one sequence needs",
                given=f"{shards.n_tokens:,} tokens, sequence_tokens = {sequence_tokens:,}",
                todo="give more text, or a shorter sequence",
            )

    def take(self, numbers: Sequence[int]) -> Pack:
        """Pack the sequences with these numbers."""
        size = self.sequence_tokens
        rows = [self.shards.read(number * size, (number + 1) * size) for number in numbers]
        return pack(torch.from_numpy(np.stack(rows)), self.shards.end_id)

    def batch(self, number: int, size: int) -> Pack:
        """Batch `number` (from 0) of `size` sequences; epochs follow each other, each in an order of its own."""
        return self.take(self._order.places(number, size))


class EpochOrder:
    """The order of `count` sequences: epochs follow each other, each in an order of its own that seed and epoch fix."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def places(self, number: int, size: int) -> list[int]:
        """Numbers of the sequences in batch `number` (from 0) of `size`."""
        return [self._at(place) for place in range(number * size, (number + 1) * size)]

    def _at(self, place: int) -> int:
        epoch, rest = divmod(place, self._count)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self._seed, epoch]).permutation(self._count)
        return int(self._order[rest])
