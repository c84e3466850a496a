"""Numbers as people write them in messages: find them, and turn them into floats.

Knows digits, signs, thousands and decimal marks of both habits (``1,234.50`` and ``1.234,50``), currency
marks before or after, and the magnitude words 千, 万 and k. Does not know numbers in words ("twelve"),
fractions, dates, or which of the two habits a writer has: a lone ``1,234`` is read as one thousand two
hundred and thirty-four, ``12,5`` as twelve and a half.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["FoundNumber", "find_numbers", "locate_number", "locate_numbers", "parse_number", "tidy_number"]

_DIGITS = r"\d+(?:[.,'’\u00a0\u202f ]\d+)*"
_CURRENCY = (
    r"(?:[¥$€£₹₩]|(?<![A-Za-z])(?:AUD|CAD|CHF|CNY|EUR|GBP|HKD|INR|JPY|RMB|SGD|USD|US\$|ZAR|Rs\.?|R(?=\d)))"
)
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w.,])[-+−–])?"
    rf"(?:{_CURRENCY}[ \u00a0]?(?P<sign2>[-−])?|(?<![A-Za-z_\d])(?<![A-Za-z_][-−–]))"
    rf"(?P<digits>{_DIGITS}|[.,]\d+)"
    r"(?P<scale>[kK千万萬](?![a-zA-Z]))?"
)
_SCALES = {"k": 1e3, "千": 1e3, "万": 1e4, "萬": 1e4}
_SPACES = "'’\u00a0\u202f "
_MAX_DIGITS = 300


@dataclass(frozen=True, slots=True)
class FoundNumber:
    """A number in a text: `text[start:end]` are its digits (with sign, without currency)."""

    start: int
    end: int
    value: float


def parse_number(text: str) -> float | None:
    """The number that `text` names, or ``None`` if it holds none, or more than one.

    Currency marks, units, words and punctuation around the number are ignored.
    """
    found = find_numbers(text)
    return found[0].value if len(found) == 1 else None


def tidy_number(value: float | None) -> int | float | None:
    """A whole number as ``int``, as JSON writers put it (39, not 39.0); others as they are."""
    if value is None or not value.is_integer() or abs(value) >= 2**53:
        return value
    return int(value)


def find_numbers(text: str) -> list[FoundNumber]:
    """All numbers in `text`, from left to right.

    Full-width digits count as digits. A group of digits that fits no writing habit (``12.34.56``) is read as
    its separate numbers.
    """
    folded = _fold(text)
    out: list[FoundNumber] = []
    for match in _NUMBER.finditer(folded):
        start, end = match.span("digits")
        digits = match["digits"]
        pieces = [(digits, start)] if _value(digits) is not None else _pieces(digits, start)
        for at, (piece, first) in enumerate(pieces):
            begin = first
            value = _value(piece)
            if value is None:
                continue
            stop = begin + len(piece)
            if at == 0 and (match["sign"] or match["sign2"]):
                sign = match["sign"] or match["sign2"]
                value = value if sign == "+" else -value
                if match["sign"] and match.end("sign") == begin:
                    begin = match.start("sign")
            if match["scale"] and stop == end:
                value *= _SCALES[match["scale"].lower()]
                stop = match.end("scale")
            out.append(FoundNumber(begin, stop, value))
    return out


def locate_number(value: float, parts: Sequence[str]) -> tuple[int, int, int] | None:
    """Part, start and end of the first number in `parts` that equals `value`, or ``None``."""
    places = locate_numbers(value, parts)
    return places[0] if places else None


def locate_numbers(value: float, parts: Sequence[str]) -> list[tuple[int, int, int]]:
    """Part, start and end of every number in `parts` that equals `value` (to 1e-9 relative), in reading
    order.
    """
    slack = 1e-9 * max(1.0, abs(value))
    return [
        (at, found.start, found.end)
        for at, part in enumerate(parts)
        for found in find_numbers(part)
        if abs(found.value - value) <= slack
    ]


def _fold(text: str) -> str:
    """Full-width forms made plain, one character for one, so that positions stay."""
    if text.isascii():
        return text
    return "".join(_fold_one(char) for char in text)


def _fold_one(char: str) -> str:
    if char.isascii():
        return char
    plain = unicodedata.normalize("NFKC", char)
    # Superscripts and circled digits are marks, not digits of a number.
    if len(plain) == 1 and plain.isascii() and "FULLWIDTH" in unicodedata.name(char, ""):
        # A full-width comma ends a clause in Chinese; as a mark inside a number nobody types it.
        return " " if plain == "," else plain
    return " " if char.isdigit() and not char.isdecimal() else char


def _pieces(digits: str, start: int) -> list[tuple[str, int]]:
    """The numbers in a run that is not one number: first cut at spaces, then at every mark."""
    out: list[tuple[str, int]] = []
    for word in re.finditer(rf"[^{_SPACES}]+", digits):
        if _value(word[0]) is not None:
            out.append((word[0], start + word.start()))
        else:
            out += [(part[0], start + word.start() + part.start()) for part in re.finditer(r"\d+", word[0])]
    return out


def _value(digits: str) -> float | None:
    """The value of digits with marks, or ``None`` where the marks fit no habit."""
    if len(digits) > _MAX_DIGITS:
        return None
    body = digits
    for mark in _SPACES:
        if mark in body:
            if not re.fullmatch(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+(?:[.,]\d+)?", body):
                return None
            body = body.replace(mark, "")
    points, commas = body.count("."), body.count(",")
    if points and commas:
        decimal = "." if body.rfind(".") > body.rfind(",") else ","
        thousands = "," if decimal == "." else "."
        head, _, tail = body.rpartition(decimal)
        if body.count(decimal) > 1 or not _is_grouped(head, thousands) or thousands in tail:
            return None
        return float(f"{head.replace(thousands, '')}.{tail}")
    if points > 1 or commas > 1:
        mark = "." if points else ","
        return float(body.replace(mark, "")) if _is_grouped(body, mark) else None
    if commas:
        head, _, tail = body.partition(",")
        if len(tail) == 3 and 1 <= len(head) <= 3 and head != "0":
            return float(head + tail)
        return float(f"{head or '0'}.{tail}")
    return float(body)


def _is_grouped(body: str, mark: str) -> bool:
    return re.fullmatch(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+", body) is not None
