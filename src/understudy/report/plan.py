"""The dry run on the console: which rungs would be tried, and what each is predicted to take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from understudy.drawing.markup import clean
from understudy.units import format_duration

if TYPE_CHECKING:
    from understudy.ladder.rungs import RungPlan

__all__ = ["print_plan"]


def print_plan(
    plans: Sequence[RungPlan], max_minutes: float, console: Console, *, as_json: bool = False
) -> None:
    """Print a plan.

    Parameters
    ----------
    plans
        One per rung, in the order of trying.
    max_minutes
        Time allowed for training.
    console
        Where to.
    as_json
        Print data instead of a table.
    """
    total = sum(plan.fit_seconds for plan in plans if plan.skip_reason is None)
    if as_json:
        found = {
            "rungs": [asdict(plan) for plan in plans],
            "total_fit_seconds": total,
            "max_minutes": max_minutes,
        }
        console.file.write(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("rung", no_wrap=True)
    for name in ("predicted fit", "per answer", "after it all"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    spent = 0.0
    for plan in plans:
        if plan.skip_reason is not None:
            table.add_row(clean(plan.name), "", "", "", Text(clean(plan.skip_reason), style="dim"))
            continue
        spent += plan.fit_seconds
        remark = "beyond --max-minutes" if spent > 60 * max_minutes else ""
        times = [format_duration(value) for value in (plan.fit_seconds, plan.call_seconds, spent)]
        table.add_row(Text(clean(plan.name)), *times, Text(remark, style="yellow"))
    console.print(table)
    allowed, needed = format_duration(60 * max_minutes), format_duration(total)
    limit = f"  at most {needed} of training, {allowed} allowed (--max-minutes); right to a factor of two."
    bound = "  The climb stops earlier once no later rung could be cheaper even if it deferred nothing."
    console.print(Text(limit))
    console.print(Text(bound, style="dim"))
