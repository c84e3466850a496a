"""Masks personal data and secrets in texts before they are kept, by their form alone.

Found: e-mail addresses, IBANs, payment card numbers (with a right check digit), phone numbers, runs of nine or
more digits, bearer tokens and API keys of common forms. **Not** seen: names, postal addresses, dates of birth,
passwords, identifiers with few digits, anything spelt out, numbers that are JSON numbers rather than text, and
names of JSON keys. A number that is none of these may be taken for one. It lowers a risk; it makes nothing
anonymous.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

__all__ = ["mask_json", "mask_text"]

_KEY: Final = re.compile(
    r"""(?ix)
    \b(?: sk|pk|rk )[-_][a-z0-9_-]{8,}                  # OpenAI, Anthropic, Stripe
    | \bgh[pousr]_[a-z0-9]{16,} | \bgithub_pat_[a-z0-9_]{16,}
    | \bglpat-[a-z0-9_-]{16,} | \bhf_[a-z0-9]{16,} | \bxox[abeoprs]-[a-z0-9-]{8,}
    | \bAKIA[0-9A-Z]{16}\b | \bAIza[a-z0-9_-]{30,}
    | \beyJ[a-z0-9_-]{8,}\.[a-z0-9_-]{8,}(?:\.[a-z0-9_-]*)?   # JSON web token
    """
)
_BEARER: Final = re.compile(r"(?i)\b(bearer\s{1,8})[a-z0-9._~+/=-]{8,}")
# Bounded repeats: unbounded ones around the @ take quadratic time on a long text without one.
_EMAIL: Final = re.compile(r"(?<![\w.+%'-])[\w.+%'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN: Final = re.compile(r"(?i)\b[a-z]{2}[0-9]{2}(?:[ ]?[a-z0-9]{4}){2,7}(?:[ ]?[a-z0-9]{1,3})?\b")
_DIGITS: Final = re.compile(r"(?<![0-9])[+(]{0,2}[0-9](?:[ ./()-]{0,3}[0-9]){6,30}")
_RUN: Final = re.compile(r"[0-9]{9,}")
_DIGIT: Final = re.compile(r"[0-9]")
_BREAK: Final = re.compile(r"(?<=\w)(?=[ ./()-])")
# A date with a time after it has as many digits in groups as a phone number.
_DATE: Final = re.compile(
    r"(?:[0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}|[0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{4})(?![0-9])"
)
_MOST_PASSES = 50


def mask_text(text: str) -> str:
    """Replace what is found by ``[key]``, ``[email]``, ``[iban]``, ``[card]``, ``[phone]`` or ``[number]``.

    Masking what was masked changes nothing. The module's docstring says what is not seen.
    """
    # A replacement may bring together what was apart. Every replacement takes away digits, an @ or a key and
    # brings none, so this ends; the limit is for the time that a text made on purpose may take.
    for _ in range(_MOST_PASSES):
        masked = _mask_once(text)
        if masked == text:
            break
        text = masked
    return text


def _mask_once(text: str) -> str:
    text = _BEARER.sub(r"\1[key]", text)
    text = _KEY.sub("[key]", text)
    text = _EMAIL.sub("[email]", text)
    text = _IBAN.sub(lambda found: _mask_prefix(found[0], _is_iban, "[iban]"), text)
    text = _DIGITS.sub(lambda found: _mask_digits(found[0]), text)
    return _RUN.sub("[number]", text)


def _mask_prefix(text: str, is_right: Callable[[str], bool], name: str) -> str:
    """Replace the longest part that is right and ends with a group: what follows a number may look like it."""
    ends = [len(text), *(found.start() for found in reversed(list(_BREAK.finditer(text))))]
    end = next((end for end in ends if is_right(text[:end])), 0)
    return name + text[end:] if end else text


def _is_iban(text: str) -> bool:
    """Check digits as in ISO 13616: the number, rearranged, is 1 modulo 97."""
    plain = text.replace(" ", "").upper()
    if not plain.isascii() or not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """13 to 19 digits with a right check digit (Luhn, ISO/IEC 7812-1)."""
    digits = "".join(_DIGIT.findall(text))
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _mask_digits(text: str) -> str:
    masked = _mask_prefix(text, _is_card, "[card]")
    if masked != text:
        return masked
    return "[phone]" if _is_phone(text) else text


def _is_phone(text: str) -> bool:
    """A guess: 7 to 15 digits (the most of ITU-T E.164) after a +, or 9 to 15 in groups or after a 0."""
    n_digits = len(_DIGIT.findall(text))
    if n_digits > 15 or _DATE.match(text):
        return False
    if text.startswith(("+", "(+")):
        return True
    return n_digits >= 9 and (n_digits < len(text) or text.startswith("0"))


def mask_json(value: Any) -> Any:
    """A copy of a JSON value with every text in it masked; keys, numbers and the order stay.

    A text that is itself a JSON object or array, such as a tool call's arguments, is masked inside and stays
    JSON.
    """
    if isinstance(value, str):
        return _mask_string(value)
    if not isinstance(value, dict | list | tuple):
        return value
    # A stack rather than recursion: a request may be nested deeper than Python's own limit.
    top: list[Any] = [value]
    todo: list[Any] = [top]
    while todo:
        holder = todo.pop()
        places = list(holder) if isinstance(holder, dict) else range(len(holder))
        for place in places:
            item = holder[place]
            if isinstance(item, str):
                holder[place] = _mask_string(item)
            elif isinstance(item, dict):
                holder[place] = dict(item)
                todo.append(holder[place])
            elif isinstance(item, list | tuple):
                holder[place] = list(item)
                todo.append(holder[place])
    return top[0]


def _mask_string(text: str) -> str:
    if text.lstrip()[:1] in ("{", "["):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return mask_text(text)
        masked = mask_json(inner)
        return text if masked == inner else json.dumps(masked, ensure_ascii=False)
    return mask_text(text)
