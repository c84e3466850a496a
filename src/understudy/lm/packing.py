"""Packs texts into sequences of one length, without one text seeing another.

Sequence i is tokens ``i * S`` to ``(i + 1) * S`` of the shards: no padding, no token twice. A text that is cut at
the end of a sequence goes on in the next as a piece of its own. Within a sequence each piece counts positions
from 0, attends to itself only, and its last token is asked for nothing.

Shapes: B sequences, S tokens in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from understudy.errors import DataError
from understudy.lm.shards import TokenShards

__all__ = ["NOTHING", "Pack", "PackedTokens", "pack"]

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
    """

    tokens_BS: torch.Tensor  # noqa: N815  (shape suffix)
    positions_BS: torch.Tensor  # noqa: N815
    pieces_BS: torch.Tensor  # noqa: N815
    labels_BS: torch.Tensor  # noqa: N815

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
        )

    def split(self, n_sequences: int) -> list[Pack]:
        """Cut into batches of `n_sequences` at most, in order."""
        parts = (
            torch.split(tensor, n_sequences)
            for tensor in (self.tokens_BS, self.positions_BS, self.pieces_BS, self.labels_BS)
        )
        return [Pack(*four) for four in zip(*parts, strict=True)]


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
        self.n_sequences = shards.n_tokens // sequence_tokens
        self._epoch, self._order = -1, np.zeros(0, np.int64)
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
        return self.take([self._at(place) for place in range(number * size, (number + 1) * size)])

    def _at(self, place: int) -> int:
        epoch, rest = divmod(place, self.n_sequences)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.seed, epoch]).permutation(self.n_sequences)
        return int(self._order[rest])
