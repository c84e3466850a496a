"""A rung that writes by a rule, for the ladder's own tests: what it does with texts needs no language model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from understudy.calls.call import InputParts
from understudy.runtime.component import write_component_file
from understudy.runtime.prediction import FieldPrediction
from understudy.students.base import Student
from understudy.students.targets import as_inputs, as_targets
from understudy.task.problem import MODES, Problem, ProblemMode


def note_of(text: str) -> str:
    """What the teacher writes about a message: its last two words, turned round."""
    words = text.split()
    return f"note: {words[-1]} for {words[-2]}"


class RuleComponent:
    """Writes notes; sure of short messages, and wrong on long ones, which it says."""

    def __init__(self, problems: tuple[Problem, ...], skill: float) -> None:
        self._problems, self.skill = problems, skill

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._problems

    @classmethod
    def load(cls, folder: Path, spec: dict[str, Any]) -> RuleComponent:
        assert (folder / "weights.json").exists()
        return cls(tuple(Problem.from_dict(one) for one in spec["problems"]), spec["skill"])

    def predict(self, inputs: Sequence[InputParts]) -> list[FieldPrediction]:
        knows = [int(parts[0].split()[0]) % 100 < 100 * self.skill for parts in inputs]
        sure = np.where(knows, 0.95, 0.2)
        out = []
        for problem in self._problems:
            if problem.mode == "write":
                said: list[Any] = [
                    note_of(parts[0]) if known else "no idea"
                    for parts, known in zip(inputs, knows, strict=True)
                ]
            else:
                said = [problem.values[0]] * len(inputs)
            out.append(FieldPrediction(said, sure.copy()))
        return out


class RuleWriter(Student):
    """The rung; `base` and `tuning` are taken like a real one's."""

    rung: ClassVar[str] = "writer"
    modes: ClassVar[frozenset[ProblemMode]] = frozenset(MODES)
    is_slow: ClassVar[bool] = True

    skill: ClassVar[float] = 0.9
    made: ClassVar[list[RuleWriter]] = []
    settled: ClassVar[list[int]] = []

    def __init__(self, base: str | None = None, tuning: str = "full", seed: int = 0) -> None:
        self.base, self.tuning, self.seed = base, tuning, seed

    def fit(self, inputs: Any, targets: Any, *, sample_weight: Any = None) -> Self:
        self.made.append(self)
        self.problems_ = tuple(target.problem for target in as_targets(targets))
        return self

    def predict_fields(self, inputs: Any) -> list[FieldPrediction]:
        return RuleComponent(self.problems_, self.skill).predict(as_inputs(inputs))

    def export(self, folder: Path) -> None:
        (folder / "weights.json").write_text(json.dumps([0.5] * 100))
        write_component_file(folder, "rule", self.problems_, skill=self.skill)

    def settle(self, folder: Path, inputs: Any, targets: Any) -> None:
        assert (folder / "component.json").exists()
        assert all(len(one.values) == len(inputs) for one in targets)
        self.settled.append(len(inputs))

    def save_state(self, folder: Path) -> None:
        (folder / "writer").mkdir()
        (folder / "writer" / "float.json").write_text("{}")


class SmallerRuleWriter(RuleWriter):
    """Another form of the same rung, made from its folder."""

    rung: ClassVar[str] = "writer_small"
    made_from: ClassVar[str | None] = "writer"
    sources: ClassVar[list[Path]] = []

    def __init__(self, source: Path | None = None, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.source = source

    def fit(self, inputs: Any, targets: Any, *, sample_weight: Any = None) -> Self:
        assert self.source is not None
        assert (self.source / "writer" / "float.json").exists()
        self.sources.append(self.source)
        return super().fit(inputs, targets)

    def save_state(self, folder: Path) -> None:
        pass
