"""Inputs and targets as the loop needs them: tokens per row, and what each head should say.

Spans become the set of (first token, length) pairs that say the right value; a value that stands nowhere in
the input teaches nothing (it cannot be pointed at), and how many such rows there were is kept.

Shapes: n rows, k columns of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import ABSENT, UNKNOWN, InputParts
from understudy.errors import DataError
from understudy.runtime.heads import Head, NumberScale
from understudy.runtime.tokens import Tokenised, Tokeniser
from understudy.task.problem import Problem
from understudy.text.numbers import locate_numbers
from understudy.text.spans import is_whole_word, locate_all
from understudy.training.target_arrays import FieldTargets, class_targets, label_targets, number_scale

__all__ = ["HeadTargets", "PointTarget", "TrainingRows", "prepare_rows"]

Float32 = npt.NDArray[np.float32]
_SNAP_SHARE = 0.97
_MOST_SPAN_TOKENS = 64


@dataclass(frozen=True, slots=True)
class PointTarget:
    """What a `point` head should choose for one row: any of `spans` (first token, tokens - 1), or a void."""

    spans: tuple[tuple[int, int], ...] = ()
    void: int = -1


@dataclass(frozen=True, slots=True)
class HeadTargets:
    """Targets of one problem.

    Attributes
    ----------
    problem, head
        What is learnt and where its scores stand.
    rows
        Which rows teach, shape (m,), ascending.
    dense
        `classify`, `multilabel` and `regress`: shape (m, k).
    points
        `point`: one per row of `rows`.
    unlocated
        Rows whose value stands nowhere in the input.
    """

    problem: Problem
    head: Head
    rows: npt.NDArray[np.int64]
    dense: Float32 | None = None
    points: tuple[PointTarget, ...] = ()
    unlocated: int = 0


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """All rows of a training set.

    Attributes
    ----------
    inputs, tokens
        `n` inputs and their tokens.
    weights
        Shape (n,), mean 1 over rows with any weight.
    heads
        One per problem.
    teacher_logits
        Per-input outputs of a teacher network, shape (n, r), or ``None``.
    """

    inputs: Sequence[InputParts]
    tokens: list[Tokenised]
    weights: Float32
    heads: tuple[HeadTargets, ...]
    row_width: int
    token_width: int
    lookup: tuple[dict[int, int], ...] = field(default=())

    @property
    def known_per_row(self) -> float:
        """How many problems an average row teaches."""
        return sum(len(head.rows) for head in self.heads) / max(len(self.tokens), 1)


def prepare_rows(
    inputs: Sequence[InputParts],
    targets: Sequence[FieldTargets],
    tokeniser: Tokeniser,
    sample_weight: npt.NDArray[np.float64] | None,
) -> TrainingRows:
    """Tokenise `n` inputs and lay out the heads of all problems.

    Raises
    ------
    DataError
        If a field has no value that can be learnt from.
    """
    tokens = [tokeniser(parts) for parts in inputs]
    weights = np.ones(len(inputs)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    usable = weights > 0
    if not usable.any():
        raise DataError("every row has weight 0: there is nothing to learn from")
    weights = weights / weights[usable].mean()
    heads: list[HeadTargets] = []
    row_at, token_at = 0, 0
    for target in targets:
        known = np.flatnonzero(target.known & usable)
        if not len(known):
            raise DataError(
                f"field {target.problem.field.name!r} has no known value to learn from",
                todo="leave the field out or add calls that answer it",
            )
        if target.problem.mode == "point":
            made = _point_targets(target, known, inputs, tokens, row_at, token_at)
            token_at += 3
        else:
            made = _dense_targets(target.take(known), known, row_at)
        row_at = made.head.row[1]
        heads.append(made)
    lookup = tuple({int(row): at for at, row in enumerate(head.rows)} for head in heads)
    return TrainingRows(inputs, tokens, weights.astype(np.float32), tuple(heads), row_at, token_at, lookup)


def _dense_targets(target: FieldTargets, known: npt.NDArray[np.int64], row_at: int) -> HeadTargets:
    mode = target.problem.mode
    scale: NumberScale | None = None
    if mode == "classify":
        dense = class_targets(target)
    elif mode == "multilabel":
        dense = label_targets(target)
    else:
        values, scale = number_scale(target)
        dense = values[:, None]
    head = Head(row=(row_at, row_at + dense.shape[1]), scale=scale)
    return HeadTargets(target.problem, head, known, dense.astype(np.float32))


def _point_targets(
    target: FieldTargets,
    known: npt.NDArray[np.int64],
    inputs: Sequence[InputParts],
    tokens: list[Tokenised],
    row_at: int,
    token_at: int,
) -> HeadTargets:
    problem = target.problem
    rows: list[int] = []
    points: list[PointTarget] = []
    longest, snapped, located = 1, 0, 0
    for row in known.tolist():
        value = target.values[row]
        if value is None or value is ABSENT:
            void = next((at for at, other in enumerate(problem.values) if other is value), -1)
            if void >= 0:
                rows.append(row)
                points.append(PointTarget(void=void))
            continue
        places = _places(problem, value, inputs[row])
        spans = {span for place in places if (span := _token_span(tokens[row], place)) is not None}
        if not spans:
            continue
        located += 1
        snapped += any(is_whole_word(inputs[row][part], start, end) for part, start, end in places)
        rows.append(row)
        points.append(PointTarget(spans=tuple(sorted(spans))))
        longest = max(longest, *(length + 1 for _, length in spans))
    if not rows:
        raise DataError(
            f"field {problem.field.name!r}: no value of it stands in its input",
            todo="declare the field as text or choice if the teacher does not copy it from the input",
        )
    head = Head(
        row=(row_at, row_at + len(problem.values)),
        token=token_at,
        longest_span=min(longest + 2, _MOST_SPAN_TOKENS),
        is_snapped=located > 0 and snapped >= _SNAP_SHARE * located,
    )
    kept = np.array(rows, dtype=np.int64)
    return HeadTargets(problem, head, kept, points=tuple(points), unlocated=len(known) - len(rows))


def _places(problem: Problem, value: Any, parts: InputParts) -> list[tuple[int, int, int]]:
    if value is UNKNOWN:
        return []
    if problem.field.kind == "number":
        return locate_numbers(float(value), parts)
    return locate_all(str(value), parts)


def _token_span(tokens: Tokenised, place: tuple[int, int, int]) -> tuple[int, int] | None:
    """First token and length - 1 of the tokens that cover the characters; ``None`` if they were cut off."""
    part, start, end = place
    own = np.flatnonzero(
        (tokens.part == part) & (tokens.offsets[:, 0] < end) & (tokens.offsets[:, 1] > start)
    )
    if not len(own) or int(tokens.offsets[own[-1], 1]) < end or len(own) > _MOST_SPAN_TOKENS:
        return None
    return int(own[0]), len(own) - 1
