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
from understudy.text.numbers import parse_number
from understudy.text.tokens import TOKEN_FEATURES, Token, token_features, tokenise

__all__ = ["PAD_BUCKET", "TAG_BITS", "LinearTagger", "PointInput", "context_buckets", "prepare_point_input"]

TAG_BITS = 17
_OFFSETS = (0, -1, 1, -2, 2, -3)
_FAR = 14
PAD_BUCKET = (1 << TAG_BITS) - 1
"""Stands for "no feature"; never weighs anything."""
_PAIRS = ((0, -1), (0, 1), (-1, 1), (-1, -2))
_SALT = 0x85EBCA6B

PointInput = list[tuple[int, str, list[Token]]]
"""Part index, text and tokens of each part of an input."""


def prepare_point_input(parts: InputParts) -> PointInput:
    """Tokenise every part."""
    return [(at, text, tokenise(text)) for at, text in enumerate(parts)]


def _mix(hashes: npt.NDArray[np.uint32], salt: int) -> npt.NDArray[np.uint32]:
    mixed = (hashes ^ np.uint32(salt * _SALT & 0xFFFFFFFF)) * np.uint32(0xCC9E2D51)
    mixed = (mixed ^ (mixed >> np.uint32(15))) * np.uint32(0x1B873593)
    return np.asarray(mixed ^ (mixed >> np.uint32(13)), dtype=np.uint32)


def context_buckets(part: int, text: str, tokens: list[Token]) -> npt.NDArray[np.int64]:
    """Feature buckets of each token in its context, shape (t, features), values below 2**TAG_BITS."""
    alone = token_features(text, tokens)
    count = len(tokens)
    reach = 3
    padded = np.zeros((count + 2 * reach, TOKEN_FEATURES), dtype=np.uint32)
    padded[reach : reach + count] = alone
    columns = []
    for offset in _OFFSETS:
        near = padded[reach + offset : reach + offset + count]
        used = near if abs(offset) <= 1 else near[:, :3]
        columns += [_mix(used[:, at], 1000 + 50 * (offset + reach) + at) for at in range(used.shape[1])]
    for number, (left, right) in enumerate(_PAIRS):
        first = padded[reach + left : reach + left + count]
        second = padded[reach + right : reach + right + count]
        columns.append(_mix(_mix(first[:, 0], 7) + second[:, 0], 2000 + number))
        columns.append(_mix(_mix(first[:, 1], 7) + second[:, 1], 2100 + number))
    position = np.minimum(np.arange(count), 6).astype(np.uint32)
    columns.append(_mix(position, 3000 + part))
    columns.append(_mix(np.minimum(np.arange(count)[::-1], 6).astype(np.uint32), 3100 + part))
    columns.append(_mix(np.full(count, min(count // 8, 5), dtype=np.uint32), 3200 + part))
    near = (np.stack(columns, axis=1) >> np.uint32(32 - TAG_BITS)).astype(np.int64)
    return np.concatenate((near, _far_words(text, tokens, alone[:, 0])), axis=1)


def _far_words(text: str, tokens: list[Token], words: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Words up to _FAR tokens before and after, whatever their distance, for tokens that begin with a digit.

    Which of several numbers is meant is decided by words further away than spelling needs.
    """
    out = np.full((len(tokens), 2 * _FAR), PAD_BUCKET, dtype=np.int64)
    before = (_mix(words, 4000) >> np.uint32(32 - TAG_BITS)).astype(np.int64)
    after = (_mix(words, 4001) >> np.uint32(32 - TAG_BITS)).astype(np.int64)
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

    def _point(self, parts: InputParts) -> tuple[Any, float]:
        """The best value and its probability."""
        best_text, best_log, logs = "", -np.inf, [0.0]
        for part, text, tokens in prepare_point_input(parts):
            if not tokens:
                continue
            rows = self._table[context_buckets(part, text, tokens)]
            odds = self._weights[rows].sum(axis=1) * self._scale + self._bias
            begins, insides = odds[:, 0], np.concatenate(([0.0], np.cumsum(odds[:, 1])))
            for start in np.flatnonzero(begins > -12.0):
                last = min(int(start) + self._longest, len(tokens))
                scores = begins[start] + insides[int(start) + 1 : last + 1] - insides[int(start) + 1]
                for length, score in enumerate(scores):
                    if score < -12.0 or (score <= best_log and score < -6.0):
                        logs.append(float(score))
                        continue
                    found = text[tokens[start][0] : tokens[int(start) + length][1]]
                    if self.problem.field.kind == "number" and parse_number(found) is None:
                        continue
                    logs.append(float(score))
                    if score > best_log:
                        best_text, best_log = found, float(score)
        total = float(np.logaddexp.reduce(np.array(logs)))
        if len(self.problem.values) and -total > best_log - total:
            which = int(self._none_log_odds.argmax())
            return self.problem.values[which], float(np.exp(self._none_log_odds[which] - total))
        if best_log == -np.inf:
            return "", 0.0
        value = parse_number(best_text) if self.problem.field.kind == "number" else best_text
        return value, float(np.exp(best_log - total))

    def predict(self, inputs: Sequence[InputParts]) -> FieldPrediction:
        """Point at the answer in each input."""
        found = [self._point(parts) for parts in inputs]
        return FieldPrediction(
            [value for value, _ in found], np.array([sure for _, sure in found], dtype=np.float64)
        )
