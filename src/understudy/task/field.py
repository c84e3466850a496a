"""Field types: the typed parts of a task's output, and when two values of a field are equal.

Knows nothing of models. A plain label is a task with one field whose name is ``answer``.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from understudy.calls.call import ABSENT
from understudy.errors import ConfigError

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
        ``tolerance * max(1, |teacher|)``. 0 means exact up to float rounding (1e-9 relative).
    """

    name: str
    kind: FieldKind
    labels: tuple[Any, ...] = ()
    nullable: bool = False
    optional: bool = False
    required: bool = True
    tolerance: float = 0.0

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

    @property
    def path(self) -> tuple[str, ...]:
        """Keys from the root of the output object to the value."""
        return split_path(self.name)

    def to_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` reads it back."""
        out = asdict(self)
        out["labels"] = list(self.labels)
        return out

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


def _normal_text(value: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", value).split())


def values_equal(field: Field, left: Any, right: Any) -> bool:
    """Whether two values of `field` are the same answer.

    Text and spans are compared after NFKC and white-space folding (case counts); ``choices`` as sets; numbers
    within the field's tolerance; ``None`` and ABSENT equal only themselves.
    """
    if left is None or right is None or left is ABSENT or right is ABSENT:
        return left is right
    if field.kind == "number":
        slack = max(field.tolerance, 1e-9) * max(1.0, abs(float(right)))
        return abs(float(left) - float(right)) <= slack
    if field.kind == "choices":
        return set(left) == set(right)
    if field.kind in ("span", "text"):
        return _normal_text(str(left)) == _normal_text(str(right))
    return bool(left == right)
