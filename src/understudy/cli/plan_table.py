"""Tables of the plan commands: values with their limits, in 100 columns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from understudy.drawing.xy import Chart
    from understudy.economics.inference.rates import Span

__all__ = ["facts_table", "joules_words", "plan_console", "save_chart", "span_cells", "values_table"]


def plan_console() -> Console:
    """Stdout, at most 100 columns wide; 100 where it is no terminal."""
    from rich.console import Console

    width = min(100, Console().width) if sys.stdout.isatty() else 100
    return Console(width=width, highlight=False)


def facts_table(rows: Sequence[tuple[str, str]]) -> Table:
    """Names and words."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, words in rows:
        table.add_row(name, Text(words))
    return table


def values_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, n_words: int = 1) -> Table:
    """A table whose first `n_words` columns are words and the others numbers, right aligned."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold")
    for at, name in enumerate(head):
        is_words = at < n_words
        table.add_column(
            name,
            justify="left" if is_words else "right",
            overflow="fold",
            no_wrap=at == 0 or not is_words,
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def span_cells(span: Span | None, words: Callable[[float], str]) -> list[str]:
    """Typical, from, to; ``unknown`` three times less."""
    if span is None:
        return ["unknown", "", ""]
    return [words(span.typical), words(span.low), words(span.high)]


def joules_words(joules: float) -> str:
    """Energy in few digits: ``45.7 J``, ``1.06 kJ``."""
    return f"{joules / 1e3:,.3g} kJ" if joules >= 1e3 else f"{joules:.3g} J"


def save_chart(chart: Chart, path: str) -> None:
    """Write a chart as SVG.

    Raises
    ------
    ConfigError
        If the name does not end in .svg, or the file cannot be written.
    """
    from understudy.drawing.xy import write_svg

    if Path(path).suffix.lower() != ".svg":
        raise ConfigError("--plot writes SVG", given=path, todo="give a name that ends in .svg")
    try:
        write_svg(chart, path)
    except OSError as error:
        raise ConfigError("a file cannot be written", given=f"{path}: {error.__class__.__name__}") from error
