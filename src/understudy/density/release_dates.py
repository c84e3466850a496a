"""When well-known open models were released: package data, each line with its source.

Dates are those of the makers' announcements (or of the paper or the upload where there was none), known to the
day or to the month; a month stands as its 15th. It knows nothing of what the models can do.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

__all__ = ["Release", "known_releases", "release_of"]


@dataclass(frozen=True, slots=True)
class Release:
    """One release.

    Attributes
    ----------
    pattern
        Beginning of the models' names, without the organisation, in lower case.
    day
        The date.
    precision
        ``day`` or ``month``.
    source
        Where the date is from.
    """

    pattern: str
    day: date
    precision: str
    source: str


@cache
def known_releases() -> tuple[Release, ...]:
    """All releases, longest pattern first."""
    text = (files("understudy.density") / "release_dates.csv").read_text(encoding="utf-8")
    found = [
        Release(row["pattern"], date.fromisoformat(row["date"]), row["precision"], row["source"])
        for row in csv.DictReader(text.splitlines())
    ]
    return tuple(sorted(found, key=lambda one: (-len(one.pattern), one.pattern)))


def release_of(model: str) -> Release | None:
    """The release of a model by its name, with or without organisation; the longest pattern wins. ``None`` if unknown."""
    name = model.rpartition("/")[2].strip().lower()
    return next((one for one in known_releases() if name.startswith(one.pattern)), None)
