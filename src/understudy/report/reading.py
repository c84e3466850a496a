"""Reads the facts of a run defensively: whatever is missing, of another type or not finite is ``None``.

Facts come from this version, from an older one or from a plug-in; a report must be written from all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["Facts", "number", "part", "plural", "rows", "rung_size", "share", "text", "texts"]

Facts = Mapping[str, Any]


def part(facts: Facts, key: str) -> Facts:
    """A nested mapping; empty where there is none."""
    found = facts.get(key)
    return found if isinstance(found, Mapping) else {}


def rows(facts: Facts, key: str) -> list[Facts]:
    """A list of mappings; empty where there is none."""
    found = facts.get(key)
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list | tuple) else []


def number(facts: Facts, key: str) -> float | None:
    """A finite number, or ``None``."""
    found = facts.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if math.isfinite(found) else None


def text(facts: Facts, key: str) -> str | None:
    """A non-empty text, or ``None``."""
    found = facts.get(key)
    return str(found) if found is not None and str(found).strip() else None


def share(facts: Facts) -> tuple[float | None, float | None, float | None]:
    """A share with its lower bound and its count, as accuracies and noise ceilings carry them."""
    found = number(facts, "share")
    lower = number(facts, "lower")
    return (
        number(facts, "value") if found is None else found,
        number(facts, "low") if lower is None else lower,
        number(facts, "n"),
    )


def texts(facts: Facts, key: str) -> list[str]:
    """A list of texts; empty where there is none."""
    found = facts.get(key)
    if isinstance(found, str):
        return [found]
    return [str(one) for one in found if one is not None] if isinstance(found, list | tuple) else []


def plural(count: float, word: str) -> str:
    """A count with its word: ``1 call``, ``1,200 calls``."""
    return f"{count:,.0f} {word}{'' if count == 1 else 's'}"


def rung_size(facts: Facts, members: list[str]) -> float | None:
    """Bytes of the named rungs together, ``None`` if one is unknown; a lookup counts where it is known."""
    sizes = {str(row.get("name")): number(row, "size_bytes") for row in rows(facts, "rungs")}
    known = [sizes.get(member) for member in members if member != "lookup" or sizes.get(member) is not None]
    return sum(size for size in known if size is not None) if known and None not in known else None
