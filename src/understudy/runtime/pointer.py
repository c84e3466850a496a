"""Scores of tokens to a stretch of the input: the same arithmetic at serving time as the loss at learning
time.

A span from token i to token j scores ``begin[i] + end[j] + sum(inside[i..j])``; "no span" values (null,
absent) score as the encoder says; all of them share one softmax, so that a confidence is a probability. Works
on one input alone, in float64.

Shapes: t tokens, d longest span in tokens, v values without a span.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.runtime.prediction import FloatArray
from understudy.runtime.tokens import Tokenised
from understudy.text.numbers import parse_number, tidy_number
from understudy.text.spans import is_boundary

__all__ = ["SpanBorders", "SpanGrid", "pick_value", "span_borders", "span_grid", "span_scores"]

BoolArray = npt.NDArray[np.bool_]
_CANDIDATES = 12
_REACH = 9.0


@dataclass(frozen=True, slots=True)
class SpanBorders:
    """Which tokens may begin and end a span, shape (t,) each, and the part of each token (-1: special)."""

    may_begin: BoolArray
    may_end: BoolArray
    part: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SpanGrid:
    """All spans of one input: the span of k+1 tokens that begins at token i stands at [i, k].

    Attributes
    ----------
    last
        Its last token (clipped to the input), shape (t, d).
    is_legal
        Whether it is a span at all, shape (t, d).
    """

    last: npt.NDArray[np.int64]
    is_legal: BoolArray


def span_borders(tokens: Tokenised, parts: InputParts, *, is_snapped: bool) -> SpanBorders:
    """Where spans may begin and end: at any token of a part, or (`is_snapped`) at word boundaries only."""
    real = tokens.part >= 0
    if not is_snapped:
        return SpanBorders(real, real, tokens.part)
    begin, end = real.copy(), real.copy()
    for at in np.flatnonzero(real):
        text = parts[int(tokens.part[at])]
        begin[at] = is_boundary(text, int(tokens.offsets[at, 0]))
        end[at] = is_boundary(text, int(tokens.offsets[at, 1]))
    return SpanBorders(begin, end, tokens.part)


def span_grid(borders: SpanBorders, longest: int) -> SpanGrid:
    """The spans of up to `longest` tokens; shape (t, d) with d = min(longest, t)."""
    count = len(borders.part)
    starts = np.arange(count)[:, None]
    stops = starts + np.arange(min(longest, count))[None, :]
    last = np.minimum(stops, count - 1)
    is_legal = (
        (stops < count)
        & borders.may_begin[:, None]
        & borders.may_end[last]
        & (borders.part[:, None] == borders.part[last])
    )
    return SpanGrid(last, is_legal)


def span_scores(token_scores: FloatArray, grid: SpanGrid) -> FloatArray:
    """Score of each span of the grid, shape (t, d); -inf where there is no such span.

    Parameters
    ----------
    token_scores
        Shape (t, 3): begin, end and inside.
    grid
        The spans.
    """
    begin, end, inside = token_scores.T
    sums = np.cumsum(inside)
    from_start, to_end = begin - sums + inside, end + sums
    return np.where(grid.is_legal, from_start[:, None] + to_end[grid.last], -np.inf)


def pick_value(
    scores: FloatArray,
    void_scores: FloatArray,
    void_values: tuple[Any, ...],
    tokens: Tokenised,
    parts: InputParts,
    *,
    is_number: bool,
) -> tuple[Any, float]:
    """The most probable value and its probability.

    Spans that say the same (the same text, the same number) count together. A number is only read where the
    span holds exactly one. With nothing to point at and no legal value without a span, the answer is ``None``
    with confidence 0: the caller must defer.

    Parameters
    ----------
    scores
        From :func:`span_scores`, shape (t, d).
    void_scores, void_values
        Scores of the values without a span, shape (v,), and those values.
    tokens, parts
        The input.
    is_number
        Whether the span is read as a number.
    """
    flat = scores.ravel()
    top_span = float(flat.max(initial=-np.inf))
    top = max(top_span, float(void_scores.max(initial=-np.inf)))
    if not np.isfinite(top):
        return None, 0.0
    log_total = top + math.log(np.exp(flat - top).sum() + np.exp(void_scores - top).sum())
    chances: dict[Any, float] = {}
    # Only spans within reach of the best one can change the answer, unless none of those can be read.
    for reach in (_REACH, np.inf):
        near = np.flatnonzero(flat > top_span - reach)
        for at in near[np.argsort(-flat[near], kind="stable")][:_CANDIDATES]:
            start, length = divmod(int(at), scores.shape[1])
            value = _read(start, start + length, tokens, parts, is_number=is_number)
            if value is not None:
                chances[value] = chances.get(value, 0.0) + math.exp(flat[at] - log_total)
        if chances or len(void_scores):
            break
    best = max(chances, key=lambda value: chances[value], default=None)
    if len(void_scores):
        void = int(void_scores.argmax())
        void_chance = math.exp(void_scores[void] - log_total)
        if best is None or void_chance >= chances[best]:
            return void_values[void], void_chance
    return (None, 0.0) if best is None else (best, min(chances[best], 1.0))


def _read(first: int, last: int, tokens: Tokenised, parts: InputParts, *, is_number: bool) -> Any:
    text = parts[int(tokens.part[first])][int(tokens.offsets[first, 0]) : int(tokens.offsets[last, 1])]
    if is_number:
        return tidy_number(parse_number(text))
    return text.strip() or None
