"""Learns the linear pointer: which tokens begin and continue the answer.

Two logistic regressions on hashed context features: B against O and I against O. The runtime combines their odds
(see ``understudy.runtime.tagger``).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import ABSENT, InputParts
from understudy.errors import DataError
from understudy.runtime.prediction import FloatArray
from understudy.runtime.tagger import PAD_BUCKET, TAG_BITS, LinearTagger, context_buckets
from understudy.students.targets import Targets
from understudy.task.problem import Problem
from understudy.text.numbers import locate_number
from understudy.text.spans import locate
from understudy.text.tokens import Token, tokenise

__all__ = ["FittedTagger", "fit_tagger"]

_MAX_ROWS = 8_000
"""More texts make the features' memory grow (40 kB a text while fitting), and answers hardly better."""


@dataclass(frozen=True, slots=True)
class FittedTagger:
    """Float weights of a tagger.

    Attributes
    ----------
    buckets
        Feature buckets in use, ascending, shape (f,).
    weights
        Shape (f, 2); bias shape (2,).
    longest
        Longest span seen, in tokens.
    none_log_odds
        Log share of each non-span value, shape (v,).
    """

    buckets: npt.NDArray[np.int64]
    weights: FloatArray
    bias: FloatArray
    longest: int
    none_log_odds: FloatArray

    def _table(self) -> npt.NDArray[np.int32]:
        table = np.full(1 << TAG_BITS, -1, dtype=np.int32)
        table[self.buckets] = np.arange(len(self.buckets), dtype=np.int32)
        return table

    def _quantised(self, levels: float) -> tuple[npt.NDArray[Any], FloatArray]:
        scale = np.maximum(np.abs(self.weights).max(axis=0, initial=1e-9), 1e-9) / levels
        return np.rint(self.weights / scale), scale

    def float_tagger(self, problem: Problem) -> LinearTagger:
        """The tagger before int8: 24-bit weights through the same code."""
        weights, scale = self._quantised(2.0**23)
        return LinearTagger(
            problem,
            self._table(),
            weights.astype(np.int64),
            scale,
            self.bias,
            self.longest,
            self.none_log_odds,
        )

    def save(self, path: Path) -> None:
        """Write int8 weights."""
        weights, scale = self._quantised(127.0)
        np.savez_compressed(
            path,
            bucket_gaps=np.diff(self.buckets, prepend=0).astype(np.int32),
            weights=weights.astype(np.int8),
            scale=scale,
            bias=self.bias,
            longest=np.array(self.longest),
            none_log_odds=self.none_log_odds,
        )


def _token_span(tokens: list[Token], start: int, end: int) -> tuple[int, int] | None:
    """First and last token that the characters [start, end) cover, if they begin and end at token borders."""
    first = next((at for at, token in enumerate(tokens) if token[0] == start), None)
    last = next((at for at, token in enumerate(tokens) if token[1] == end), None)
    return None if first is None or last is None or last < first else (first, last)


def _find(value: Any, parts: InputParts, is_number: bool) -> tuple[int, int, int] | None:
    return locate_number(float(value), parts) if is_number else locate(str(value), parts)


def fit_tagger(inputs: Sequence[InputParts], target: Targets, *, seed: int = 0) -> FittedTagger:
    """Fit a tagger to the rows whose value is known and, if it is a span, can be found in the input.

    Raises
    ------
    DataError
        If no row is usable.
    """
    known = np.flatnonzero(target.known)
    if len(known) > _MAX_ROWS:
        known = np.sort(np.random.default_rng(seed).permutation(known)[:_MAX_ROWS])
    is_number = target.problem.field.kind == "number"
    blocks: list[npt.NDArray[np.int32]] = []
    tags: list[npt.NDArray[np.int8]] = []
    longest, none_counts = 1, np.zeros(len(target.problem.values))
    for row in known:
        value, parts = target.values[int(row)], inputs[int(row)]
        found = None
        if value in target.problem.values:
            none_counts[target.problem.values.index(value)] += 1
        elif value is None or value is ABSENT or (found := _find(value, parts, is_number)) is None:
            continue
        for part, text in enumerate(parts):
            tokens = tokenise(text)
            own = np.zeros(len(tokens), dtype=np.int8)
            if found is not None and found[0] == part and (span := _token_span(tokens, found[1], found[2])):
                own[span[0]], own[span[0] + 1 : span[1] + 1] = 1, 2
                longest = max(longest, span[1] - span[0] + 1)
            if tokens:
                blocks.append(_contexts(part, text))
                tags.append(own)
    if not blocks:
        raise DataError(f"field {target.problem.field.name!r}: no value can be found in its input")
    shares = np.log((none_counts + 1e-3) / (none_counts.sum() + 1e-3 * max(len(none_counts), 1)))
    return _fit_odds(np.concatenate(blocks), np.concatenate(tags), longest, shares, seed)


@lru_cache(maxsize=8_000)
def _contexts(part: int, text: str) -> npt.NDArray[np.int32]:
    """Features of a training text; every field and every point of a learning curve asks for the same ones."""
    return context_buckets(part, text, tokenise(text)).astype(np.int32)


def _fit_odds(
    contexts: npt.NDArray[np.int32],
    tags: npt.NDArray[np.int8],
    longest: int,
    none_log_odds: FloatArray,
    seed: int,
) -> FittedTagger:
    import scipy.sparse
    from sklearn.linear_model import LogisticRegression

    buckets = np.flatnonzero(np.bincount(contexts.ravel(), minlength=1 << TAG_BITS))
    column = np.zeros(1 << TAG_BITS, dtype=np.int32)
    column[buckets] = np.arange(len(buckets), dtype=np.int32)
    width = contexts.shape[1]
    matrix = scipy.sparse.csr_matrix(
        (np.ones(contexts.size), column[contexts].ravel(), np.arange(0, contexts.size + 1, width)),
        shape=(len(contexts), len(buckets)),
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    matrix.data[buckets[matrix.indices] == PAD_BUCKET] = 0.0
    weights, bias = np.zeros((len(buckets), 2)), np.full(2, -12.0)
    for at, tag in enumerate((1, 2)):
        rows = np.flatnonzero((tags == 0) | (tags == tag))
        is_tag = tags[rows] == tag
        if not is_tag.any() or is_tag.all():
            bias[at] = 12.0 if is_tag.any() else -12.0
            continue
        with warnings.catch_warnings():
            # The loose tolerance changes no answer that was looked at and halves the time.
            warnings.simplefilter("ignore")
            model = LogisticRegression(C=2.0, solver="liblinear", tol=1e-2, random_state=seed)
            model.fit(matrix[rows], is_tag)
        weights[:, at], bias[at] = model.coef_[0], model.intercept_[0]
    used = np.flatnonzero(np.abs(weights).max(axis=1) > 1e-3)
    return FittedTagger(buckets[used], weights[used], bias, longest, none_log_odds)
