"""Tells requests of several kinds apart by how they begin: by shared example turns, and by shared beginnings of
the last user message.

A beginning ends where a template would end: at a line's end, or after a colon; where a message has neither, after
its first six words. A group is divided only if nearly all of it falls into two or more large parts, so that what
a kind is called does not change when a log grows by a few odd requests. Everything counts different requests, not
calls: a log that holds each call twice is divided like one that holds it once.

It does not know what a text means: inputs that begin with one of a few long fixed lines look like several kinds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from understudy.calls.known_request import Message

__all__ = ["MIN_SHARED", "divide_by_beginning", "divide_by_turns", "find_beginnings", "unix_lines"]

MIN_SHARED = 20
"""Different requests that make a shared beginning."""

_COVERED = 0.9
_MIN_WORDS = 3
"""Words of a line that may divide a group: "Channel: email" is a part of an input, not an instruction."""
_FIRST_WORDS = re.compile(r"\s*(?:\S+\s+){6}")
_COLON = re.compile(r":(?=\s)|：")
_MAX_HEAD_CHARS = 2_000
_MAX_DEPTH = 100


def unix_lines(text: str) -> str:
    """`text` with line feeds only."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def divide_by_turns(
    turns: Sequence[tuple[Message, ...]], path: tuple[Message, ...] = ()
) -> list[tuple[Message, ...]]:
    """Fixed example turns that divide requests, each a path of question and answer pairs.

    Parameters
    ----------
    turns
        Per request what stands between system messages and last user message.
    path
        What all of them share.

    Returns
    -------
    list
        ``[path]`` if they are not divided.
    """
    at = len(path)
    pairs = Counter(turn[at : at + 2] for turn in turns if len(turn) >= at + 2)
    large = _large(pairs, len(turns))
    if not large:
        return [path]
    found = []
    for pair in large:
        members = [turn for turn in turns if turn[at : at + 2] == pair]
        found += divide_by_turns(members, path + pair) if at < _MAX_DEPTH else [path + pair]
    return found


def _large(counts: Counter[tuple[Message, ...]], n_all: int) -> list[tuple[Message, ...]]:
    large = sorted(key for key, count in counts.items() if count >= MIN_SHARED)
    return large if sum(counts[key] for key in large) >= _COVERED * n_all else []


def find_beginnings(users: Sequence[str]) -> list[str]:
    """Beginnings of requests that nothing else tells apart; requests that share none belong to no kind.

    Parameters
    ----------
    users
        Different user messages, with line feeds only.
    """
    found: list[str] = []
    left = list(users)
    for head in (_line_head, _colon_head, _word_head):
        heads = Counter(start for user in left if (start := head(user)))
        for start in sorted(start for start, count in heads.items() if count >= MIN_SHARED):
            members = [user for user in left if user.startswith(start)]
            found += [start, *(divide_by_beginning(members, start) if head is _line_head else ())]
        left = [user for user in left if not user.startswith(tuple(found))] if found else left
    return sorted(set(found))


def divide_by_beginning(users: Sequence[str], start: str = "", depth: int = 0) -> list[str]:
    """Beginnings longer than `start` that divide requests which all begin with it; empty if nothing does."""
    at = len(start)
    lines = Counter(line for user in users if (line := _line(user, at)) is not None)
    for line, count in lines.most_common(1):
        if count >= max(MIN_SHARED, _COVERED * len(users)) and depth < _MAX_DEPTH:
            return _inside(users, start, line, depth)
    large = {line for line, count in lines.items() if count >= MIN_SHARED and _own_words(line) >= _MIN_WORDS}
    rest = Counter(
        head for user in users if _line(user, at) not in large and (head := _colon_head(user, at)) is not None
    )
    heads = {head for head, count in rest.items() if count >= MIN_SHARED and _own_words(head) >= _MIN_WORDS}
    n_covered = sum(lines[line] for line in large) + sum(rest[head] for head in heads)
    if len(large) + len(heads) < 2 or n_covered < _COVERED * len(users):
        return []
    deeper = [more for line in sorted(large) for more in _inside(users, start, line, depth)]
    return sorted({start + head for head in large | heads} | set(deeper))


def _inside(users: Sequence[str], start: str, line: str, depth: int) -> list[str]:
    own = [user for user in users if user.startswith(line, len(start))]
    return divide_by_beginning(own, start + line, depth + 1) if depth < _MAX_DEPTH else []


def _own_words(line: str) -> int:
    """Words of a line, those before a colon left out where something stands after it."""
    before, colon, after = line.partition(": ")
    return len((after if colon and after.strip() else before).split())


def _line(text: str, at: int) -> str | None:
    end = text.find("\n", at, at + _MAX_HEAD_CHARS)
    return None if end < 0 else text[at : end + 1]


def _line_head(text: str) -> str | None:
    line = _line(text, 0)
    if line is None:
        return None
    is_label = ": " in line and _own_words(line) < _MIN_WORDS
    return None if is_label or (len(line.split()) < 2 and not line.rstrip().endswith(":")) else line


def _colon_head(text: str, at: int = 0) -> str | None:
    end = text.find("\n", at)
    colon = _COLON.search(text, at, min(len(text) if end < 0 else end + 1, at + _MAX_HEAD_CHARS))
    return text[at : colon.end()] if colon else None


def _word_head(text: str) -> str | None:
    found = _FIRST_WORDS.match(text[:_MAX_HEAD_CHARS])
    return found[0].rstrip() if found else None
