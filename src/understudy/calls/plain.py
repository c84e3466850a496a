"""One flat record (a line of JSON, a row of a table) to one call.

The columns are named by :mod:`understudy.calls.columns`; whatever else a record holds is left out. The output
stays as recorded: types are found later, by the task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from understudy.calls.call import ABSENT, Call, Usage
from understudy.calls.columns import ColumnMap
from understudy.calls.records import Record
from understudy.calls.report import LineRefusedError
from understudy.text.normalise import text_of_part

__all__ = ["MAX_INPUT_CHARS", "call_id", "check_text", "plain_call", "side_facts", "usage_of"]

MAX_INPUT_CHARS = 2_000_000
"""Longer inputs are refused: no student reads them, and one of them would not fit a batch."""


def check_text(text: str) -> str:
    """`text`, if a call may have it as (part of) its input.

    Raises
    ------
    LineRefusedError
        If it is too long, holds a null byte, or half of a surrogate pair (which is no text).
    """
    if len(text) > MAX_INPUT_CHARS:
        raise LineRefusedError("input too long")
    if "\0" in text:
        raise LineRefusedError("null byte")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise LineRefusedError("half a surrogate pair") from error
    return text


def _input(values: Mapping[str, Any], input_names: Sequence[str]) -> str | dict[str, str]:
    if input_names:
        given: Any = {}
        for name in input_names:
            if f"input.{name}" not in values:
                raise LineRefusedError("input lacks a mapped part")
            given[name] = values[f"input.{name}"]
    else:
        given = values.get("input")
    if given is None:
        raise LineRefusedError("no input")
    if isinstance(given, str):
        if not given.strip():
            raise LineRefusedError("empty input")
        return check_text(given)
    if not isinstance(given, Mapping):
        raise LineRefusedError("input is not a text or an object of texts")
    parts = {}
    for name, value in given.items():
        text = text_of_part(value)
        if text is None:
            raise LineRefusedError("input is not a text or an object of texts")
        parts[name] = check_text(text)
    if not any(text.strip() for text in parts.values()):
        raise LineRefusedError("empty input")
    return parts


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None or number < 0 else int(number)


def _amount(value: Any) -> float | None:
    number = _number(value)
    return None if number is None or number < 0 else number


def _time(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value.strip())
        except ValueError:
            value = _number(value)
        else:
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    number = _number(value)
    # Milliseconds since 1970 passed 1e11 in 1973; seconds will in the year 5138.
    return number / 1000 if number is not None and abs(number) > 1e11 else number


def usage_of(given: Any) -> Usage:
    """Tokens from a provider's usage object, under the names of either OpenAI API."""
    if not isinstance(given, Mapping):
        return Usage()
    details = given.get("prompt_tokens_details") or given.get("input_tokens_details") or {}
    cached = given.get(
        "cached_tokens", details.get("cached_tokens") if isinstance(details, Mapping) else None
    )
    return Usage(
        input_tokens=_count(given.get("prompt_tokens", given.get("input_tokens"))),
        output_tokens=_count(given.get("completion_tokens", given.get("output_tokens"))),
        cached_tokens=_count(cached),
    )


def _votes(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Mapping):
        return tuple(value.values())
    return tuple(value) if isinstance(value, list | tuple) else ()


def _probabilities(value: Any) -> dict[str, float] | None:
    if not isinstance(value, Mapping) or not value:
        return None
    numbers = {str(label): _number(share) for label, share in value.items()}
    if any(share is None or not 0 <= share <= 1.0001 for share in numbers.values()):
        return None
    return {label: float(share) for label, share in numbers.items() if share is not None}


def side_facts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Everything of a call but its id, input and output, as keyword arguments of :class:`Call`."""
    facts: dict[str, Any] = {}
    for name, value in values.items():
        read = _READERS.get(name)
        if read is not None and value is not None:
            facts[name] = read(value)
    if "gold" in values:
        facts["gold"] = values["gold"]
    counts = {name: _count(values[name]) for name in _TOKEN_COLUMNS if name in values}
    if counts:
        known = facts.get("usage", Usage())
        facts["usage"] = Usage(**{name: counts.get(name, getattr(known, name)) for name in _TOKEN_COLUMNS})
    return facts


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _split_name(value: Any) -> str | None:
    return value.strip().lower() or None if isinstance(value, str) else None


_TOKEN_COLUMNS = ("input_tokens", "output_tokens", "cached_tokens")
_READERS: dict[str, Callable[[Any], Any]] = {
    "cost_usd": _amount,
    "label_probabilities": _probabilities,
    "latency_ms": _amount,
    "model": _text_or_none,
    "rationale": _text_or_none,
    "split": _split_name,
    "time": _time,
    "usage": usage_of,
    "votes": _votes,
}


def call_id(values: Mapping[str, Any], fallback: str) -> str:
    """The record's own id as text, or `fallback`."""
    value = values.get("id")
    if isinstance(value, str) and value:
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else fallback


def plain_call(record: Record, columns: ColumnMap, fallback_id: str) -> Call:
    """One flat record to one call.

    Raises
    ------
    LineRefusedError
        If the input is missing, empty or not text.
    """
    values = columns.values(record)
    return Call(
        id=call_id(values, fallback_id),
        input=_input(values, columns.input_names),
        output=values.get("output", ABSENT),
        **side_facts(values),
    )
