"""What a component says about one field of a batch of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FieldPrediction", "FloatArray", "softmax"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FieldPrediction:
    """Values and confidences for `n` inputs.

    Attributes
    ----------
    values
        `n` values in the field's type (``None`` and ABSENT among them where legal).
    confidence
        Shape (n,), in [0, 1]: the component's own probability that the value is the teacher's.
    scores
        `classify`: probabilities, shape (n, k), columns in the order of ``problem.values``;
        `multilabel`: one probability per label; ``None`` for other modes.
    """

    values: list[Any]
    confidence: FloatArray
    scores: FloatArray | None = None


def softmax(logits: FloatArray) -> FloatArray:
    """Row-wise softmax, shape (n, k) to (n, k); each row's result depends on that row alone."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    grown = np.exp(shifted)
    return np.asarray(grown / grown.sum(axis=1, keepdims=True), dtype=np.float64)
