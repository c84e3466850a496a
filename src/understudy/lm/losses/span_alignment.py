"""Aligns two tokenisations of one text: the finest chunks whose borders are borders of tokens in both. Knows offsets,
no vocabulary and no model.

Offsets are those of the `tokenizers` library: characters of the original text. Three things happen there. A character
may be split over several tokens, which then all carry its whole span: there is no border inside it. Blanks may belong
to no token (``trim_offsets``, or a tokeniser that drops them): the border between two tokens may then be put anywhere
in the gap. Tokens that stand for no text (special tokens, an added blank at the start) have an empty span: they belong
to no chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from understudy.errors import DataError

__all__ = ["Alignment", "Chunk", "align_spans"]

Span = tuple[int, int]
"""First character, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of text that is a whole number of tokens in both tokenisations.

    Attributes
    ----------
    span
        Characters of the text.
    student, teacher
        Indices of its tokens, rising, at least one each. Those of empty span are not among them.
    """

    span: Span
    student: tuple[int, ...]
    teacher: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Chunks in the order of the text; their spans follow on each other from its first to its last character.

    Attributes
    ----------
    chunks
        None where the text is empty or where one side has no token with text.
    """

    chunks: tuple[Chunk, ...]

    def chunk_of_tokens(self, side: Literal["student", "teacher"]) -> dict[int, int]:
        """Chunk of each token of a side that belongs to one."""
        return {
            token: at
            for at, chunk in enumerate(self.chunks)
            for token in (chunk.student if side == "student" else chunk.teacher)
        }


def align_spans(text_length: int, student: Sequence[Span], teacher: Sequence[Span]) -> Alignment:
    """The finest common chunks, in linear time.

    Parameters
    ----------
    text_length
        In characters.
    student, teacher
        Offsets of the tokens of the *same* text, in its order. Mask out templates first: text that only one side has
        cannot be aligned.

    Returns
    -------
    Alignment
        Every token with a non-empty span is in exactly one chunk, if both sides have any.

    Raises
    ------
    DataError
        If spans reach outside of the text or go backwards.
    """
    ours, theirs = _cuts(text_length, student, "student"), _cuts(text_length, teacher, "teacher")
    if not ours or not theirs:
        return Alignment(())
    chunks: list[Chunk] = []
    begin = 0
    from_ours = from_theirs = at = other = 0
    # Once one side is at its last group, all that is left is the last chunk.
    while at < len(ours) - 1 and other < len(theirs) - 1:
        mine, yours = ours[at], theirs[other]
        if mine.most < yours.least:
            at += 1
        elif yours.most < mine.least:
            other += 1
        else:
            end = max(mine.least, yours.least)
            chunks.append(_chunk((begin, end), ours[from_ours : at + 1], theirs[from_theirs : other + 1]))
            begin = end
            from_ours = at = at + 1
            from_theirs = other = other + 1
    chunks.append(_chunk((begin, text_length), ours[from_ours:], theirs[from_theirs:]))
    return Alignment(tuple(chunks))


@dataclass(frozen=True, slots=True)
class _Cut:
    """Tokens, and where a border after them may lie: from their last character to the next token's first."""

    tokens: tuple[int, ...]
    least: int
    most: int


@dataclass(slots=True)
class _Group:
    """Tokens whose spans overlap."""

    tokens: list[int]
    begin: int
    end: int


def _chunk(span: Span, ours: Sequence[_Cut], theirs: Sequence[_Cut]) -> Chunk:
    return Chunk(
        span,
        tuple(token for cut in ours for token in cut.tokens),
        tuple(token for cut in theirs for token in cut.tokens),
    )


def _cuts(text_length: int, spans: Sequence[Span], side: str) -> list[_Cut]:
    """Groups of tokens that no border can part, each with the range of the border after it."""
    groups: list[_Group] = []
    for at, (begin, end) in enumerate(spans):
        if not 0 <= begin <= end <= text_length:
            given = f"token {at} of the {side}: {begin} to {end}, text of {text_length}"
            raise DataError("offsets must lie inside the text", given=given)
        if begin == end:
            continue
        if not groups or begin >= groups[-1].end:
            groups.append(_Group([at], begin, end))
            continue
        if begin < groups[-1].begin:
            given = f"token {at} of the {side} begins at {begin}, an earlier one at {groups[-1].begin}"
            raise DataError("offsets must not go backwards", given=given)
        groups[-1].tokens.append(at)
        groups[-1].end = max(groups[-1].end, end)
    nexts = [*(group.begin for group in groups[1:]), text_length]
    return [
        _Cut(tuple(group.tokens), group.end, following)
        for group, following in zip(groups, nexts, strict=False)  # no groups: nothing, and one end
    ]
