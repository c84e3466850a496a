"""What changes from day to day in a prompt that is otherwise fixed: dates, times, weekdays, UUIDs."""

from __future__ import annotations

import re

__all__ = ["steady"]

_WEEKDAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_CHANGING = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b"
    rf"|\b(?:{_WEEKDAY},?\s+)?(?:{_MONTH}\.?\s+{_DAY}|{_DAY}\s+{_MONTH}\.?),?\s+\d{{4}}\b"
    r"|\b\d{1,2}([./-])\d{1,2}\1\d{4}\b|\b\d{4}([./])\d{1,2}\2\d{1,2}\b"
    r"|\d{4}年\d{1,2}月\d{1,2}日"
    r"|\b\d\d?:\d\d(?::\d\d)?(?:\s?[AaPp]\.?[Mm]\b)?"
    rf"|\b{_WEEKDAY}\b|星期[一二三四五六日天]"
    r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
)

_NEIGHBOURS = re.compile(r"<\.\.\.>(?:[ ,]+<\.\.\.>)+")
"""A date and a time side by side are one, so that "9:05" and "09:05" after a date make no difference."""


def steady(text: str) -> str:
    """The text with every date, time, weekday and UUID replaced by ``<...>``.

    Loses which date it was. Written dates are known in English, Chinese and digits.
    """
    return _NEIGHBOURS.sub("<...>", _CHANGING.sub("<...>", text))
