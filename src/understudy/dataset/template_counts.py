"""Counts the fixed parts of requests, and finds out which dates and ids in them change from call to call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from understudy.calls.known_request import KnownRequest

__all__ = ["TemplateCounts"]

_MOST: Final = 1_000
_MOST_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Group:
    """Fixed parts that differ in dates, times and ids at most."""

    first: str
    count: int = 0
    has_changed: bool = False


class TemplateCounts:
    """How often each fixed part came; the first 1,000 different ones are counted.

    Fixed parts that differ only in dates, times and ids are one, with placeholders in their place. One that always
    came with the same date keeps it: nothing shows that another date would mean the same.
    """

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._steady_of: dict[str, str] = {}

    def add(self, template: str) -> None:
        """Count a fixed part, as :meth:`KnownRequest.to_text` writes it."""
        key = self._steady_of.get(template)
        if key is None:
            key = KnownRequest.from_text(template).steadied().to_text()
            if len(self._steady_of) < _MOST_REMEMBERED:
                self._steady_of[template] = key
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= _MOST:
                return
            group = self._groups[key] = _Group(template)
        group.count += 1
        group.has_changed = group.has_changed or template != group.first

    def common(self, least: float) -> tuple[str, ...]:
        """Those that came at least so often, the commonest first."""
        found = [
            (group.count, key if group.has_changed else group.first)
            for key, group in self._groups.items()
            if group.count >= least
        ]
        return tuple(text for _, text in sorted(found, key=lambda pair: (-pair[0], pair[1])))
