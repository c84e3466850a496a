"""Bounded summaries of the answers in a log: what types occur, which values, how often they stand in the
input.

One pass, memory capped whatever the log's size: distinct values are counted up to MAX_DISTINCT per path (and
MAX_KEPT over all paths), long texts only by number. It decides nothing: see ``infer``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.task.parse import flatten, read_json_text
from understudy.text.normalise import stands_in
from understudy.text.numbers import find_numbers

__all__ = ["MAX_DISTINCT", "OutputSketch", "PathSketch"]

MAX_DISTINCT = 5_000
"""Distinct values counted per path; a path with more has no closed vocabulary."""
MAX_KEPT = 400_000
"""Distinct values counted over all paths."""
MAX_PATHS = 2_000
MAX_LABEL_CHARS = 200
"""Longer texts are never labels: counted, not kept."""
_COPY_CHECKS = 20_000
"""Rows whose values are looked for in the input; a rate from so many has a standard error below .4 points."""


@dataclass(slots=True)
class PathSketch:
    """What was seen under one dotted name.

    Attributes
    ----------
    n_seen
        Rows that hold the key, null among them.
    n_null, n_string, n_number, n_boolean, n_list, n_other
        By type; `n_other` counts objects and lists of lists or objects.
    values
        Count per distinct string, number or boolean, as (type letter, value): ``("s", "billing")``.
    items
        Count per distinct item of lists.
    n_long
        Strings too long to be labels.
    is_open
        Whether there were more distinct values than are counted.
    n_checked, n_copied, n_control
        Values looked for in their own input; found there; found in the input before (by chance, or because
        the inputs list the possible answers).
    copied
        Per value: how often looked for and how often found.
    """

    n_seen: int = 0
    n_null: int = 0
    n_string: int = 0
    n_number: int = 0
    n_boolean: int = 0
    n_list: int = 0
    n_other: int = 0
    values: Counter[tuple[str, Any]] = field(default_factory=Counter)
    items: Counter[Any] = field(default_factory=Counter)
    n_long: int = 0
    is_open: bool = False
    n_checked: int = 0
    n_copied: int = 0
    n_control: int = 0
    copied: dict[tuple[str, Any], list[int]] = field(default_factory=dict)

    @property
    def n_values(self) -> int:
        """Rows with a value that is not null."""
        return self.n_seen - self.n_null


def value_in_text(value: Any, text: str) -> bool:
    """Whether a string or number stands in `text`."""
    if isinstance(value, str):
        return stands_in(value, text)
    return any(number.value == value for number in find_numbers(text))


class OutputSketch:
    """Fed one answer at a time by :meth:`add`.

    Attributes
    ----------
    paths
        Per dotted name of objects.
    plain
        For answers that are no objects.
    n_objects, n_plain, n_rows
        How many of each; an answer that is null counts as plain.
    """

    def __init__(self) -> None:
        self.paths: dict[str, PathSketch] = {}
        self.plain = PathSketch()
        self.n_rows = self.n_objects = self.n_plain = 0
        self._n_kept = 0
        self._before = ""

    def add(self, raw: Any, text: str) -> None:
        """Count one answer; `text` is all of its input."""
        if raw is ABSENT or raw is UNKNOWN:
            return
        self.n_rows += 1
        record = raw
        if isinstance(raw, str):
            record = read_json_text(raw)
        if isinstance(record, Mapping):
            self.n_objects += 1
            is_checked = self.n_objects <= _COPY_CHECKS
            for name, value in flatten(record).items():
                sketch = self.paths.get(name)
                if sketch is None:
                    if len(self.paths) >= MAX_PATHS:
                        continue
                    sketch = self.paths[name] = PathSketch()
                self._count(sketch, value, text if is_checked else None)
        else:
            self.n_plain += 1
            value = record if isinstance(record, list) else raw
            self._count(self.plain, value, text if self.n_plain <= _COPY_CHECKS else None)
        self._before = text if self.n_rows <= _COPY_CHECKS else ""

    def _count(self, sketch: PathSketch, value: Any, text: str | None) -> None:
        sketch.n_seen += 1
        if value is None:
            sketch.n_null += 1
        elif isinstance(value, bool):
            sketch.n_boolean += 1
            self._keep(sketch, ("b", value))
        elif isinstance(value, str):
            sketch.n_string += 1
            self._keep_text(sketch, value, text)
        elif isinstance(value, int | float):
            sketch.n_number += 1
            self._keep(sketch, ("n", value))
            self._check_copy(sketch, ("n", value), text)
        elif isinstance(value, list | tuple) and not any(isinstance(item, list | dict) for item in value):
            sketch.n_list += 1
            for item in value:
                if item in sketch.items or len(sketch.items) < MAX_DISTINCT:
                    sketch.items[item] += 1
                else:
                    sketch.is_open = True
        else:
            sketch.n_other += 1

    def _keep_text(self, sketch: PathSketch, value: str, text: str | None) -> None:
        key = ("s", value.strip())
        if len(value) > MAX_LABEL_CHARS:
            sketch.n_long += 1
        else:
            self._keep(sketch, key)
        self._check_copy(sketch, key, text)

    def _keep(self, sketch: PathSketch, key: tuple[str, Any]) -> None:
        if key in sketch.values:
            sketch.values[key] += 1
        elif len(sketch.values) < MAX_DISTINCT and self._n_kept < MAX_KEPT:
            sketch.values[key] = 1
            self._n_kept += 1
        else:
            sketch.is_open = True

    def _check_copy(self, sketch: PathSketch, key: tuple[str, Any], text: str | None) -> None:
        if text is None or (key[0] == "s" and (not key[1] or len(key[1]) > 2000)):
            return
        is_copied = value_in_text(key[1], text)
        sketch.n_checked += 1
        sketch.n_copied += is_copied
        sketch.n_control += value_in_text(key[1], self._before) if self._before else 0
        if key in sketch.values:
            tally = sketch.copied.setdefault(key, [0, 0])
            tally[0] += 1
            tally[1] += is_copied
