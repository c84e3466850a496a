"""Finds the rows in a pack again: which stretch of which sequence is one text, and where its answer begins.

The counterpart of packing, for whoever knows something of a row that a pack does not carry.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.lm.packing import NOTHING, Pack

__all__ = ["PlacedRow", "row_key", "rows_of"]


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """One row within a pack.

    Attributes
    ----------
    sequence, begin, answer, end
        Number of the sequence; its first token, the first that is asked for, and the one after the last.
    tokens
        All of them, prompt and answer.
    """

    sequence: int
    begin: int
    answer: int
    end: int
    tokens: tuple[int, ...]

    @property
    def prompt(self) -> tuple[int, ...]:
        """The tokens that are given."""
        return self.tokens[: self.answer - self.begin]

    @property
    def answered(self) -> tuple[int, ...]:
        """The tokens that are asked for."""
        return self.tokens[self.answer - self.begin :]


def row_key(prompt: tuple[int, ...], answer: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """What a row is remembered by: two rows with one key are the same row."""
    return len(prompt), (*prompt, *answer)


def rows_of(pack: Pack) -> list[PlacedRow]:
    """The rows that are asked for something, in the order of the pack's labels."""
    found: list[PlacedRow] = []
    columns = zip(pack.tokens_BS.tolist(), pack.pieces_BS.tolist(), pack.labels_BS.tolist(), strict=True)
    for sequence, (tokens, pieces, labels) in enumerate(columns):
        begin = 0
        while begin < len(tokens):
            stop = begin + 1
            while stop < len(tokens) and pieces[stop] == pieces[begin]:
                stop += 1
            asked = [at for at in range(begin, stop) if labels[at] != NOTHING]
            if asked:
                end = asked[-1] + 2
                found.append(PlacedRow(sequence, begin, asked[0] + 1, end, tuple(tokens[begin:end])))
            begin = stop
    return found
