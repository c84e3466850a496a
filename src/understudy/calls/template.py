"""Tells the fixed part of chat requests from the input.

The leading system (developer) messages, and the example turns that all requests share, are the template.
If the last user messages share a fixed beginning or end ("Classify this message: ..."), that is template too
and is cut off, at the boundary of a line or after a colon, never inside a sentence that happens to recur.

Decided once, from the first calls of a log; a later call that does not fit keeps its whole message as input
and is counted. It does not know the task: a log of several tasks shows as several templates.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from understudy.calls.changing import steady
from understudy.calls.known_request import KnownRequest, Message, count_system, joined_input

__all__ = ["SAMPLE_CALLS", "RequestTemplate", "find_template"]

SAMPLE_CALLS = 256
"""Calls from which a template is found."""

_MIN_DIFFERENT = 5
_COLON = re.compile(r"(?::\s+|：\s*)[\"'`<\[(]*")
_LABEL_LINE = re.compile(r"^([^\W\d_][^\n:：]{0,40})[:：]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """What requests share.

    Attributes
    ----------
    n_turns
        Messages after the system messages that are the same in all requests (few-shot examples).
    prefix, suffix
        What every last user message starts and ends with.
    """

    n_turns: int = 0
    prefix: str = ""
    suffix: str = ""

    def cut(
        self, messages: Sequence[Message], output_format: str | None = None
    ) -> tuple[str, KnownRequest, bool]:
        """The input, the request's fixed part, and whether the request fits the template."""
        fixed_end = min(count_system(messages) + self.n_turns, len(messages) - 1)
        fixed, rest = tuple(messages[:fixed_end]), messages[fixed_end:]
        user = rest[-1][1]
        known = KnownRequest(fixed, self.prefix, self.suffix, output_format)
        body = known.body_of(user)
        fits = body is not None
        if body is None:
            known, body = KnownRequest(fixed, output_format=output_format), user
        return joined_input(rest[:-1], body), known, fits


def find_template(requests: Sequence[Sequence[Message]]) -> RequestTemplate:
    """The template of a sample of requests (up to and with the last user message)."""
    # Versions of a system prompt may differ; what follows is compared within the commonest one.
    starts = [_head(request) for request in requests]
    if not starts:
        return RequestTemplate()
    head = Counter(starts).most_common(1)[0][0]
    alike = [request for request, start in zip(requests, starts, strict=True) if start == head]
    n_turns = _shared_turns([request[len(head) : -1] for request in alike])
    users = sorted({request[-1][1] for request in alike})
    if len(users) < _MIN_DIFFERENT:
        return RequestTemplate(n_turns)
    suffix = _cut_suffix(_shared_start([user[::-1] for user in users])[::-1])
    # Without the suffix: its labels ("Answer:") say nothing about the input's parts.
    bodies = [user[: len(user) - len(suffix)] for user in users]
    prefix = _cut_prefix(_shared_start(bodies), bodies)
    if any(not user[len(prefix) : len(user) - len(suffix)].strip() for user in users):
        return RequestTemplate(n_turns)
    return RequestTemplate(n_turns, prefix, suffix)


def _head(request: Sequence[Message]) -> tuple[Message, ...]:
    """The system messages, whatever day it was."""
    return tuple((role, steady(text)) for role, text in request[: count_system(request)])


def _shared_turns(turns: Sequence[Sequence[Message]]) -> int:
    shared = 0
    shortest = min((len(turn) for turn in turns), default=0)
    # One request cannot tell fixed examples from an earlier conversation.
    while len(turns) > 1 and shared < shortest and len({turn[shared] for turn in turns}) == 1:
        shared += 1
    return shared - shared % 2  # Examples come in pairs of question and answer.


def _shared_start(texts: Sequence[str]) -> str:
    """The longest common beginning: of all, as of the first and the last in order."""
    first, last = min(texts), max(texts)
    length = next(
        (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )
    return first[:length]


def _cut_prefix(shared: str, users: Sequence[str]) -> str:
    line_end = shared.rfind("\n") + 1
    colons = list(_COLON.finditer(shared, line_end))
    if not colons:
        return shared[:line_end]
    # "Premise: ..." before "Hypothesis: ..." names a part of the input; "Message: ..." alone is template.
    labels = set.intersection(*(set(_LABEL_LINE.findall(user[line_end:])) for user in users))
    return shared[:line_end] if len(labels) > 1 else shared[: colons[-1].end()]


def _cut_suffix(shared: str) -> str:
    newline = shared.find("\n")
    if newline >= 0:
        while newline and shared[newline - 1] in "\"'`":  # a quotation mark closed before the line's end
            newline -= 1
        return shared[newline:]
    stripped = shared.strip()
    return shared if stripped and not any(char.isalnum() or char in ".!?。！？" for char in stripped) else ""
