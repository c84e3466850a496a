"""What the density commands share: plain tables, numbers with intervals, charts written to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.drawing.xy import Chart

__all__ = ["between", "console", "month_tick", "print_table", "size_text", "write_chart", "year_of"]

_WIDTH = 100


def console() -> Console:
    """At most 100 columns wide."""
    from rich.console import Console

    width = min(_WIDTH, Console().width) if sys.stdout.isatty() else _WIDTH
    return Console(width=width, highlight=False, soft_wrap=False)


def print_table(rows: Sequence[Sequence[str]], *, heads: Sequence[str] = ()) -> None:
    """A table without lines; the first column to the left, the others to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD if heads else None, show_header=bool(heads), pad_edge=False, padding=(0, 2, 0, 0)
    )
    for at in range(max(len(row) for row in rows)):
        table.add_column(
            heads[at] if heads else "", justify="right" if heads and at else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def size_text(count: float | None) -> str:
    """A count of parameters or tokens: ``7.3B``, ``350M``, ``1.5T``; ``unknown`` for ``None``."""
    if count is None:
        return "unknown"
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        # A count that rounds up to the next unit is written in it.
        if count >= 0.9995 * limit:
            return f"{count / limit:.3g}{unit}" if count < 1e15 else f"{count:.2e}"
    return f"{count:.3g}"


def between(low: float | None, high: float | None, show: Callable[[float], str] = "{:.3g}".format) -> str:
    """An interval in words; open ends are said."""
    if low is None and high is None:
        return "no interval"
    if low is None:
        assert high is not None, "checked above"
        return f"below {show(high)}"
    return f"above {show(low)}" if high is None else f"{show(low)} to {show(high)}"


def year_of(day: date) -> float:
    """A day as a year with its fraction, for the axis of a chart."""
    return day.year + (day.timetuple().tm_yday - 1) / 365.25


def month_tick(year: float) -> str:
    """A fraction of a year as ``2024-07``."""
    months = round(12 * year)
    return f"{months // 12}-{months % 12 + 1:02d}"


def write_chart(chart: Chart, path: str) -> None:
    """Write an SVG file.

    Raises
    ------
    ConfigError
        If it cannot be written.
    """
    from understudy.drawing.xy import write_svg
    from understudy.errors import ConfigError

    try:
        write_svg(chart, path)
    except OSError as error:
        raise ConfigError(
            "the chart cannot be written",
            given=f"{path}: {error.__class__.__name__}",
            todo="check its folder",
        ) from error
