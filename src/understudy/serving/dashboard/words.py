"""Facts in words, as several parts of the overview show them: sums that say what they leave out, colours, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from understudy.drawing.markup import Html, tag
from understudy.ledger.queries import MoneySum
from understudy.ledger.record import AnsweredBy
from understudy.serving.dashboard.overview import TaskRow
from understudy.units import format_usd

__all__ = ["NANO", "WHO_COLOURS", "compared_answers", "money", "no_value", "overview_address"]

NANO: Final = 1e9
"""Nano-dollars per dollar."""

WHO_COLOURS: Final[Mapping[AnsweredBy, str]] = {
    "student": "accent",
    "upstream": "c1",
    "uncertified": "c2",
    "failed": "c3",
}
"""Style classes by who answered."""


def overview_address(period: str, task: str | None) -> str:
    """The overview of a period and a task."""
    given = {"period": period, **({} if task is None else {"task": task})}
    return f"/dashboard?{urlencode(given)}"


def money(amount: MoneySum) -> tuple[object, str]:
    """A sum for a tile: the amount, and what it leaves out."""
    if not amount.n_known and not amount.n_unknown:
        return tag("span", "none yet", cls="unknown"), ""
    if not amount.n_known:
        return tag("span", "unknown", cls="unknown"), f"for all {amount.n_unknown:,} calls"
    shown = format_usd(amount.known_nanousd / NANO)
    return shown, f"and unknown for {amount.n_unknown:,} calls" if amount.n_unknown else ""


def no_value() -> Html:
    """Stands where nothing can be."""
    return tag("span", "–", cls="unknown")


def compared_answers(row: TaskRow) -> tuple[int, int]:
    """Answers of a task that agree with upstream's, and answers that were compared."""
    # Without the artefact nobody knows which calls it would have deferred: then all comparisons count.
    return (row.totals.n_agreeing, row.totals.n_compared) if row.state is None else row.state.agreement
