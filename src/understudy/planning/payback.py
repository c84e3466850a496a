"""When the student has earned back what it cost, in months, where volume grows or prices fall.

It reads a comparison over time; it does not know what lies beyond the months compared.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from understudy.economics.comparison import Comparison

__all__ = ["Payback", "duration_words", "payback_of"]

_MOST_MONTHS = 24.0
"""Longer durations are told in years."""


@dataclass(frozen=True, slots=True)
class Payback:
    """Months until one option has cost less than another, and until that ends.

    Attributes
    ----------
    months
        From the start; 0 where it is cheaper at once, ``None`` where not within the months compared.
    until
        From here the other is cheaper again; ``None`` where not within the months compared.
    """

    months: float | None
    until: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def payback_of(found: Comparison, dear: str, cheap: str) -> Payback | None:
    """When `cheap` has cost less than `dear` in all; ``None`` where a cost of either is unknown.

    Parameters
    ----------
    found
        Over months.
    dear, cheap
        Names of options.
    """
    if dear not in found.curves or cheap not in found.curves:
        return None
    places = [one for one in found.crossings if {one.first, one.second} == {dear, cheap}]
    earned = next((one.x for one in places if one.cheaper_after == cheap), None)
    if earned is None:
        lost = next((one.x for one in places), None)
        end = lost if lost is not None else float(found.curves[cheap].x[-1])
        is_cheaper = found.curves[cheap].at(end / 2) < found.curves[dear].at(end / 2)
        return Payback(0.0, lost) if is_cheaper else Payback(None)
    lost = next((one.x for one in places if one.x > earned and one.cheaper_after == dear), None)
    return Payback(earned, lost)


def duration_words(months: float) -> str:
    """Days under a month, years above two."""
    days = months * 365 / 12
    if days < 1:
        return "under a day"
    if months < 1:
        return f"{days:.1f} days"
    return f"{months:.1f} months" if months <= _MOST_MONTHS else f"{months / 12:.1f} years"
