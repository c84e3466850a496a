"""The lookup rung: remembers the answer of every input that was always answered alike.

Learns nothing about inputs it has not seen. Pays where real traffic repeats itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from understudy.calls.call import UNKNOWN, InputParts
from understudy.runtime.component import write_component_file
from understudy.runtime.lookup import LookupComponent, lookup_key
from understudy.runtime.prediction import FieldPrediction
from understudy.students.base import Student
from understudy.students.targets import Targets, as_inputs, as_targets
from understudy.task.problem import MODES, Problem, ProblemMode, encode_value

__all__ = ["LookupStudent"]


class LookupStudent(Student):
    """A table of answered inputs.

    Parameters
    ----------
    confidence
        The confidence of a hit; the ladder sets it to the measured share of repeats that agree.
    """

    rung: ClassVar[str] = "lookup"
    modes: ClassVar[frozenset[ProblemMode]] = frozenset(MODES)
    can_refit: ClassVar[bool] = True

    def __init__(self, confidence: float = 1.0) -> None:
        self.confidence = confidence

    def fit(
        self,
        inputs: Sequence[str | InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        *,
        sample_weight: npt.NDArray[np.float64] | None = None,  # noqa: ARG002  (the contract's signature)
    ) -> Self:
        """Remember every input whose answers are all known and all alike."""
        parts, wanted = as_inputs(inputs), as_targets(targets)
        self.problems_: tuple[Problem, ...] = tuple(target.problem for target in wanted)
        self.values_: list[Any] = []
        index: dict[str, int] = {}
        seen: dict[str, list[int] | None] = {}
        for row, texts in enumerate(parts):
            answer = []
            for target in wanted:
                value = target.values[row]
                if value is UNKNOWN:
                    break
                coded = json.dumps(encode_value(value), sort_keys=True, ensure_ascii=False)
                if coded not in index:
                    index[coded] = len(self.values_)
                    self.values_.append(value)
                answer.append(index[coded])
            key = lookup_key(texts)
            complete = answer if len(answer) == len(wanted) else None
            seen[key] = complete if seen.get(key, complete) == complete else None
        self.answers_ = {key: answer for key, answer in seen.items() if answer is not None}
        return self

    def predict_fields(self, inputs: Sequence[str | InputParts]) -> list[FieldPrediction]:
        """Hits with the set confidence; ``None`` with confidence 0 for new inputs."""
        return LookupComponent(self.problems_, self.answers_, self.values_, self.confidence).predict(
            as_inputs(inputs)
        )

    def export(self, folder: Path) -> None:
        """Write hashes and answers."""
        stored = {"values": [encode_value(value) for value in self.values_], "answers": self.answers_}
        (folder / "answers.json").write_text(
            json.dumps(stored, ensure_ascii=False, sort_keys=True), encoding="utf-8"
        )
        write_component_file(folder, "lookup", self.problems_, confidence=self.confidence)
