"""How plans print: sentences and tables in at most 100 columns, JSON, charts as files."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from understudy.drawing.xy import Chart

__all__ = ["brief", "print_json", "print_table", "print_words", "save_chart"]

_WIDTH = 100


def print_json(found: Any) -> None:
    """Write JSON to stdout; what is not finite becomes null, as JSON has no word for it."""
    click.echo(json.dumps(_finite(found), ensure_ascii=False, indent=1, allow_nan=False))


def _finite(found: Any) -> Any:
    if isinstance(found, float) and not math.isfinite(found):
        return None
    if isinstance(found, dict):
        return {key: _finite(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_finite(value) for value in found]
    return found


def _console() -> Any:
    from rich.console import Console

    width = min(_WIDTH, Console().width) if sys.stdout.isatty() else _WIDTH
    return Console(width=width, highlight=False, markup=False)


def print_words(words: str, *, style: str | None = None) -> None:
    """One paragraph, wrapped."""
    from rich.text import Text

    _console().print(Text(words, style=style or ""))


def print_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    title: str | None = None,
) -> None:
    """A table; columns whose places are in `right` hold numbers and stand to the right.

    Cells are text, never markup.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title=title, title_justify="left")
    for at, head in enumerate(heads):
        is_number = at in right
        table.add_column(Text(head), justify="right" if is_number else "left", no_wrap=is_number)
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    console = _console()
    with console.capture() as held:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in held.get().splitlines()))


def save_chart(chart: Chart, path: str) -> None:
    """Write a chart as SVG and say so on stderr.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    from understudy.drawing.xy import write_svg
    from understudy.errors import ConfigError

    try:
        write_svg(chart, path)
    except OSError as error:
        raise ConfigError(
            "a file cannot be written", given=f"{path}: {error.__class__.__name__}", todo="check its folder"
        ) from error
    click.echo(f"wrote {path}", err=True)


def brief(value: float | None, unit: str = "") -> str:
    """A number in four significant digits, large and small ones with a power of ten."""
    if value is None:
        return "unknown"
    size = abs(value)
    if value == 0:
        text = "0"
    elif 0.001 <= size < 1e6:
        text = f"{value:,.0f}" if size >= 1000 else f"{value:.4g}"
    else:
        text = f"{value:.3e}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    return f"{text} {unit}".strip()
