"""Texts brought to one form: for comparing inputs, for finding a value in a text.

Knows nothing of tasks or models. Nothing here changes what a student is given to read; these forms are keys.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

__all__ = ["compact_text", "input_key", "normalise_text", "stands_in", "text_of_part"]

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
"""Soft hyphens, zero-width characters, marks of writing direction: unseen, hence no difference between
inputs."""


def compact_text(text: str) -> str:
    """NFKC with white space folded to single spaces; case counts."""
    if text.isascii():
        return " ".join(text.split())
    return " ".join(unicodedata.normalize("NFKC", text).split())


def normalise_text(text: str) -> str:
    """The form in which inputs count as the same: NFKC, no invisible characters, case and space folded."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
    return " ".join(folded.split())


def input_key(parts: Sequence[str]) -> int:
    """64 bits that stand for an input after :func:`normalise_text`; the same in every process.

    By the birthday bound, the chance that any two of 1e6 different inputs share a key is below 3e-8.
    """
    joined = "\x1f".join(normalise_text(part) for part in parts)
    digest = hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def stands_in(value: str, text: str) -> bool:
    """Whether `value` stands in `text` as whole words, up to case, white space and Unicode form."""
    needle = normalise_text(value)
    if not needle:
        return False
    hay = normalise_text(text)
    at = hay.find(needle)
    while at >= 0:
        end = at + len(needle)
        if _is_edge(hay, at, needle[0]) and (end == len(hay) or _is_edge(hay, end, hay[end], needle[-1])):
            return True
        at = hay.find(needle, at + 1)
    return False


def _is_edge(text: str, at: int, after: str, before: str | None = None) -> bool:
    """Whether a word may begin (or end) at `at`: not between two letters or digits of a spaced script."""
    left = before if before is not None else (text[at - 1] if at else " ")
    return not (left.isalnum() and after.isalnum() and ord(left) < 0x2E80 and ord(after) < 0x2E80)


def text_of_part(value: Any) -> str | None:
    """A record's part as text: lists of texts by lines, numbers as JSON writes them, null as the empty text.

    Returns ``None`` for what has no plain text form (objects, lists of other things).
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return None
