"""Where a value stands in an input: the training target of everything that copies from the input.

Exact matches first, then matches after NFKC, case and white-space folding; among equals those that begin and
end at word boundaries. Does not know synonyms, spelling mistakes or re-ordered words: a value that is not
copied from the input is not found.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["is_boundary", "is_whole_word", "locate", "locate_all"]

Place = tuple[int, int, int]
"""Part number, start and end (exclusive) in characters of that part."""


def locate(value: str, parts: Sequence[str]) -> Place | None:
    """The best place of `value` in `parts`, or ``None``: the first of :func:`locate_all`."""
    places = locate_all(value, parts)
    return places[0] if places else None


def locate_all(value: str, parts: Sequence[str]) -> list[Place]:
    """All equally good places of `value` in `parts`, in reading order.

    Exact places where there are any, else folded ones; of those, only the ones at word boundaries where there
    are any.
    """
    wanted = value.strip()
    if not wanted:
        return []
    found = [(n, *place) for n, part in enumerate(parts) for place in _exact(wanted, part)]
    if not found:
        folded_value = "".join(_fold(wanted)[0])
        found = [(n, *place) for n, part in enumerate(parts) for place in _folded(folded_value, part)]
    whole = [place for place in found if is_whole_word(parts[place[0]], place[1], place[2])]
    return whole or found


def is_whole_word(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` begins and ends at word boundaries."""
    return is_boundary(text, start) and is_boundary(text, end)


def is_boundary(text: str, at: int) -> bool:
    """Whether no word runs across position `at`; unspaced scripts have a boundary at every character."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    return not (_is_word(before) and _is_word(after))


def _is_word(char: str) -> bool:
    if char.isascii():
        return char.isalnum()
    # Chinese, Japanese, Thai and the like write words without spaces: each character stands alone here.
    return char.isalnum() and unicodedata.category(char) != "Lo"


def _exact(wanted: str, text: str) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    at = text.find(wanted)
    while at >= 0:
        out.append((at, at + len(wanted)))
        at = text.find(wanted, at + 1)
    return out


def _fold(text: str) -> tuple[list[str], list[int]]:
    """Folded characters and, for each, the position in `text` that it comes from."""
    chars: list[str] = []
    origins: list[int] = []
    for at, char in enumerate(text):
        for plain in unicodedata.normalize("NFKC", char).casefold():
            if plain.isspace():
                if chars and chars[-1] == " ":
                    continue
                plain = " "  # noqa: PLW2901  (the fold itself)
            chars.append(plain)
            origins.append(at)
    return chars, origins


def _folded(wanted: str, text: str) -> list[tuple[int, int]]:
    chars, origins = _fold(text)
    return [(origins[a], origins[b - 1] + 1) for a, b in _exact(wanted, "".join(chars))]
