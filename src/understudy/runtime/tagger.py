"""Serves the linear pointer: which stretch of the input is the answer, or is there none.

Each token gets scores for beginning (B), continuing (I) or not belonging to (O) the answer. A span's odds against
"no answer" are the product of its tokens' odds; all spans up to a length, and "none", share one normalisation.
Integer features times int8 weights, text by text: the same bits in every batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.runtime.prediction import FieldPrediction, FloatArray
from understudy.task.problem import Problem
from understudy.text.numbers import parse_number, tidy_number
from understudy.text.tokens import TOKEN_FEATURES, Token, token_features, tokenise

__all__ = ["PAD_BUCKET", "TAG_BITS", "LinearTagger", "PointContext", "context_buckets", "prepare_contexts"]

TAG_BITS = 17
_OFFSETS = (0, -1, 1, -2, 2, -3)
_FAR = 14
PAD_BUCKET = (1 << TAG_BITS) - 1
"""Stands for "no feature"; never weighs anything."""
_PAIRS = ((0, -1), (0, 1), (-1, 1), (-1, -2))
_SALT = 0x85EBCA6B

_UNLIKELY = -6.0
"""Log odds below which a span is never the answer."""

PointContext = tuple[str, list[Token], npt.NDArray[np.int64]]
"""Text, tokens and feature buckets of one part of an input."""


def prepare_contexts(parts: InputParts) -> list[PointContext]:
    """What every tagger needs of an input; fields share it."""
    cut = [(at, text, tokenise(text)) for at, text in enumerate(parts)]
    return [(text, tokens, context_buckets(at, text, tokens)) for at, text, tokens in cut if tokens]


U32 = npt.NDArray[np.uint32]


def _salts(kinds: Sequence[int]) -> U32:
    return np.array([kind * _SALT & 0xFFFFFFFF for kind in kinds], dtype=np.uint32)


def _mix(hashes: U32, salts: U32) -> U32:
    mixed = (hashes ^ salts) * np.uint32(0xCC9E2D51)
    mixed = (mixed ^ (mixed >> np.uint32(15))) * np.uint32(0x1B873593)
    return np.asarray(mixed ^ (mixed >> np.uint32(13)), dtype=np.uint32)


_REACH = 3
_SINGLES = [(offset, at) for offset in _OFFSETS for at in range(TOKEN_FEATURES if abs(offset) <= 1 else 3)]
"""Offset and token feature of each feature of one token."""
_SINGLE_SALTS = _salts([1000 + 50 * (offset + _REACH) + at for offset, at in _SINGLES])
_SINGLE_ROWS = np.array([offset + _REACH for offset, _ in _SINGLES])
_SINGLE_COLUMNS = np.array([at for _, at in _SINGLES])
_TWOS = [(left, right, at) for left, right in _PAIRS for at in (0, 1)]
"""Offsets of two tokens, and whether their words or their shapes are joined."""
_TWO_SALTS = _salts([2000 + 100 * at + number // 2 for number, (_, _, at) in enumerate(_TWOS)])
_LEFT_ROWS = np.array([left + _REACH for left, _, _ in _TWOS])
_RIGHT_ROWS = np.array([right + _REACH for _, right, _ in _TWOS])
_TWO_COLUMNS = np.array([at for _, _, at in _TWOS])
_JOIN_SALT, _FAR_SALTS = _salts([7]), _salts([4000, 4001])


def context_buckets(part: int, text: str, tokens: list[Token]) -> npt.NDArray[np.int64]:
    """Feature buckets of each token in its context, shape (t, features), values below 2**TAG_BITS."""
    alone = token_features(text, tokens)
    count = len(tokens)
    padded = np.zeros((count + 2 * _REACH, TOKEN_FEATURES), dtype=np.uint32)
    padded[_REACH : _REACH + count] = alone
    at = np.arange(count)[:, None]
    singles = _mix(padded[at + _SINGLE_ROWS, _SINGLE_COLUMNS], _SINGLE_SALTS)
    first = _mix(padded[at + _LEFT_ROWS, _TWO_COLUMNS], _JOIN_SALT)
    twos = _mix(first + padded[at + _RIGHT_ROWS, _TWO_COLUMNS], _TWO_SALTS)
    place = np.minimum(np.concatenate((at, at[::-1], np.full_like(at, min(count // 8, 5))), axis=1), 6)
    places = _mix(place.astype(np.uint32), _salts([3000 + part, 3100 + part, 3200 + part]))
    near = np.concatenate((singles, twos, places), axis=1) >> np.uint32(32 - TAG_BITS)
    return np.concatenate((near.astype(np.int64), _far_words(text, tokens, alone[:, 0])), axis=1)


def _far_words(text: str, tokens: list[Token], words: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Words up to _FAR tokens before and after, whatever their distance, for tokens that begin with a digit.

    Which of several numbers is meant is decided by words further away than spelling needs.
    """
    out = np.full((len(tokens), 2 * _FAR), PAD_BUCKET, dtype=np.int64)
    before = (_mix(words, _FAR_SALTS[0]) >> np.uint32(32 - TAG_BITS)).astype(np.int64)
    after = (_mix(words, _FAR_SALTS[1]) >> np.uint32(32 - TAG_BITS)).astype(np.int64)
    for at, (start, _) in enumerate(tokens):
        if text[start].isdigit():
            left, right = before[max(0, at - _FAR) : at], after[at + 1 : at + 1 + _FAR]
            out[at, : len(left)] = left
            out[at, _FAR : _FAR + len(right)] = right
    return out


class LinearTagger:
    """Points at the answer of one field.

    Parameters
    ----------
    problem
        The `point` problem.
    table
        Feature row per bucket, -1 where unused, shape (2**TAG_BITS,).
    weights
        Integers, shape (f, 2): log odds of B against O and of I against O, in units of `scale`.
    scale, bias
        Shape (2,).
    longest
        Longest span, in tokens.
    none_log_odds
        Log odds of each of ``problem.values`` when no span is there; shape (v,), log probabilities.
    """

    def __init__(
        self,
        problem: Problem,
        table: npt.NDArray[np.int32],
        weights: npt.NDArray[np.int8] | npt.NDArray[np.int64],
        scale: FloatArray,
        bias: FloatArray,
        longest: int,
        none_log_odds: FloatArray,
    ) -> None:
        self.problem = problem
        self._scale, self._bias = scale, bias
        self._longest, self._none_log_odds = longest, none_log_odds
        # Row f stands for "unused" and weighs nothing, which spares a mask per token.
        self._weights = np.vstack((weights, np.zeros((1, 2), dtype=weights.dtype))).astype(np.int64)
        self._table = np.where(table < 0, len(weights), table)
        self._table[PAD_BUCKET] = len(weights)

    @classmethod
    def load(cls, path: Path, problem: Problem) -> LinearTagger:
        """Read an exported tagger."""
        with np.load(path, allow_pickle=False) as arrays:
            table = np.full(1 << TAG_BITS, -1, dtype=np.int32)
            buckets = np.cumsum(arrays["bucket_gaps"], dtype=np.int64)
            table[buckets] = np.arange(len(buckets), dtype=np.int32)
            return cls(
                problem,
                table,
                arrays["weights"],
                arrays["scale"].astype(np.float64),
                arrays["bias"].astype(np.float64),
                int(arrays["longest"]),
                arrays["none_log_odds"].astype(np.float64),
            )

    def _point(self, contexts: Sequence[PointContext]) -> tuple[Any, float]:
        """The best value and its probability."""
        is_number = self.problem.field.kind == "number"
        best_text, best_log, logs = "", -np.inf, [np.zeros(1)]
        for text, tokens, buckets in contexts:
            scores = self._span_scores(buckets)
            likely = np.argwhere(scores > _UNLIKELY)
            for start, length in likely[
                np.argsort(-scores[likely[:, 0], likely[:, 1]], kind="stable")
            ].tolist():
                found = text[tokens[start][0] : tokens[start + length][1]]
                if is_number and parse_number(found) is None:
                    scores[start, length] = -np.inf
                elif scores[start, length] > best_log:
                    best_text, best_log = found, float(scores[start, length])
            logs.append(scores.ravel())
        total = float(np.logaddexp.reduce(np.concatenate(logs)))
        if len(self.problem.values) and best_log < 0.0:
            which = int(self._none_log_odds.argmax())
            return self.problem.values[which], float(np.exp(self._none_log_odds[which] - total))
        if best_log == -np.inf:
            return "", 0.0
        value = tidy_number(parse_number(best_text)) if is_number else best_text
        return value, float(np.exp(best_log - total))

    def _span_scores(self, buckets: npt.NDArray[np.int64]) -> FloatArray:
        """Log odds of each span against no span, shape (t, longest): rows are starts, columns lengths less one."""
        odds = self._weights[self._table[buckets]].sum(axis=1) * self._scale + self._bias
        inside = np.concatenate(([0.0], np.cumsum(odds[:, 1])))
        ends = np.arange(len(odds))[:, None] + 1 + np.arange(self._longest)
        scores = odds[:, :1] + inside[np.minimum(ends, len(odds))] - inside[1:, None]
        scores[ends > len(odds)] = -np.inf
        return np.asarray(scores, dtype=np.float64)

    def predict(self, inputs: Sequence[Sequence[PointContext]]) -> FieldPrediction:
        """Point at the answer in each of `n` prepared inputs (see :func:`prepare_contexts`)."""
        found = [self._point(contexts) for contexts in inputs]
        return FieldPrediction(
            [value for value, _ in found], np.array([sure for _, sure in found], dtype=np.float64)
        )
