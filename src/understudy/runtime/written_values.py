"""From the text of an answer to values in their fields' types, and which of its tokens decided each value."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from understudy.calls.call import ABSENT
from understudy.task.problem import Problem

__all__ = ["ValueSpan", "token_owners", "typed_value", "value_spans"]

_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class ValueSpan:
    """Bytes of one key's value in an object written without blanks.

    Attributes
    ----------
    key
        The key.
    before
        Where the pair begins: after the brace or the value before it.
    first, last
        Where the value begins, and one past what decides it: for a string its closing quote, for others the
        character after the value.
    """

    key: str
    before: int
    first: int
    last: int


def value_spans(text: str) -> list[ValueSpan]:
    """Where the values of an object without blanks stand, in bytes of its UTF-8 form.

    Raises
    ------
    ValueError
        If `text` is not such an object.
    """
    spans: list[ValueSpan] = []
    at = len(text) - len(text.lstrip(" "))
    if text[at : at + 1] != "{":
        raise ValueError("not an object")
    begun = at + 1
    while text[begun : begun + 1] != "}":
        key_at = begun + (text[begun : begun + 1] == ",")
        key, end = _DECODER.raw_decode(text, key_at)
        _, last = _DECODER.raw_decode(text, end + 1)
        after = last if text[end + 1] == '"' else last + 1
        places = [len(text[:place].encode("utf-8", "replace")) for place in (begun, end + 1, after)]
        spans.append(ValueSpan(str(key), *places))
        begun = last
    return spans


def token_owners(pieces: Sequence[bytes], first: int, last: int) -> list[int]:
    """Positions of the tokens (whose bytes are `pieces`) that touch the bytes `first` to `last` - 1."""
    owners, at = [], 0
    for position, piece in enumerate(pieces):
        if at < last and at + len(piece) > first:
            owners.append(position)
        at += len(piece)
    return owners


def typed_value(problem: Problem, given: Any) -> tuple[Any, bool]:
    """A value as JSON has it, in the field's type, and whether it is a legal one."""
    if given is ABSENT or given is None:
        is_legal = any(value is given for value in problem.values)
        return (given, True) if is_legal else (None, False)
    if problem.mode == "classify":
        return _label(problem, given)
    if problem.mode == "multilabel":
        if not isinstance(given, list):
            return None, False
        found = [_label(problem, one) for one in given]
        kept = {json.dumps(value): value for value, _ in found}
        return list(kept.values()), all(is_known for _, is_known in found)
    if problem.mode == "regress" or problem.field.kind == "number":
        is_number = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
        if not is_number:
            return None, False
        # As other students' regressions answer, whether or not a point was written.
        return (float(given) if problem.mode == "regress" else given), True
    return (given, True) if isinstance(given, str) else (None, False)


def _label(problem: Problem, given: Any) -> tuple[Any, bool]:
    """The problem's own value that is written like `given` (True is not 1)."""
    for value in problem.values:
        is_same_kind = isinstance(value, bool) == isinstance(given, bool)
        if is_same_kind and value is not ABSENT and value == given:
            return value, True
    return None, False
