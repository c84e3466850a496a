"""How sure a writer is of a value: from the tokens that decided it, or from further answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from understudy.runtime.generate import Written
from understudy.runtime.prediction import FloatArray
from understudy.task.problem import Problem

__all__ = ["CONFIDENCES", "Confidence", "ConfidenceKind", "class_scores", "token_confidence"]

ConfidenceKind = Literal["mean_logprob", "margin", "samples"]
CONFIDENCES: tuple[ConfidenceKind, ...] = ("mean_logprob", "margin", "samples")


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure a writer is.

    Attributes
    ----------
    kind
        ``mean_logprob``: the geometric mean of the probabilities of the tokens that decided the value.
        ``margin``: the mean of their distance to the second likeliest token. ``samples``: with `m` the first
        of these, ``(share * samples + m) / (samples + 1)``, where `share` is how many of further answers, drawn
        at random, say the same.
    samples, temperature
        For ``samples``: how many further answers are drawn, and how.
    """

    kind: ConfidenceKind = "mean_logprob"
    samples: int = 5
    temperature: float = 1.0

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read the JSON form; missing keys take the defaults.

        Raises
        ------
        ValueError
            If the kind is unknown.
        """
        if given.get("kind", "mean_logprob") not in CONFIDENCES:
            raise ValueError(f"unknown confidence {given['kind']!r}")
        return cls(**given)


def token_confidence(written: Written, owners: Sequence[int]) -> tuple[float, float]:
    """How sure a writer is of what some of its tokens say.

    Parameters
    ----------
    written
        The answer.
    owners
        Positions of the tokens.

    Returns
    -------
    tuple
        Geometric mean of the probabilities, and mean margin, of those that were not forced, in [0, 1]; 1 if none
        was free.
    """
    free = [at for at in owners if not written.was_forced[at]]
    if not free:
        return 1.0, 1.0
    mean = sum(written.logprobs[at] for at in free) / len(free)
    margin = sum(written.margins[at] for at in free) / len(free)
    return min(float(np.exp(mean)), 1.0), min(max(margin, 0.0), 1.0)


def class_scores(problem: Problem, values: Sequence[Any], sure: FloatArray) -> FloatArray:
    """The confidence for the class that was written, and the rest spread evenly: shape (n, classes).

    Only the class that was written is scored by the model; no other may seem likelier.
    """
    count = len(problem.values)
    scores = np.full((len(values), count), 1.0 / count)
    for row, value in enumerate(values):
        chosen = [
            at
            for at, one in enumerate(problem.values)
            if one is value or (type(one) is type(value) and one == value)
        ]
        if chosen and count > 1:
            top = max(float(sure[row]), 1.0 / count)
            scores[row] = (1.0 - top) / (count - 1)
            scores[row, chosen[0]] = top
    return scores
