"""Tables of published figures that ship with the package: reading them, and finding a row by name.

An empty cell is unknown (``None``), never 0. Lines that begin with ``#`` are remarks.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import TypeVar

from understudy.errors import ConfigError

__all__ = ["Row", "find_row", "number_in", "read_table", "text_in"]

Row = Mapping[str, str]
T = TypeVar("T")


def read_table(package: str, name: str) -> list[Row]:
    """Rows of a CSV file inside a package, as text by column."""
    text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows: list[Row] = list(csv.DictReader(lines, strict=True))
    for row in rows:
        is_whole = None not in row and None not in row.values()
        assert is_whole, f"{name}: a row has another number of cells: {row}"
    return rows


def text_in(row: Row, column: str) -> str | None:
    """A cell, or ``None`` where it is empty or the column is missing."""
    return row.get(column, "").strip() or None


def number_in(row: Row, column: str) -> float | None:
    """A cell as a number of 0 or more, or ``None`` where it is empty or the column is missing."""
    text = text_in(row, column)
    if text is None:
        return None
    value = float(text)
    assert 0 <= value < math.inf, f"{column} is no measure: {text}"
    return value


def find_row(rows: Mapping[str, T], name: str, *, what: str, listing: str) -> T:
    """The row of that id, upper and lower case alike.

    Parameters
    ----------
    what
        What a row is, for the message: ``device``.
    listing
        How to see all ids, for the message.

    Raises
    ------
    ConfigError
        If there is none; it names near ones.
    """
    wanted = name.strip().lower()
    if wanted in rows:
        return rows[wanted]
    near = _near(wanted, rows)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise ConfigError(f"no {what} of that name is known", given=repr(name), todo=f"{hint}{listing}")


def _near(wanted: str, known: Iterable[str]) -> list[str]:
    names = list(known)
    parts = [name for name in names if wanted and (wanted in name or name in wanted)]
    return list(dict.fromkeys([*parts, *difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)]))[:4]
