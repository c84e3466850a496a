"""Recorded answers to typed values: what a teacher wrote, read by the task's schema.

Strict by default: besides the exact value, only white space, quotation marks, a code fence and letter case
are forgiven. ``lenient`` also reads an answer out of a longer text ("Category: card_arrival. This is
because ...") where it is unambiguous. What does not fit is never guessed: it becomes UNKNOWN with a reason.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.task.field import PLAIN_FIELD, Field, join_path
from understudy.task.task import Task
from understudy.text.numbers import find_numbers

__all__ = ["OffSchema", "OutputParser", "ParsedOutput", "flatten", "parse_output", "read_json_text"]

MAX_DEPTH = 8
"""Objects nested deeper are kept as one value."""

_FENCE = re.compile(r"\A\s*```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```\s*\Z", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?\Z")
_QUOTES = "\"'`“”‘’«»「」"
_MEMO_SIZE = 100_000


@dataclass(frozen=True, slots=True)
class OffSchema:
    """An answer that the schema does not allow.

    Attributes
    ----------
    reason
        A short phrase; names the field, never shows the answer.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class ParsedOutput:
    """An answer read field by field.

    Attributes
    ----------
    values
        Per field name the value, or UNKNOWN where it does not fit.
    problems
        Why, one phrase per misfit; empty for an answer in the schema.
    n_extra_keys
        Keys that no field reads. They do not make an answer off-schema, but no student will write them.
    """

    values: dict[str, Any]
    problems: tuple[str, ...] = ()
    n_extra_keys: int = 0


def read_json_text(text: str) -> Any:
    """The object or list written in `text`, bare or in a code fence; ABSENT if there is none.

    Bare numbers, booleans and strings are left alone: ``"5"`` as an answer is the text 5.
    """
    stripped = text.strip()
    if stripped.startswith("```") and (fenced := _FENCE.match(stripped)):
        stripped = fenced.group(1).strip()
    if not stripped or stripped[0] not in "{[":
        return ABSENT
    try:
        return json.loads(stripped, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return ABSENT


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _embedded_object(text: str) -> Any:
    """The only JSON object inside a longer text, or ABSENT."""
    decoder, at = json.JSONDecoder(), text.find("{")
    found: list[Any] = []
    while at >= 0 and len(found) < 2:
        try:
            value, at = decoder.raw_decode(text, at)
            found.append(value)
        except (ValueError, RecursionError):
            at += 1
        at = text.find("{", at)
    return found[0] if len(found) == 1 else ABSENT


def flatten(output: Mapping[str, Any]) -> dict[str, Any]:
    """An object's leaves by dotted name; empty objects vanish (they hold no value).

    ``Task.assemble`` is the inverse, up to empty objects.
    """
    flat: dict[str, Any] = {}
    _flatten_into(flat, output, ())
    return flat


def _flatten_into(flat: dict[str, Any], at: Mapping[str, Any], path: tuple[str, ...]) -> None:
    for key, value in at.items():
        here = (*path, str(key))
        if isinstance(value, Mapping) and len(here) < MAX_DEPTH:
            _flatten_into(flat, value, here)
        else:
            flat[join_path(here)] = value


def fold_label(label: str) -> str:
    """The form in which labels are compared: no outer space, quotes or final full stop; case folded."""
    return " ".join(label.strip().strip(_QUOTES).strip().rstrip(".。").strip(_QUOTES).casefold().split())


class _LabelReader:
    """Finds which of a field's labels a value is."""

    def __init__(self, labels: tuple[Any, ...]) -> None:
        self.exact = {(isinstance(label, bool), label): label for label in labels}
        folded: dict[str, list[str]] = {}
        for label in labels:
            if isinstance(label, str):
                folded.setdefault(fold_label(label), []).append(label)
        self.folded = {key: found[0] for key, found in folded.items() if len(found) == 1}
        # Longest first, so that "card_arrival_late" is not read as "card_arrival".
        names = sorted((re.escape(key) for key in self.folded if key), key=len, reverse=True)
        self.inside = re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)") if names else None

    def read(self, value: Any, lenient: bool) -> Any:
        """The label, or UNKNOWN."""
        try:
            found = self.exact.get((isinstance(value, bool), value), UNKNOWN)
        except TypeError:
            return UNKNOWN
        if found is not UNKNOWN or not isinstance(value, str):
            return found
        if fenced := _FENCE.match(value):
            value = fenced.group(1)
        found = self.folded.get(fold_label(value), UNKNOWN)
        if found is UNKNOWN and lenient and self.inside is not None:
            return self._read_inside(value)
        return found

    def _read_inside(self, text: str) -> Any:
        # First what follows a colon on the first line ("Category: x"), then all of the text.
        first = text.strip().split("\n", 1)[0]
        for part in (first.partition(":")[2], first, text):
            named = self.folded.get(fold_label(part), UNKNOWN)
            if named is not UNKNOWN:
                return named
            found = set(self.inside.findall(part.casefold())) if self.inside else set()
            if len(found) == 1:
                return self.folded[found.pop()]
            if found:
                return UNKNOWN
        return UNKNOWN


class OutputParser:
    """Reads answers of one task; build once, use for many.

    Parameters
    ----------
    task
        The schema.
    lenient
        Whether an answer may be read out of a longer text.
    """

    def __init__(self, task: Task, *, lenient: bool = False) -> None:
        self.task, self.lenient = task, lenient
        self._labels = {field.name: _LabelReader(field.labels) for field in task.fields if field.labels}
        self._names = {field.name for field in task.fields}
        self._memo: dict[str, ParsedOutput] = {}

    def parse(self, raw: Any) -> ParsedOutput:
        """Read one answer, field by field."""
        if self.task.is_plain and isinstance(raw, str):
            known = self._memo.get(raw)
            if known is None:
                known = self._parse_plain(raw)
                if len(self._memo) < _MEMO_SIZE:
                    self._memo[raw] = known
            return known
        return self._parse_plain(raw) if self.task.is_plain else self._parse_object(raw)

    def _unknown(self, reason: str) -> ParsedOutput:
        return ParsedOutput(dict.fromkeys(self._names, UNKNOWN), (reason,))

    def _parse_plain(self, raw: Any) -> ParsedOutput:
        field = self.task.fields[0]
        if raw is ABSENT or raw is UNKNOWN:
            return self._unknown("no answer recorded")
        if isinstance(raw, str) and field.kind == "choices":
            listed = read_json_text(raw)
            raw = raw if listed is ABSENT else listed
        if isinstance(raw, Mapping) and PLAIN_FIELD in raw and len(raw) == 1:
            raw = raw[PLAIN_FIELD]
        value = self._value(field, raw)
        if isinstance(value, OffSchema):
            return self._unknown(value.reason)
        return ParsedOutput({field.name: value})

    def _parse_object(self, raw: Any) -> ParsedOutput:
        if raw is ABSENT or raw is UNKNOWN:
            return self._unknown("no answer recorded")
        if isinstance(raw, str):
            found = read_json_text(raw)
            raw = _embedded_object(raw) if found is ABSENT and self.lenient else found
        if not isinstance(raw, Mapping):
            return self._unknown("not a JSON object")
        values: dict[str, Any] = {}
        problems = []
        n_read = 0
        for field in self.task.fields:
            given, is_own = _at_path(raw, field.path)
            n_read += is_own
            value = self._value(field, given)
            if isinstance(value, OffSchema):
                problems.append(value.reason)
                value = UNKNOWN
            values[field.name] = value
        n_extra = 0 if n_read == len(raw) else sum(name not in self._names for name in flatten(raw))
        return ParsedOutput(values, tuple(problems), n_extra)

    def _value(self, field: Field, raw: Any) -> Any:
        if raw is ABSENT:
            return ABSENT if field.optional else OffSchema(f"{field.name}: missing")
        if raw is None:
            return None if field.nullable else OffSchema(f"{field.name}: null")
        value = getattr(self, f"_{field.kind}")(field, raw)
        if value is UNKNOWN:
            return OffSchema(f"{field.name}: {_MISFITS[field.kind]}")
        return value

    def _choice(self, field: Field, raw: Any) -> Any:
        return self._labels[field.name].read(raw, self.lenient)

    def _choices(self, field: Field, raw: Any) -> Any:
        if isinstance(raw, str) and self.lenient:
            raw = [part for part in re.split(r"[,;\n、，；]", raw) if part.strip()]
        if not isinstance(raw, list | tuple):
            return UNKNOWN
        reader = self._labels[field.name]
        found = [reader.read(item, self.lenient) for item in raw]
        if any(item is UNKNOWN for item in found):
            return UNKNOWN
        return tuple(label for label in field.labels if any(_same(label, item) for item in found))

    def _boolean(self, _field: Field, raw: Any) -> Any:
        if isinstance(raw, bool):
            return raw
        word = fold_label(raw) if isinstance(raw, str) else ""
        if word in ("true", "false"):
            return word == "true"
        if self.lenient and word in ("yes", "no"):
            return word == "yes"
        return UNKNOWN

    def _number(self, _field: Field, raw: Any) -> Any:
        if isinstance(raw, str):
            text = raw.strip().strip(_QUOTES)
            if _NUMBER.match(text):
                value = float(text)
                return (
                    (int(value) if value.is_integer() and "." not in text else value)
                    if math.isfinite(value)
                    else UNKNOWN
                )
            found = find_numbers(text) if self.lenient else []
            return found[0].value if len(found) == 1 else UNKNOWN
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            return UNKNOWN
        try:
            return raw if math.isfinite(raw) else UNKNOWN
        except OverflowError:  # an integer beyond the range of floats
            return UNKNOWN

    def _span(self, _field: Field, raw: Any) -> Any:
        if isinstance(raw, str):
            return raw.strip() or UNKNOWN
        if self.lenient and isinstance(raw, int | float) and not isinstance(raw, bool):
            return str(raw)
        return UNKNOWN

    def _text(self, _field: Field, raw: Any) -> Any:
        return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)


_MISFITS = {
    "boolean": "not true or false",
    "choice": "not one of the labels",
    "choices": "not a list of the labels",
    "number": "not a number",
    "span": "not a text",
    "text": "not a text",
}


def _same(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _at_path(raw: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Any, bool]:
    """The value, and whether it is the whole of one top key (so that counting keys shows extras).

    Where an object on the way is null, so is the value: the loss is that ``{"a": null}`` and
    ``{"a": {"b": null}}`` read the same.
    """
    at: Any = raw
    for key in path:
        if at is None:
            return None, False
        if not isinstance(at, Mapping) or key not in at:
            return ABSENT, False
        at = at[key]
    return at, len(path) == 1


def parse_output(task: Task, raw: Any, *, lenient: bool = False) -> dict[str, Any] | OffSchema:
    """Read one answer: a value per field, or why it is off-schema.

    For many answers build one :class:`OutputParser`, which also tells fields that fit from those that do not.
    """
    parsed = OutputParser(task, lenient=lenient).parse(raw)
    return OffSchema("; ".join(parsed.problems)) if parsed.problems else parsed.values
