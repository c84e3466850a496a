"""What reading a log met on the way: lines read, lines refused and why, columns seen.

Holds counts, reasons and line numbers, never a user's text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from understudy.calls.changing import steady

__all__ = ["LineRefusedError", "ReadReport", "Refusal"]

_KEPT_PLACES = 5
_KEPT_COLUMNS = 200
_KEPT_TEMPLATES = 10_000


class LineRefusedError(Exception):
    """A line that cannot become a call; its only argument is the reason, a short fixed phrase."""

    @property
    def reason(self) -> str:
        """Why."""
        return str(self.args[0])


@dataclass(slots=True)
class Refusal:
    """Lines refused for one reason.

    Attributes
    ----------
    count
        How many.
    places
        The first few, as ``file:line``.
    """

    count: int = 0
    places: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ReadReport:
    """Filled while a log is read.

    Attributes
    ----------
    n_lines
        Lines (or rows, or array elements) met, blank ones not counted.
    n_calls
        Calls that came out.
    refused
        Per reason.
    notes
        Counts of what was met and handled: ids that came twice, null bytes and the like.
    formats
        Format found, per file name.
    columns
        Keys seen at the top of records, in the order met (the first 200).
    templates
        How many calls came with each fixed request text, dates and ids in it apart; more than one points to
        several tasks in one log.
    """

    n_lines: int = 0
    n_calls: int = 0
    refused: dict[str, Refusal] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    formats: dict[str, str] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    templates: Counter[str] = field(default_factory=Counter)
    _known: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    @property
    def n_refused(self) -> int:
        """Lines refused, all reasons together."""
        return sum(refusal.count for refusal in self.refused.values())

    def refuse(self, reason: str, place: str) -> None:
        """Count one refused line."""
        refusal = self.refused.setdefault(reason, Refusal())
        refusal.count += 1
        if len(refusal.places) < _KEPT_PLACES:
            refusal.places.append(place)

    def see_template(self, fixed: str) -> str:
        """Count a fixed request text; gives back one copy of it, however many calls share it."""
        known = self._known.get(fixed)
        if known is None:
            known = fixed, steady(fixed)
            if len(self._known) < _KEPT_TEMPLATES:
                self._known[fixed] = known
        if len(self.templates) < _KEPT_TEMPLATES or known[1] in self.templates:
            self.templates[known[1]] += 1
        return known[0]

    def see_columns(self, record: dict[str, Any]) -> None:
        """Remember the keys of a record."""
        if len(self.columns) < _KEPT_COLUMNS:
            self.columns.update(dict.fromkeys(record))

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "lines": self.n_lines,
            "calls": self.n_calls,
            "refused": {
                reason: {"count": refusal.count, "first": list(refusal.places)}
                for reason, refusal in sorted(self.refused.items())
            },
            "notes": dict(sorted(self.notes.items())),
            "formats": dict(self.formats),
            "columns": list(self.columns),
            "templates": len(self.templates),
        }
