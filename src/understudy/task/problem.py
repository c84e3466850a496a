"""What a student has to do for a field: the field's kind turned into one of five learnable problems.

`classify` (one of a few values, null and absent among them), `multilabel` (a set of values), `point` (copy a
stretch of the input, or null, or absent; numbers that stand in the input are pointed at too), `regress` and
`write` (compose a text).
A problem is what an artefact stores, so that the runtime can turn a student's scores into values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from understudy.calls.call import ABSENT
from understudy.task.field import Field

__all__ = ["MODES", "Problem", "ProblemMode", "decode_value", "encode_value"]

ProblemMode = Literal["classify", "multilabel", "point", "regress", "write"]
MODES: tuple[ProblemMode, ...] = ("classify", "multilabel", "point", "regress", "write")
_ABSENT_JSON = {"absent": True}


@dataclass(frozen=True, slots=True)
class Problem:
    """A learnable problem.

    Attributes
    ----------
    field
        The field it answers.
    mode
        One of :data:`MODES`.
    values
        `classify`: the classes, in the order of the score columns (may hold ``None`` and ABSENT).
        `multilabel`: the labels. `point`: the non-span values that occur (``None`` and/or ABSENT), in the
        order of the score columns that follow the span. `regress`: empty. `write`: the values that are no
        text and occur (``None`` and/or ABSENT).
    """

    field: Field
    mode: ProblemMode
    values: tuple[Any, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` reads it back."""
        return {
            "field": self.field.to_dict(),
            "mode": self.mode,
            "values": [encode_value(value) for value in self.values],
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Problem:
        """Read the JSON form."""
        values: Sequence[Any] = given["values"]
        return cls(
            field=Field.from_dict(given["field"]),
            mode=given["mode"],
            values=tuple(decode_value(value) for value in values),
        )


def encode_value(value: Any) -> Any:
    """A field's value as JSON; ABSENT becomes ``{"absent": true}``."""
    return dict(_ABSENT_JSON) if value is ABSENT else value


def decode_value(value: Any) -> Any:
    """Inverse of :func:`encode_value`."""
    return ABSENT if value == _ABSENT_JSON else value
