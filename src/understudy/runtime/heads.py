"""What an encoder's output columns mean: one head per problem, read by the loss and by the serving runtime
alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from understudy.calls.call import InputParts
from understudy.runtime.pointer import (
    SpanBorders,
    SpanGrid,
    pick_value,
    span_borders,
    span_grid,
    span_scores,
)
from understudy.runtime.prediction import FieldPrediction, FloatArray, softmax
from understudy.runtime.tokens import Tokenised
from understudy.task.problem import Problem

__all__ = ["Head", "NumberScale", "gather_predictions", "head_answers"]

_MOST_ERRORS = 200


@dataclass(frozen=True, slots=True)
class NumberScale:
    """How a `regress` head's output becomes a number, and how far off it tends to be.

    Attributes
    ----------
    mean, spread
        The number is ``mean + spread * output``.
    is_whole
        Whether all numbers seen were whole; answers are rounded then.
    errors
        Quantiles of the absolute error on rows that the head did not learn from, ascending.
    """

    mean: float
    spread: float
    is_whole: bool
    errors: tuple[float, ...] = ()

    def with_errors(self, errors: FloatArray) -> NumberScale:
        """The same scale with the quantiles of `errors`, absolute and in units of `spread`, shape (n,)."""
        levels = np.linspace(0.0, 1.0, min(len(errors), _MOST_ERRORS))
        quantiles = np.quantile(errors, levels) * self.spread
        return replace(self, errors=tuple(float(error) for error in quantiles))

    def chance_within(self, slack: float) -> float:
        """Probability that the error is at most `slack`, with one failure added to what was seen."""
        within = int(np.searchsorted(np.array(self.errors), slack * (1 + 1e-9) + 1e-12, side="right"))
        return within / (len(self.errors) + 1)


@dataclass(frozen=True, slots=True)
class Head:
    """Where one problem's scores stand.

    Attributes
    ----------
    row
        First and last+1 column of the per-input output: class or label logits, the number, or the scores of a
        `point` problem's values without a span.
    token
        First column of the per-token output (begin, end, inside follow each other); ``None`` unless `point`.
    longest_span
        In tokens; `point` only.
    is_snapped
        Whether spans begin and end at word boundaries; `point` only.
    scale
        `regress` only.
    """

    row: tuple[int, int]
    token: int | None = None
    longest_span: int = 0
    is_snapped: bool = False
    scale: NumberScale | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read the JSON form."""
        scale = given.get("scale")
        first, last = given["row"]
        return cls(
            row=(first, last),
            token=given["token"],
            longest_span=given["longest_span"],
            is_snapped=given["is_snapped"],
            scale=NumberScale(**{**scale, "errors": tuple(scale["errors"])}) if scale else None,
        )


Answer = tuple[Any, float, FloatArray | None]
"""Value, confidence and (classes, labels) scores."""


def head_answers(
    problems: Sequence[Problem],
    heads: Sequence[Head],
    row: FloatArray,
    token: FloatArray,
    tokens: Tokenised,
    parts: InputParts,
) -> list[Answer]:
    """The answer to each problem for one input.

    Parameters
    ----------
    problems, heads
        What the columns mean.
    row
        All per-input outputs, shape (r,), float64.
    token
        All per-token outputs, shape (t, 3p), float64.
    tokens, parts
        The input.
    """
    borders: dict[bool, SpanBorders] = {}
    grids: dict[tuple[bool, int], SpanGrid] = {}
    out: list[Answer] = []
    for problem, head in zip(problems, heads, strict=True):
        own = row[head.row[0] : head.row[1]]
        if head.token is None:
            out.append(_row_answer(problem, head, own))
            continue
        key = (head.is_snapped, min(head.longest_span, len(tokens.ids)))
        if head.is_snapped not in borders:
            borders[head.is_snapped] = span_borders(tokens, parts, is_snapped=head.is_snapped)
        if key not in grids:
            grids[key] = span_grid(borders[head.is_snapped], head.longest_span)
        scores = span_scores(token[:, head.token : head.token + 3], grids[key])
        is_number = problem.field.kind == "number"
        value, chance = pick_value(scores, own, problem.values, tokens, parts, is_number=is_number)
        out.append((value, chance, None))
    return out


def _row_answer(problem: Problem, head: Head, own: FloatArray) -> Answer:
    if problem.mode == "classify":
        chances = softmax(own[None])[0]
        best = int(chances.argmax())
        return problem.values[best], float(chances[best]), chances
    if problem.mode == "multilabel":
        chances = 1.0 / (1.0 + np.exp(-np.clip(own, -500.0, 500.0)))
        is_in = chances >= 0.5
        chosen = [value for value, is_chosen in zip(problem.values, is_in, strict=True) if is_chosen]
        return chosen, float(np.prod(np.where(is_in, chances, 1.0 - chances))), chances
    scale = head.scale or NumberScale(0.0, 1.0, is_whole=False)
    value = scale.mean + scale.spread * float(own[0])
    value = float(round(value)) if scale.is_whole else value
    slack = max(problem.field.tolerance, 1e-9) * max(1.0, abs(value))
    return value, scale.chance_within(slack), None


def gather_predictions(
    problems: Sequence[Problem], answers: Sequence[Sequence[Answer]]
) -> list[FieldPrediction]:
    """Answers per input and problem, laid out as one prediction per problem."""
    out = []
    for at, problem in enumerate(problems):
        own = [found[at] for found in answers]
        scores = None
        if problem.mode in ("classify", "multilabel"):
            scores = np.array([one[2] for one in own], dtype=np.float64).reshape(
                len(own), len(problem.values)
            )
        confidence = np.array([one[1] for one in own], dtype=np.float64)
        out.append(FieldPrediction([one[0] for one in own], confidence, scores))
    return out
