"""Calls in columns: what students learn from and what is certified.

Values are typed, inputs cut into the task's parts, near-duplicates grouped, rows split. It holds no opinion
on what to learn from (teacher or gold) and knows no student.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import UNKNOWN, InputParts
from understudy.dataset.splits import SPLITS
from understudy.task.problem import Problem, encode_value
from understudy.task.task import Task

__all__ = ["Dataset"]

FloatColumn = npt.NDArray[np.float64]
IntColumn = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """`n` calls.

    Attributes
    ----------
    task, problems
        The task, and one problem per field that can be learnt (or that a run takes on).
    ids
        Unique.
    inputs
        Tuples of texts, all of the same length.
    teacher, gold
        Per field name `n` values, UNKNOWN where none was recorded or it is off-schema.
    soft
        Per field name of a `classify` problem, where votes or log-probabilities are known: shares per value
        of the problem, shape (n, k), NaN rows where unknown. Fields without any are left out.
    rationale
        The teacher's reasons, or ``None``.
    exact, group
        Row of the first input equal after normalisation, and near-duplicate group, shape (n,) each.
    split
        Index into ``understudy.dataset.splits.SPLITS``, shape (n,).
    off_schema
        Whether an answer was recorded that does not fit the task in some field, shape (n,).
    time
        Seconds since 1970, NaN where unknown, shape (n,).
    cost_usd, latency_ms, input_tokens, output_tokens, cached_tokens
        As recorded, NaN where unknown, shape (n,) each.
    models
        The teacher's name per row, or ``None``.
    request_kinds
        Where calls are full requests, the fixed parts that they share (``calls.known_request``), commonest first.
    """

    task: Task
    problems: tuple[Problem, ...]
    ids: Sequence[str]
    inputs: Sequence[InputParts]
    teacher: Mapping[str, Sequence[Any]]
    gold: Mapping[str, Sequence[Any]]
    soft: Mapping[str, FloatColumn]
    rationale: Sequence[str | None]
    exact: IntColumn
    group: IntColumn
    split: npt.NDArray[np.int8]
    off_schema: npt.NDArray[np.bool_]
    time: FloatColumn
    cost_usd: FloatColumn
    latency_ms: FloatColumn
    input_tokens: FloatColumn
    output_tokens: FloatColumn
    cached_tokens: FloatColumn
    models: Sequence[str | None]
    request_kinds: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    def rows(self, split: str) -> IntColumn:
        """Row numbers of a split (one of ``understudy.dataset.splits.SPLITS``), ascending."""
        return np.flatnonzero(self.split == SPLITS.index(split))

    @property
    def split_names(self) -> list[str]:
        """The split's name per row."""
        return [SPLITS[code] for code in self.split.tolist()]

    def has_teacher(self) -> bool:
        """Whether any answer of the teacher is known."""
        return any(value is not UNKNOWN for column in self.teacher.values() for value in column)

    def has_gold(self) -> bool:
        """Whether any gold answer is known."""
        return any(value is not UNKNOWN for column in self.gold.values() for value in column)

    def with_problems(self, problems: Sequence[Problem]) -> Dataset:
        """The same calls with only these problems to learn."""
        return replace(self, problems=tuple(problems))

    def take(self, rows: Sequence[int] | IntColumn) -> Dataset:
        """The dataset of some rows, in the order given. `exact` and `group` keep their numbers."""
        index = np.asarray(rows, dtype=np.int64)
        listed = index.tolist()

        def pick(values: Sequence[Any]) -> list[Any]:
            return [values[row] for row in listed]

        return Dataset(
            task=self.task,
            problems=self.problems,
            ids=pick(self.ids),
            inputs=pick(self.inputs),
            teacher={name: pick(values) for name, values in self.teacher.items()},
            gold={name: pick(values) for name, values in self.gold.items()},
            soft={name: values[index] for name, values in self.soft.items()},
            rationale=pick(self.rationale),
            exact=self.exact[index],
            group=self.group[index],
            split=self.split[index],
            off_schema=self.off_schema[index],
            time=self.time[index],
            cost_usd=self.cost_usd[index],
            latency_ms=self.latency_ms[index],
            input_tokens=self.input_tokens[index],
            output_tokens=self.output_tokens[index],
            cached_tokens=self.cached_tokens[index],
            models=pick(self.models),
        )

    def fingerprint(self) -> str:
        """SHA-256 of task, inputs, answers, gold, soft targets and split, in order; not of ids, paths or
        costs.
        """
        digest = hashlib.sha256(json.dumps(self.task.to_dict(), sort_keys=True).encode())
        for line in self._lines():
            digest.update(line)
        for name in sorted(self.soft):
            digest.update(name.encode())
            digest.update(np.round(self.soft[name], 9).tobytes())
        digest.update(self.split.tobytes())
        return digest.hexdigest()

    def _lines(self) -> Iterator[bytes]:
        names = [field.name for field in self.task.fields]
        encoder = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
        for row, parts in enumerate(self.inputs):
            answers = [_encoded(self.teacher[name][row]) for name in names]
            golds = [_encoded(self.gold[name][row]) for name in names]
            yield encoder.encode([parts, answers, golds]).encode() + b"\n"


def _encoded(value: Any) -> Any:
    return {"unknown": True} if value is UNKNOWN else encode_value(value)
