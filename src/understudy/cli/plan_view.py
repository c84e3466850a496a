"""How plans about money print: sentences, tables, JSON and short numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import click

from understudy.cli.plan_table import plan_console

__all__ = ["brief", "print_json", "print_table", "print_words"]


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


def print_words(words: str, *, style: str | None = None) -> None:
    """One paragraph, wrapped."""
    from rich.text import Text

    plan_console().print(Text(words, style=style or ""))


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
    console = plan_console()
    with console.capture() as held:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in held.get().splitlines()))


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
