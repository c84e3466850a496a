"""The task: instructions, named inputs and typed outputs. What an artefact is for.

Parsing of recorded answers lives in ``parse``, inference from a log in ``infer``, TOML and JSON Schema in
``spec``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.calls.call import ABSENT, InputParts
from understudy.errors import ConfigError, DataError
from understudy.task.field import PLAIN_FIELD, Field
from understudy.text.normalise import text_of_part

__all__ = ["Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """A typed function from an input to an output.

    Attributes
    ----------
    name
        Letters, digits, ``-`` and ``_``.
    fields
        The typed outputs; a bare value has exactly one, named :data:`PLAIN_FIELD`.
    input_names
        Names of the input's texts, in order; empty when the input is one text.
    line_labels
        Where one text holds labelled lines (``Premise: ...``, ``Hypothesis: ...``) the labels by which
        it is cut into parts; empty otherwise.
    instructions
        What the teacher was told, if known.
    """

    name: str
    fields: tuple[Field, ...]
    input_names: tuple[str, ...] = ()
    line_labels: tuple[str, ...] = ()
    instructions: str = ""

    def __post_init__(self) -> None:
        if not self.fields:
            raise ConfigError(f"task {self.name!r} has no fields")
        names = [field.name for field in self.fields]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"task {self.name!r} names a field twice", given=", ".join(twice))

    @property
    def is_plain(self) -> bool:
        """Whether the output is a bare value, not an object."""
        return len(self.fields) == 1 and self.fields[0].name == PLAIN_FIELD

    def parts(self, given: str | Mapping[str, Any]) -> InputParts:
        """The texts of an input, in the task's order.

        Raises
        ------
        DataError
            If a record lacks a named text, or a text is given where a record is needed.
        """
        if isinstance(given, str):
            if self.input_names:
                raise DataError(
                    f"task {self.name!r} takes a record of texts, not one text",
                    todo=f"give an object with the keys {', '.join(self.input_names)}",
                )
            return self._cut_lines(given)
        if not isinstance(given, Mapping):
            raise DataError(
                "an input must be a text or an object of texts", given=f"a {type(given).__name__}"
            )
        names = self.input_names or tuple(given)[:1]
        if missing := [name for name in names if name not in given]:
            raise DataError(
                f"an input of task {self.name!r} lacks {', '.join(missing)}",
                given=f"keys {', '.join(map(str, given)) or '(none)'}",
            )
        if len(names) == 1 and not self.input_names:
            raise DataError(f"task {self.name!r} takes one text, not a record", todo="give a JSON string")
        return tuple(_as_text(given[name]) for name in names)

    def _cut_lines(self, text: str) -> InputParts:
        if not self.line_labels:
            return (text,)
        cuts: list[tuple[int, int]] = []
        at = 0
        for label in self.line_labels:
            marker = f"{label}:"
            found = text.find(marker, at)
            while found > 0 and text[found - 1] != "\n":
                found = text.find(marker, found + 1)
            if found < 0 or (not cuts and text[:found].strip()):
                # A text without the labels still has an answer: all of it becomes the first part.
                return (text,) + ("",) * (len(self.line_labels) - 1)
            cuts.append((found, found + len(marker)))
            at = found + len(marker)
        ends = [start for start, _ in cuts[1:]] + [len(text)]
        return tuple(text[start:end].strip() for (_, start), end in zip(cuts, ends, strict=True))

    def assemble(self, values: Mapping[str, Any]) -> Any:
        """The output in the teacher's shape from a value per field; ABSENT keys are left out."""
        if self.is_plain:
            return values.get(PLAIN_FIELD)
        out: dict[str, Any] = {}
        for field in self.fields:
            value = values.get(field.name, ABSENT)
            if value is ABSENT:
                continue
            at = out
            for key in field.path[:-1]:
                at = at.setdefault(key, {})
            at[field.path[-1]] = value
        return out

    def to_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` reads it back."""
        return {
            "name": self.name,
            "fields": [field.to_dict() for field in self.fields],
            "input_names": list(self.input_names),
            "line_labels": list(self.line_labels),
            "instructions": self.instructions,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Task:
        """Read the JSON form."""
        return cls(
            name=given["name"],
            fields=tuple(Field.from_dict(field) for field in given["fields"]),
            input_names=tuple(given.get("input_names", ())),
            line_labels=tuple(given.get("line_labels", ())),
            instructions=given.get("instructions", ""),
        )


def _as_text(value: Any) -> str:
    text = text_of_part(value)
    if text is None:
        raise DataError(
            "an input's parts must be texts, numbers or lists of texts", given=f"a {type(value).__name__}"
        )
    return text
