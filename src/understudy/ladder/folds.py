"""The three parts of a data set as the ladder needs them: learning targets, reference answers, one row per group.

`train` keeps every usable call; `select` and `certify` keep one call per near-duplicate group, because repeated
inputs are not independent evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from understudy.calls.call import UNKNOWN, InputParts
from understudy.dataset.dataset import Dataset
from understudy.errors import DataError
from understudy.ladder.options import LearnFrom
from understudy.students.targets import Targets
from understudy.task.field import Field, values_equal
from understudy.task.problem import Problem, ProblemMode

__all__ = ["CertifyGate", "Fold", "correctness", "make_fold"]

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows of one split.

    Attributes
    ----------
    rows
        Row numbers in the data set, shape (n,).
    inputs
        `n` inputs.
    targets
        Per problem, what to learn.
    teacher, gold
        Per field name, `n` values or UNKNOWN.
    n_repeats
        Usable rows that were left out because their group is represented already.
    rationales
        The teacher's reasons per row, where they are to be learnt from; else ``None``.
    """

    rows: npt.NDArray[np.int64]
    inputs: list[InputParts]
    targets: list[Targets]
    teacher: dict[str, list[Any]]
    gold: dict[str, list[Any]]
    n_repeats: int = 0
    rationales: list[str | None] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def only(self, modes: frozenset[ProblemMode]) -> Fold:
        """The same rows with only the targets of some modes."""
        return replace(self, targets=[target for target in self.targets if target.problem.mode in modes])

    def answering(self, problems: Sequence[Problem]) -> Fold:
        """The same rows with only the targets of some problems."""
        names = {problem.field.name for problem in problems}
        return replace(self, targets=[one for one in self.targets if one.problem.field.name in names])

    def reference(self, which: Literal["teacher", "gold"]) -> dict[str, list[Any]]:
        """The answers that a target refers to."""
        return self.teacher if which == "teacher" else self.gold


def make_fold(
    data: Dataset,
    split: Sequence[str],
    learn_from: LearnFrom,
    *,
    one_per_group: bool,
    needs: Literal["teacher", "gold"] | None = None,
    with_rationales: bool = False,
    most: int | None = None,
) -> Fold:
    """The rows of `split` that carry at least one learnable answer (all of `needs` where given); at most `most`."""
    names = [problem.field.name for problem in data.problems]
    rows = np.sort(np.concatenate([data.rows(name) for name in split]))
    learnt = {name: _mix(data, name, learn_from) for name in names}
    usable = [row for row in rows.tolist() if any(learnt[name](row) is not UNKNOWN for name in names)]
    if needs is not None:
        source = data.teacher if needs == "teacher" else data.gold
        usable = [
            row for row in usable if all(source[name][row] is not UNKNOWN for name in names if name in source)
        ]
    kept, seen = [], set()
    for row in usable:
        group = int(data.group[row])
        if one_per_group and group in seen:
            continue
        seen.add(group)
        kept.append(row)
    if most is not None and len(kept) > most:
        kept = sorted(np.random.default_rng(0).permutation(np.array(kept))[:most].tolist())
    chosen = np.array(kept, dtype=np.int64)
    targets = []
    for problem in data.problems:
        pick = learnt[problem.field.name]
        soft = data.soft.get(problem.field.name) if learn_from == "teacher" else None
        targets.append(Targets(problem, [pick(row) for row in kept], None if soft is None else soft[chosen]))
    return Fold(
        rows=chosen,
        inputs=[data.inputs[row] for row in kept],
        targets=targets,
        teacher={name: [data.teacher[name][row] for row in kept] for name in names},
        gold={
            name: [data.gold[name][row] if name in data.gold else UNKNOWN for row in kept] for name in names
        },
        n_repeats=len(usable) - len(kept),
        rationales=[data.rationale[row] for row in kept] if with_rationales else None,
    )


def _mix(data: Dataset, name: str, learn_from: LearnFrom) -> Callable[[int], Any]:
    teacher = data.teacher[name]
    gold = data.gold.get(name)
    if learn_from == "teacher":
        return teacher.__getitem__
    if gold is None:
        if learn_from == "gold":
            raise DataError(
                f"there are no gold answers for field {name!r}",
                todo="map them with --map gold=COLUMN, or learn with --learn-from teacher",
            )
        return teacher.__getitem__
    if learn_from == "gold":
        return gold.__getitem__
    return lambda row: teacher[row] if gold[row] is UNKNOWN else gold[row]


def correctness(field: Field, values: Sequence[Any], reference: Sequence[Any]) -> Bools:
    """Shape (n,): whether each value equals the reference; false where the reference is UNKNOWN."""
    return np.array(
        [
            right is not UNKNOWN and values_equal(field, left, right)
            for left, right in zip(values, reference, strict=True)
        ],
        dtype=np.bool_,
    )


class CertifyGate:
    """Hands out the certify split once; a second request is a bug."""

    def __init__(self, make: Callable[[], Fold]) -> None:
        self._make: Callable[[], Fold] | None = make

    def open_once(self) -> Fold:
        """The certify fold."""
        assert self._make is not None, "the certify split was read twice"
        make, self._make = self._make, None
        return make()
