"""Serves the linear rung: hashed n-grams times an int8 weight matrix, and a linear token tagger for spans.

Sums of integer features times integer weights are exact in float64, whatever the order of summation, so a text's
logits are the same bits in every batch and process. Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.errors import ArtefactError
from understudy.runtime.prediction import FieldPrediction, FloatArray, softmax
from understudy.runtime.tagger import LinearTagger, prepare_contexts
from understudy.task.problem import Problem
from understudy.text.ngrams import BUCKET_BITS, count_ngrams

__all__ = ["COUNT_STEPS", "FeatureTable", "LinearComponent", "feature_weight"]

COUNT_STEPS = 16
"""Term weights 1 + ln(count) are rounded to 1/16 so that all features are integers."""
_CHUNK = 512

RowTable = npt.NDArray[np.unsignedinteger[Any]]


_WEIGHTS = np.rint(COUNT_STEPS * (1.0 + np.log(np.maximum(np.arange(1024), 1)))).astype(np.int64)


def feature_weight(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sublinear term frequency, 1 + ln(count) up to a count of 1,023, in units of 1 / COUNT_STEPS; integers."""
    return np.asarray(_WEIGHTS[np.minimum(counts, len(_WEIGHTS) - 1)])


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The features that the model kept.

    Attributes
    ----------
    buckets
        Hash buckets, ascending, shape (f,).
    idf
        Integer feature weights (rounded root of the inverse document frequency), shape (f,).
    """

    buckets: npt.NDArray[np.int32]
    idf: npt.NDArray[np.int64]

    def rows(self) -> RowTable:
        """Feature row per bucket, `f` where not kept; shape (2**BUCKET_BITS,)."""
        kind: type[np.unsignedinteger[Any]] = np.uint16 if len(self.buckets) < 2**16 else np.uint32
        table = np.full(1 << BUCKET_BITS, len(self.buckets), dtype=kind)
        table[self.buckets] = np.arange(len(self.buckets), dtype=kind)
        return table

    def features(
        self, inputs: Sequence[InputParts], table: RowTable
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
        """Sparse integer features of a batch.

        Returns
        -------
        starts
            Shape (n + 1,): text i owns entries starts[i]:starts[i + 1].
        rows
            Feature row per entry.
        amounts
            Integer feature value per entry.
        norms
            Euclidean length per text, shape (n,), at least 1 (a text without known features has zeros).
        """
        grams = count_ngrams(inputs)
        rows = table[grams.buckets].astype(np.int64)
        is_kept = rows < len(self.buckets)
        rows, owners = rows[is_kept], grams.texts[is_kept]
        amounts = feature_weight(grams.counts[is_kept]) * self.idf[rows]
        starts = np.searchsorted(owners, np.arange(grams.n_texts + 1))
        squares = np.zeros(len(amounts) + 1, dtype=np.int64)
        np.cumsum(amounts * amounts, out=squares[1:])
        norms = np.sqrt(np.maximum(squares[starts[1:]] - squares[starts[:-1]], 1).astype(np.float64))
        return starts, rows, amounts, norms


class LinearComponent:
    """The linear rung at run time."""

    def __init__(
        self,
        problems: tuple[Problem, ...],
        features: FeatureTable,
        weights: npt.NDArray[np.int8],
        scale: FloatArray,
        bias: FloatArray,
        columns: Sequence[tuple[int, int]],
        settings: Sequence[Mapping[str, float]],
        taggers: Mapping[int, LinearTagger],
    ) -> None:
        self._problems = problems
        self._features = features
        self._weights = weights
        self._scale = scale
        self._bias = bias
        self._columns = columns
        self._settings = settings
        self._taggers = taggers
        self._table = features.rows()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems it answers."""
        return self._problems

    @classmethod
    def load(cls, folder: Path, spec: dict[str, Any]) -> LinearComponent:
        """Read an export of ``LinearStudent``."""
        problems = tuple(Problem.from_dict(given) for given in spec["problems"])
        try:
            with np.load(folder / "linear.npz", allow_pickle=False) as arrays:
                features = FeatureTable(
                    np.cumsum(arrays["bucket_gaps"], dtype=np.int32), arrays["idf"].astype(np.int64)
                )
                # Stored class by class, which compresses better; served feature by feature.
                weights = np.ascontiguousarray(arrays["weights"].T)
                scale, bias = arrays["scale"].astype(np.float64), arrays["bias"].astype(np.float64)
            taggers = {
                at: LinearTagger.load(folder / f"tagger-{at}.npz", problem)
                for at, problem in enumerate(problems)
                if problem.mode == "point"
            }
        except (OSError, KeyError, ValueError) as error:
            raise ArtefactError("the linear model cannot be read", given=f"{folder}: {error}") from error
        columns = [(int(first), int(last)) for first, last in spec["columns"]]
        return cls(problems, features, weights, scale, bias, columns, spec["settings"], taggers)

    def logits(self, inputs: Sequence[InputParts]) -> FloatArray:
        """All score columns, shape (n, c), before any softmax."""
        out = np.empty((len(inputs), len(self._bias)))
        for first in range(0, len(inputs), _CHUNK):
            chunk = inputs[first : first + _CHUNK]
            starts, rows, amounts, norms = self._features.features(chunk, self._table)
            for at in range(len(chunk)):
                own = slice(int(starts[at]), int(starts[at + 1]))
                # Integers in float64: below 2**53 every partial sum is exact, so the order cannot matter. einsum,
                # not BLAS: its threads would spin longer than this small product takes.
                sums = np.einsum(
                    "f,fc->c", amounts[own].astype(np.float64), self._weights[rows[own]].astype(np.float64)
                )
                out[first + at] = sums / norms[at]
        return np.asarray(out * self._scale + self._bias, dtype=np.float64)

    def predict(self, inputs: Sequence[InputParts]) -> list[FieldPrediction]:
        """One prediction per problem."""
        needs_logits = any(last > first for first, last in self._columns)
        logits = self.logits(inputs) if needs_logits else np.empty((len(inputs), 0))
        contexts = [prepare_contexts(parts) for parts in inputs] if self._taggers else []
        out = []
        for at, problem in enumerate(self._problems):
            if problem.mode == "point":
                out.append(self._taggers[at].predict(contexts))
                continue
            first, last = self._columns[at]
            out.append(decode_logits(problem, logits[:, first:last], self._settings[at]))
        return out


def decode_logits(problem: Problem, logits: FloatArray, setting: Mapping[str, float]) -> FieldPrediction:
    """Score columns of one problem as values and confidences."""
    if problem.mode == "classify":
        # The machine is trained with a squared hinge loss: a class scores minus the loss it would have if it were
        # the right one. Signed, so that margins above 1 keep their order. Against a softmax over plain margins the
        # many classes far away weigh less, which ranks answers better (docs/decisions/0005-linear.md).
        short = 1.0 - logits
        scores = softmax(-setting["slope"] * short * np.abs(short))
        best = logits.argmax(axis=1)
        values = [problem.values[int(at)] for at in best]
        return FieldPrediction(values, scores[np.arange(len(best)), best], scores)
    if problem.mode == "multilabel":
        scores = 1.0 / (1.0 + np.exp(-logits * setting["slope"]))
        chosen = [[problem.values[int(at)] for at in np.flatnonzero(row >= 0.5)] for row in scores]
        return FieldPrediction(chosen, np.maximum(scores, 1 - scores).prod(axis=1), scores)
    numbers = logits[:, 0]
    # A Laplace error whose scale the second column predicts; P(|error| <= slack) is its distribution function.
    slack = np.maximum(problem.field.tolerance, 1e-9) * np.maximum(1.0, np.abs(numbers))
    spread = np.exp(np.clip(logits[:, 1], -30.0, 30.0))
    return FieldPrediction([float(number) for number in numbers], 1.0 - np.exp(-slack / spread))
