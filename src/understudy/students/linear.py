"""The linear rung: hashed n-gram TF-IDF and linear models, exported as int8.

Classifiers are one-against-rest support vector machines (scikit-learn's LIBLINEAR), numbers are ridge regressions,
spans go to a linear token tagger. It knows nothing of word meaning, and order only within a few characters.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.errors import DataError
from understudy.runtime.component import write_component_file
from understudy.runtime.linear import FeatureTable, LinearComponent, decode_logits
from understudy.runtime.prediction import FieldPrediction, FloatArray
from understudy.runtime.tagger import prepare_contexts
from understudy.students.base import Student
from understudy.students.linear_tagger import FittedTagger, fit_tagger
from understudy.students.targets import Targets, as_inputs, as_targets
from understudy.task.problem import Problem, ProblemMode
from understudy.text.ngrams import BUCKET_BITS, count_ngrams

__all__ = ["LinearStudent"]

_IDF_STEPS = 32
_CHUNK = 20_000


class LinearStudent(Student):
    """A bag of hashed n-grams and one linear model per field.

    Parameters
    ----------
    strength
        LIBLINEAR's C: larger fits the labels harder.
    min_count
        An n-gram must stand in this many training texts.
    max_features
        Features kept at most, by largest absolute weight; bounds the size of the export.
    max_calls
        Rows used for fitting at most (a seeded sample beyond), which bounds memory.
    seed
        Of the sample and of LIBLINEAR.
    """

    rung: ClassVar[str] = "linear"
    modes: ClassVar[frozenset[ProblemMode]] = frozenset({"classify", "multilabel", "point", "regress"})
    can_refit: ClassVar[bool] = True

    def __init__(
        self,
        strength: float = 2.0,
        min_count: int = 2,
        max_features: int = 40_000,
        max_calls: int = 50_000,
        seed: int = 0,
    ) -> None:
        self.strength = strength
        self.min_count = min_count
        self.max_features = max_features
        self.max_calls = max_calls
        self.seed = seed

    def fit(
        self,
        inputs: Sequence[str | InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        *,
        sample_weight: npt.NDArray[np.float64] | None = None,
    ) -> Self:
        """Learn every field.

        Raises
        ------
        DataError
            If no field has at least one known value.
        """
        parts, wanted = as_inputs(inputs), as_targets(targets)
        weight = np.ones(len(parts)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        if len(parts) > self.max_calls:
            rows = np.sort(np.random.default_rng(self.seed).permutation(len(parts))[: self.max_calls])
            parts = [parts[int(row)] for row in rows]
            wanted, weight = [target.take(rows) for target in wanted], weight[rows]
        if not any(target.known.any() for target in wanted):
            raise DataError("there is nothing to learn from: no call has a usable answer")
        from threadpoolctl import threadpool_limits

        self.problems_: tuple[Problem, ...] = tuple(target.problem for target in wanted)
        # LIBLINEAR calls BLAS on short vectors, where more threads only wait for each other.
        with threadpool_limits(1):
            self.taggers_: dict[int, FittedTagger] = {
                at: fit_tagger(parts, target, seed=self.seed)
                for at, target in enumerate(wanted)
                if target.problem.mode == "point"
            }
            self._fit_bag(parts, wanted, weight)
        return self

    def _fit_bag(self, parts: list[InputParts], wanted: list[Targets], weight: FloatArray) -> None:
        bag = [(at, target) for at, target in enumerate(wanted) if target.problem.mode != "point"]
        self.columns_ = [(0, 0)] * len(wanted)
        self.settings_: list[dict[str, float]] = [{} for _ in wanted]
        if not bag:
            self.features_ = FeatureTable(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64))
            self.weights_, self.bias_ = np.empty((0, 0)), np.empty(0)
            return
        self.features_ = _choose_features(parts, self.min_count)
        matrix = _matrix(parts, self.features_)
        blocks, biases, first = [], [], 0
        for at, target in bag:
            block, bias, setting = self._fit_problem(matrix, target, weight)
            blocks.append(block)
            biases.append(bias)
            self.columns_[at] = (first, first + len(bias))
            self.settings_[at] = setting
            first += len(bias)
        weights = np.concatenate(blocks, axis=1)
        kept = _largest(weights, self.max_features)
        self.features_ = FeatureTable(self.features_.buckets[kept], self.features_.idf[kept])
        self.weights_, self.bias_ = weights[kept], np.concatenate(biases)

    def _fit_problem(
        self, matrix: Any, target: Targets, weight: FloatArray
    ) -> tuple[FloatArray, FloatArray, dict[str, float]]:
        if target.problem.mode == "classify":
            return self._fit_classes(matrix, target, weight)
        if target.problem.mode == "multilabel":
            return self._fit_labels(matrix, target, weight)
        return self._fit_number(matrix, target, weight)

    def _fit_classes(
        self, matrix: Any, target: Targets, weight: FloatArray
    ) -> tuple[FloatArray, FloatArray, dict[str, float]]:
        rows, codes, weights = _weighted_rows(target, weight)
        count = len(target.problem.values)
        block = np.zeros((matrix.shape[1], count))
        bias = np.full(count, -1.0)
        seen = np.unique(codes)
        if len(seen) == 1:
            bias[seen[0]] = 1.0
            return block, bias, {"slope": 1.6}
        from sklearn.svm import LinearSVC

        model = LinearSVC(C=self.strength, random_state=self.seed)
        with warnings.catch_warnings():
            # Not quite converged after 1,000 passes changes no label; the export is judged on other data anyway.
            warnings.simplefilter("ignore")
            model.fit(matrix[rows], codes, sample_weight=weights)
        learnt, offset = model.coef_.T, model.intercept_
        if len(seen) == 2:
            learnt, offset = np.hstack((-learnt, learnt)), np.array([-offset[0], offset[0]])
        block[:, seen], bias[seen] = learnt, offset
        return block, bias, {"slope": 1.6}

    def _fit_labels(
        self, matrix: Any, target: Targets, weight: FloatArray
    ) -> tuple[FloatArray, FloatArray, dict[str, float]]:
        from sklearn.svm import LinearSVC

        rows = np.flatnonzero(target.known)
        labels = target.problem.values
        block, bias = np.zeros((matrix.shape[1], len(labels))), np.full(len(labels), -1.0)
        for at, label in enumerate(labels):
            has = np.array([label in (target.values[int(row)] or ()) for row in rows])
            if has.all() or not has.any():
                bias[at] = 1.0 if has.all() else -1.0
                continue
            model = LinearSVC(C=self.strength, random_state=self.seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(matrix[rows], has, sample_weight=weight[rows])
            block[:, at], bias[at] = model.coef_[0], model.intercept_[0]
        return block, bias, {"slope": 3.0}

    def _fit_number(
        self, matrix: Any, target: Targets, weight: FloatArray
    ) -> tuple[FloatArray, FloatArray, dict[str, float]]:
        from sklearn.linear_model import Ridge

        rows = np.array(
            [row for row, value in enumerate(target.values) if isinstance(value, int | float)], dtype=np.int64
        )
        if not len(rows):
            raise DataError(f"field {target.problem.field.name!r} holds no number to learn from")
        numbers = np.array([float(target.values[int(row)]) for row in rows])
        model = Ridge(alpha=1.0, random_state=self.seed).fit(
            matrix[rows], numbers, sample_weight=weight[rows]
        )
        missed = np.log(np.maximum(np.abs(numbers - model.predict(matrix[rows])), 1e-6))
        spread = Ridge(alpha=10.0, random_state=self.seed).fit(
            matrix[rows], missed, sample_weight=weight[rows]
        )
        block = np.stack((model.coef_, spread.coef_), axis=1)
        return block, np.array([model.intercept_, spread.intercept_]), {}

    def predict_fields(self, inputs: Sequence[str | InputParts]) -> list[FieldPrediction]:
        """Predictions of the float model."""
        parts = as_inputs(inputs)
        logits = (
            np.asarray(_matrix(parts, self.features_) @ self.weights_ + self.bias_)
            if len(self.bias_)
            else None
        )
        contexts = [prepare_contexts(one) for one in parts] if self.taggers_ else []
        out = []
        for at, problem in enumerate(self.problems_):
            if problem.mode == "point":
                out.append(self.taggers_[at].float_tagger(problem).predict(contexts))
                continue
            first, last = self.columns_[at]
            assert logits is not None
            out.append(decode_logits(problem, logits[:, first:last], self.settings_[at]))
        return out

    def export(self, folder: Path) -> None:
        """Write int8 weights, scaled per score column."""
        scale = np.maximum(np.abs(self.weights_).max(axis=0, initial=1e-12), 1e-12) / 127.0
        small = np.rint(self.weights_ / scale).astype(np.int8)
        order = np.argsort(self.features_.buckets, kind="stable")
        np.savez_compressed(
            folder / "linear.npz",
            bucket_gaps=np.diff(self.features_.buckets[order], prepend=0).astype(np.int32),
            idf=self.features_.idf[order].astype(np.uint16),
            weights=np.ascontiguousarray(small[order].T),
            scale=scale,
            bias=self.bias_,
        )
        for at, tagger in self.taggers_.items():
            tagger.save(folder / f"tagger-{at}.npz")
        write_component_file(
            folder,
            "linear",
            self.problems_,
            columns=[list(pair) for pair in self.columns_],
            settings=self.settings_,
        )

    def component(self, folder: Path) -> LinearComponent:
        """Export into `folder` and load the result: what would serve."""
        from understudy.runtime.component import load_component

        self.export(folder)
        loaded = load_component(folder)
        assert isinstance(loaded, LinearComponent)
        return loaded


def _choose_features(parts: Sequence[InputParts], min_count: int) -> FeatureTable:
    documents = np.zeros(1 << BUCKET_BITS, dtype=np.int64)
    for first in range(0, len(parts), _CHUNK):
        grams = count_ngrams(parts[first : first + _CHUNK])
        documents += np.bincount(grams.buckets, minlength=len(documents))
    # Tiny logs would keep nothing at min_count 2.
    least = min_count if len(parts) >= 50 else 1
    buckets = np.flatnonzero(documents >= least)
    inverse = np.log((1 + len(parts)) / (1 + documents[buckets])) + 1.0
    # The root of the usual idf: better on every fold of the data tried (docs/decisions/0005-linear.md).
    return FeatureTable(buckets.astype(np.int32), np.rint(_IDF_STEPS * np.sqrt(inverse)).astype(np.int64))


def _matrix(parts: Sequence[InputParts], features: FeatureTable) -> Any:
    """The rows that the runtime would build, as a scipy CSR matrix of float64, shape (n, f)."""
    import scipy.sparse

    table = features.rows()
    blocks = []
    for first in range(0, max(len(parts), 1), _CHUNK):
        starts, rows, amounts, norms = features.features(parts[first : first + _CHUNK], table)
        values = amounts / np.repeat(norms, np.diff(starts))
        shape = (len(starts) - 1, len(features.buckets))
        blocks.append(scipy.sparse.csr_matrix((values.astype(np.float64), rows, starts), shape=shape))
    return scipy.sparse.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]


def _weighted_rows(
    target: Targets, weight: FloatArray
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """Rows, classes and weights; a soft target becomes one row per class that has at least 5 % of its mass."""
    codes = target.codes
    hard = codes >= 0
    if target.soft is None:
        rows = np.flatnonzero(hard)
        return rows, codes[rows], weight[rows]
    is_soft = np.asarray(np.isfinite(target.soft).all(axis=1), dtype=np.bool_)
    plain = np.flatnonzero(hard & ~is_soft)
    where, which = np.nonzero(np.where(is_soft[:, None], np.nan_to_num(target.soft), 0.0) >= 0.05)
    rows = np.concatenate((plain, where))
    classes = np.concatenate((codes[plain], which))
    return rows, classes, np.concatenate((weight[plain], weight[where] * target.soft[where, which]))


def _largest(weights: FloatArray, most: int) -> npt.NDArray[np.int64]:
    if len(weights) <= most:
        return np.arange(len(weights))
    strength = np.abs(weights).max(axis=1)
    return np.sort(np.argsort(-strength, kind="stable")[:most])
