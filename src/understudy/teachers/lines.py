"""An input and what its teachers said as one line, in the columns that ``learn`` reads.

``cost_usd`` and ``usage`` are those of one call (of each teacher, where there are several), not of repeats: they
are what the application would pay. The moment of labelling is ``labelled_at`` and not ``time``: by ``time`` calls
are split, and the order of labelling says nothing about traffic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from understudy.calls.call import UNKNOWN
from understudy.teachers.cache import CachedAnswer
from understudy.teachers.inputs import InputLine
from understudy.teachers.prompt import Prompt
from understudy.teachers.tally import usd

__all__ = ["Said", "dump_line", "failed_line", "labelled_line", "line_head"]


@dataclass(frozen=True, slots=True)
class Said:
    """One teacher's answers to one input.

    Attributes
    ----------
    model
        Its name.
    answers
        In order of the repeats, without those that failed.
    """

    model: str
    answers: tuple[CachedAnswer, ...]


def line_head(item: InputLine, split: str | None) -> dict[str, Any]:
    """What a line says about its input."""
    head: dict[str, Any] = {"id": item.id, "input": item.given, **item.carried}
    if split is not None and head.get("split") is None:
        head["split"] = split
    return head


def failed_line(head: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """A line without an answer: nothing is learnt from it."""
    return {**head, "error": ", ".join(dict.fromkeys(words))}


def labelled_line(
    head: Mapping[str, Any], prompt: Prompt, said: Sequence[Said]
) -> tuple[dict[str, Any], list[Any]]:
    """A line with an answer, and the first answer of each teacher (``UNKNOWN`` for none).

    With one teacher the first answer is the output and the others are votes. With several, all answers are votes,
    and the output is the first of them until they are combined.
    """
    read = [[prompt.read(answer.reply.text) for answer in one.answers] for one in said]
    firsts = [one[0][0] if one else UNKNOWN for one in read]
    every = [answer for one in read for answer in one]
    line = {**head, "output": every[0][0]}
    if prompt.has_reason and every[0][1] is not None:
        line["rationale"] = every[0][1]
    votes = [output for output, _ in (every if len(said) > 1 else every[1:])]
    if votes:
        line["votes"] = votes
    return {**line, **_facts(said)}, firsts


def _facts(said: Sequence[Said]) -> dict[str, Any]:
    present = [(one.model, one.answers[0]) for one in said if one.answers]
    costs = [answer.cost_nanousd for _, answer in present]
    usages = [answer.reply.usage for _, answer in present]
    known = [cost for cost in costs if cost is not None]
    at = datetime.fromtimestamp(max(answer.reply.time_s for _, answer in present), UTC)
    return {
        "model": "+".join(model for model, _ in present),
        "usage": {
            name: _sum([getattr(usage, name) for usage in usages])
            for name in ("input_tokens", "output_tokens", "cached_tokens")
        },
        "cost_usd": usd(sum(known)) if len(known) == len(costs) else None,
        # Several teachers are asked at the same time.
        "latency_ms": round(max(answer.reply.latency_ms for _, answer in present), 3),
        "labelled_at": at.isoformat(timespec="milliseconds"),
    }


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def dump_line(line: Mapping[str, Any]) -> bytes:
    """One line of JSON, UTF-8."""
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair in an answer: escaped it is still valid JSON
        return json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n"
