"""Prompts and answers as sequences to train on: several rows share a sequence without seeing each other, and only
answers are learnt.

The counterpart of :mod:`understudy.lm.packing` for rows instead of running text. Rows come as token ids: how an input
becomes a prompt is said by :mod:`understudy.runtime.writing`, so that training and serving have the same tokens.

Shapes: B sequences, S tokens in each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from understudy.errors import DataError
from understudy.lm.packing import NOTHING, EpochOrder, Pack

__all__ = ["RowBatches", "TokenRow", "rows_fingerprint"]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One row.

    Attributes
    ----------
    prompt
        Tokens that are given, at least one.
    answer
        Tokens to learn, the end token last.
    weight
        Of each answer token in the loss.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    weight: float = 1.0

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


class RowBatches:
    """Rows packed first-fit, in the order in which they come; see :class:`understudy.lm.packing.Batches`.

    Parameters
    ----------
    rows
        At least one.
    sequence_tokens
        Length of a sequence; what is left free at its end is padding that nobody sees and that asks for nothing.
    pad_id
        Token to pad with.
    seed
        Of the order of sequences.

    Raises
    ------
    DataError
        If there are no rows, or one is longer than a sequence.
    """

    def __init__(self, rows: Sequence[TokenRow], *, sequence_tokens: int, pad_id: int, seed: int = 0) -> None:
        if not rows:
            raise DataError("there are no rows to train on")
        longest = max(map(len, rows))
        if longest > sequence_tokens:
            raise DataError(
                "a row is longer than a sequence",
                given=f"{longest:,} tokens, sequence_tokens = {sequence_tokens:,}",
                todo="cut its prompt, or take longer sequences",
            )
        self.rows, self.sequence_tokens, self.pad_id, self.seed = tuple(rows), sequence_tokens, pad_id, seed
        self._bins = _first_fit([len(row) for row in rows], sequence_tokens)
        self.n_sequences = len(self._bins)
        self.fingerprint = rows_fingerprint(self.rows, sequence_tokens)
        self._order = EpochOrder(self.n_sequences, seed)

    def take(self, numbers: Sequence[int]) -> Pack:
        """Pack the sequences with these numbers."""
        shape = (len(numbers), self.sequence_tokens)
        tokens, labels = np.full(shape, self.pad_id, np.int64), np.full(shape, NOTHING, np.int64)
        positions, pieces = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        weights = np.zeros(shape, np.float32)
        for at, number in enumerate(numbers):
            begin = 0
            for piece, which in enumerate(self._bins[number]):
                row = self.rows[which]
                end = begin + len(row)
                tokens[at, begin:end] = (*row.prompt, *row.answer)
                positions[at, begin:end] = np.arange(len(row))
                pieces[at, begin:end] = piece
                asked = slice(begin + len(row.prompt) - 1, end - 1)
                labels[at, asked], weights[at, asked] = row.answer, row.weight
                begin = end
            pieces[at, begin:] = len(self._bins[number])
            positions[at, begin:] = np.arange(self.sequence_tokens - begin)
        is_weighed = bool((weights[labels != NOTHING] != 1).any())
        return Pack(
            torch.from_numpy(tokens),
            torch.from_numpy(positions),
            torch.from_numpy(pieces),
            torch.from_numpy(labels),
            torch.from_numpy(weights) if is_weighed else None,
        )

    def batch(self, number: int, size: int) -> Pack:
        """Batch `number` (from 0) of `size` sequences; epochs follow each other, each in an order of its own."""
        return self.take(self._order.places(number, size))


def _first_fit(lengths: Sequence[int], room: int, *, most_open: int = 64) -> list[list[int]]:
    """Rows per sequence: each goes to the first of the newest `most_open` sequences that has room for it."""
    bins: list[list[int]] = []
    free: list[int] = []
    for number, length in enumerate(lengths):
        first = max(0, len(bins) - most_open)
        at = next((one for one in range(first, len(bins)) if free[one] >= length), None)
        if at is None:
            bins.append([])
            free.append(room)
            at = len(bins) - 1
        bins[at].append(number)
        free[at] -= length
    return bins


def rows_fingerprint(rows: Sequence[TokenRow], sequence_tokens: int) -> str:
    """Name rows and the length that they are packed to."""
    digest = hashlib.sha256(f"{sequence_tokens}".encode())
    for row in rows:
        digest.update(f"{row.prompt}{row.answer}{row.weight}".encode())
    return digest.hexdigest()
