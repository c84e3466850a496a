"""Field types: the typed parts of a task's output, and when two values of a field are equal.

Knows nothing of models. A plain label is a task with one field whose name is ``answer``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from understudy.calls.call import ABSENT
from understudy.errors import ConfigError
from understudy.task.metric import (
    DEFAULT_METRIC,
    SCORED_METRICS,
    TextMetric,
    check_metric,
    metric_words,
    numbers_equal,
    texts_equal,
)
from understudy.text.normalise import compact_text

__all__ = ["FIELD_KINDS", "PLAIN_FIELD", "Field", "FieldKind", "join_path", "split_path", "values_equal"]

FieldKind = Literal["choice", "boolean", "number", "choices", "span", "text"]
FIELD_KINDS: tuple[FieldKind, ...] = ("choice", "boolean", "number", "choices", "span", "text")
PLAIN_FIELD = "answer"
"""Name of the only field of a task whose output is a bare value."""


@dataclass(frozen=True, slots=True)
class Field:
    """One typed part of the output.

    Attributes
    ----------
    name
        Dotted path in the output object (``customer.address.city``); :data:`PLAIN_FIELD` for a bare value.
    kind
        One of :data:`FIELD_KINDS`.
    labels
        The allowed values of ``choice`` and ``choices``; empty for other kinds.
    nullable
        Whether JSON ``null`` is a legal value.
    optional
        Whether the key may be absent. Absent and null are different values.
    required
        Whether a call counts as answered only if this field is answered. ``False`` lets a student leave
        the field out (for example an explanation that the application does not read).
    tolerance
        ``number`` only: two numbers are equal if they differ by at most
        ``tolerance * max(1, |teacher|)``. 0 means exact up to float rounding (1e-9 relative). Also `text` with
        the metric ``numeric``.
    metric
        ``text`` only: when two texts are the same answer. ``exact``; ``normalised`` (after NFKC and white-space
        folding); ``numeric`` (the last numbers in them are equal); ``rouge_l``, ``chrf`` (a score of at least
        `metric_at_least`).
    metric_at_least
        The score for ``rouge_l`` and ``chrf``, above 0 and at most 1; else ``None``.
    holds_json
        ``text`` only: the value is JSON of another shape (a list, objects in a list), kept as its text. No student
        writes it.
    """

    name: str
    kind: FieldKind
    labels: tuple[Any, ...] = ()
    nullable: bool = False
    optional: bool = False
    required: bool = True
    tolerance: float = 0.0
    metric: TextMetric = DEFAULT_METRIC
    metric_at_least: float | None = None
    holds_json: bool = False

    def __post_init__(self) -> None:
        if self.kind not in FIELD_KINDS:
            raise ConfigError(
                f"field {self.name!r} has an unknown kind",
                given=repr(self.kind),
                todo=f"use one of {', '.join(FIELD_KINDS)}",
            )
        if self.kind in ("choice", "choices") and not self.labels:
            raise ConfigError(
                f"field {self.name!r} of kind {self.kind} has no labels",
                todo='list them, for example labels = ["billing", "delivery"]',
            )
        if self.tolerance < 0 or not math.isfinite(self.tolerance):
            raise ConfigError(f"field {self.name!r}: tolerance must be 0 or more", given=repr(self.tolerance))
        check_metric(self.name, self.kind, self.metric, self.metric_at_least, self.tolerance)
        if self.holds_json and self.kind != "text":
            raise ConfigError(f"field {self.name!r} of kind {self.kind}: only texts can hold JSON")

    @property
    def path(self) -> tuple[str, ...]:
        """Keys from the root of the output object to the value."""
        return split_path(self.name)

    def to_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` reads it back."""
        out = asdict(self)
        out["labels"] = list(self.labels)
        # Left out where they say nothing, so that artefacts and fingerprints of other tasks stay as they were.
        for key in ("metric", "metric_at_least", "holds_json"):
            if out[key] == getattr(type(self)(self.name, self.kind, self.labels), key):
                del out[key]
        return out

    @property
    def is_equal_by_score(self) -> bool:
        """Whether equality is a score above a threshold, which is no equivalence relation."""
        return self.metric in SCORED_METRICS or (self.metric == "numeric" and self.tolerance > 0)

    @property
    def equality_words(self) -> str | None:
        """For texts what "equal" means, to follow "a text counts as equal if it ..."; ``None`` for other kinds."""
        if self.kind != "text":
            return None
        return metric_words(self.metric, self.metric_at_least, self.tolerance)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Field:
        """Read the JSON or TOML form; unknown keys are errors."""
        known = set(cls.__dataclass_fields__)
        if unknown := sorted(set(given) - known):
            raise ConfigError(
                f"unknown key in field {given.get('name', '?')!r}",
                given=", ".join(unknown),
                todo=f"known keys: {', '.join(sorted(known))}",
            )
        if missing := {"name", "kind"} - set(given):
            raise ConfigError(
                "a field needs a name and a kind", given=f"without {', '.join(sorted(missing))}"
            )
        return cls(**{**given, "labels": tuple(given.get("labels", ()))})


def join_path(keys: Iterable[str]) -> str:
    """Keys as one dotted name; a dot or backslash inside a key is escaped by a backslash."""
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)


def split_path(name: str) -> tuple[str, ...]:
    """Inverse of :func:`join_path`."""
    if "\\" not in name:
        return tuple(name.split("."))
    keys, key, chars = [], "", iter(name)
    for char in chars:
        if char == ".":
            keys.append(key)
            key = ""
        else:
            key += next(chars, "") if char == "\\" else char
    return (*keys, key)


def values_equal(field: Field, left: Any, right: Any) -> bool:
    """Whether two values of `field` are the same answer.

    Spans are compared after NFKC and white-space folding (case counts), texts by the field's metric (`right` is the
    reference); ``choices`` as sets; numbers within the field's tolerance; ``None`` and ABSENT equal only themselves.
    """
    if left is None or right is None or left is ABSENT or right is ABSENT:
        return left is right
    if field.kind == "number":
        return numbers_equal(float(left), float(right), field.tolerance)
    if field.kind == "choices":
        return set(left) == set(right)
    if field.kind == "text":
        return texts_equal(field.metric, field.metric_at_least, field.tolerance, str(left), str(right))
    if field.kind == "span":
        return compact_text(str(left)) == compact_text(str(right))
    return bool(left == right)
