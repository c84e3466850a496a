"""Tables: sortable, with numbers aligned, small bars in cells, and long ones cut until asked for.

A cell carries its sort value apart from its words, so that "unknown" sorts last and "1.2 ms" as a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.drawing.markup import EMPTY, Html, esc, foreign, tag
from understudy.units import format_bytes, format_count, format_duration, format_share, format_usd

__all__ = [
    "Cell",
    "bar_cell",
    "bytes_cell",
    "count_cell",
    "duration_cell",
    "pairs",
    "share_cell",
    "table",
    "text_cell",
    "unknown",
    "usd_cell",
]

_LONG = 12


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes
    ----------
    shown
        Its markup.
    key
        What to sort by; ``None`` sorts last.
    is_number
        Whether it is aligned to the right.
    span
        How many columns it fills; only the last of a row may fill several.
    reason
        Why it is unknown, said below the table too: paper has no hovering.
    """

    shown: Html
    key: float | str | None
    is_number: bool = False
    span: int = 1
    reason: str | None = None


def unknown(reason: str | None = None) -> Html:
    """The word for a missing measurement, with its reason on hovering."""
    return tag("span", "unknown", cls="unknown", title=reason)


def _number(value: float | None, words: str, reason: str | None) -> Cell:
    if value is None:
        return Cell(unknown(reason), None, is_number=True, reason=reason)
    return Cell(esc(words), value, is_number=True)


def count_cell(value: float | None, reason: str | None = None) -> Cell:
    """A count."""
    return _number(value, format_count(value), reason)


def share_cell(value: float | None, reason: str | None = None) -> Cell:
    """A share as a percentage."""
    return _number(value, format_share(value), reason)


def usd_cell(value: float | None, reason: str | None = None) -> Cell:
    """Dollars."""
    return _number(value, format_usd(value), reason)


def duration_cell(value: float | None, reason: str | None = None) -> Cell:
    """A time."""
    return _number(value, format_duration(value), reason)


def bytes_cell(value: float | None, reason: str | None = None) -> Cell:
    """A size."""
    return _number(value, format_bytes(value), reason)


def bar_cell(value: float | None, reason: str | None = None) -> Cell:
    """A share with a small bar behind it."""
    if value is None:
        return share_cell(None, reason)
    filled = tag("i", style=f"width:{max(0.0, min(1.0, value)) * 100:.1f}%")
    return Cell(
        tag("span", tag("span", filled, cls="meter"), format_share(value), cls="barred"),
        value,
        is_number=True,
    )


def text_cell(value: object, *, is_foreign: bool = False) -> Cell:
    """Words; `is_foreign` for text from a log."""
    words = str(value)
    return Cell(foreign(words) if is_foreign else esc(value), words.casefold())


def table(
    heads: Sequence[str], body: Sequence[Sequence[Cell]], *, caption: str, cls: str = "", most: int = _LONG
) -> Html:
    """A sortable table; rows after the first `most` are folded away until asked for."""
    if not body:
        return EMPTY
    numeric = [_is_numeric([row[at] for row in body if at < len(row)]) for at in range(len(heads))]
    head = tag(
        "thead",
        tag(
            "tr",
            *(
                tag(
                    "th", tag("button", words, type="button"), scope="col", cls="num" if numeric[at] else None
                )
                for at, words in enumerate(heads)
            ),
        ),
    )
    lines = [
        tag(
            "tr",
            *(_cell(cell, is_first=at == 0) for at, cell in enumerate(row)),
            cls="more" if number >= most else None,
        )
        for number, row in enumerate(body)
    ]
    folded = len(body) - most
    button = tag("button", f"Show all {len(body)} rows", type="button", cls="unfold") if folded > 0 else None
    made = tag("table", tag("caption", caption), head, tag("tbody", *lines), cls=f"sortable {cls}".strip())
    return tag(
        "div",
        tag("div", made, cls="scroll"),
        button,
        _reasons(body),
        cls="tablebox folded" if folded > 0 else "tablebox",
    )


def _reasons(body: Sequence[Sequence[Cell]]) -> Html | None:
    found = list(dict.fromkeys(cell.reason for row in body for cell in row if cell.reason))
    return tag("p", f"unknown: {'; '.join(found)}", cls="quiet why-unknown") if found else None


def _is_numeric(column: Sequence[Cell]) -> bool:
    plain = [cell for cell in column if cell.span == 1]
    return bool(plain) and all(cell.is_number for cell in plain)


def _cell(cell: Cell, *, is_first: bool) -> Html:
    key = "" if cell.key is None else (repr(cell.key) if isinstance(cell.key, float | int) else cell.key[:80])
    name = "th" if is_first and not cell.is_number else "td"
    scope = "row" if name == "th" else None
    return tag(
        name,
        cell.shown,
        cls="num" if cell.is_number else None,
        data_key=key,
        scope=scope,
        colspan=cell.span if cell.span > 1 else None,
    )


def pairs(items: Sequence[tuple[str, object]], *, cls: str = "pairs") -> Html:
    """Names and values, one line each."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in items), cls=cls)
