"""Serves the lookup rung: inputs that the teacher has answered before, always with the same answer.

Inputs are compared after width, case and white-space folding. Texts are not stored, only 128-bit hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.calls.call import InputParts
from understudy.errors import ArtefactError
from understudy.runtime.prediction import FieldPrediction
from understudy.task.problem import Problem, decode_value
from understudy.text.ngrams import fold_text

__all__ = ["LookupComponent", "lookup_key"]


def lookup_key(parts: InputParts) -> str:
    """128 bits of SHA-256 over the folded parts, as hexadecimal."""
    joined = "\x1f".join(fold_text(part) if len(part) < 20_000 else part for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class LookupComponent:
    """Answers inputs seen before; confidence 0 for all others.

    Parameters
    ----------
    problems
        The problems it answers.
    answers
        Key of an input to one value per problem, each an index into `values`.
    values
        The distinct values.
    confidence
        How often a repeated input gets the same answer, measured when it was learnt.
    """

    def __init__(
        self,
        problems: tuple[Problem, ...],
        answers: Mapping[str, Sequence[int]],
        values: Sequence[Any],
        confidence: float,
    ) -> None:
        self._problems, self._answers, self._values = problems, answers, values
        self._confidence = confidence

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems it answers."""
        return self._problems

    @classmethod
    def load(cls, folder: Path, spec: dict[str, Any]) -> LookupComponent:
        """Read an export of ``LookupStudent``."""
        try:
            stored = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
            values = [decode_value(value) for value in stored["values"]]
            answers = stored["answers"]
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError("the lookup table cannot be read", given=f"{folder}: {error}") from error
        problems = tuple(Problem.from_dict(given) for given in spec["problems"])
        return cls(problems, answers, values, float(spec["confidence"]))

    def predict(self, inputs: Sequence[InputParts]) -> list[FieldPrediction]:
        """One prediction per problem; value ``None`` and confidence 0 where the input is new."""
        found = [self._answers.get(lookup_key(parts)) for parts in inputs]
        confidence = np.array([0.0 if hit is None else self._confidence for hit in found])
        return [
            FieldPrediction([None if hit is None else self._values[hit[at]] for hit in found], confidence)
            for at in range(len(self._problems))
        ]
