"""Tables and the chart of ``understudy lm family``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from understudy.lm.family import Member
    from understudy.lm.family_forecast import Forecast

__all__ = ["draw_family", "show_family", "show_plan"]


def show_plan(members: Sequence[Member], given: dict[str, Any]) -> None:
    """Print what would be trained, and how long a few steps of each shape say that it takes here."""
    import torch

    from understudy.lm.family import seconds_per_token
    from understudy.units import format_duration, format_usd

    torch.set_num_threads(given["threads"])
    paces = {member.shape: member for member in members}
    seconds = {shape: seconds_per_token(member) for shape, member in paces.items()}
    plan = []
    for member in members:
        expected = seconds[member.shape] * member.n_tokens / given["processes"]
        plan.append(
            {
                "model": member.name,
                "parameters": member.n_parameters,
                "tokens": member.n_tokens,
                "steps": member.settings.schedule.n_steps,
                "flops": member.train_flops,
                "learning_rate": member.settings.learning_rate,
                "shape": member.shape.to_dict(),
                "expected_seconds": expected,
                "expected_usd": None if given["hour_usd"] is None else expected / 3600 * given["hour_usd"],
                "held_out": "yes" if member.is_held_out else "no",
            }
        )
    if given["as_json"]:
        click.echo(json.dumps(plan, indent=1))
        return
    rows = [
        (
            f"{one['parameters']:,}",
            f"{one['shape']['d_model']} x {one['shape']['n_layers']}, {one['shape']['d_ff']}",
            f"{one['tokens']:,}",
            f"{one['steps']:,}",
            f"{one['flops']:.2e}",
            f"{one['learning_rate']:.4f}",
            format_duration(one["expected_seconds"]),
            "to predict" if one["held_out"] == "yes" else "",
        )
        for one in plan
    ]
    _print_table(
        ("parameters", "width x layers,\nfeed-forward", "tokens", "steps", "FLOP", "peak rate", "time", ""),
        rows,
    )
    total = sum(one["expected_seconds"] for one in plan)
    usd = None if given["hour_usd"] is None else total / 3600 * given["hour_usd"]
    click.echo(
        f"expected time {format_duration(total)}, cost {format_usd(usd)}; from a few steps of each shape here"
    )


def show_family(found: dict[str, Any], confidence: float, vocab_size: int) -> None:
    """Print the members, the forecast held against what came, and what to do next."""
    from understudy.units import format_duration

    rows, forecast = found["members"], found["forecast"]
    cells = [
        (
            f"{row['parameters']:,}",
            f"{row['tokens']:,}",
            f"{row['flops']:.2e}",
            f"{row['learning_rate']:.4f}",
            f"{row['loss']:.3f}",
            format_duration(row["seconds"]),
            "foretold" if row["held_out"] == "yes" else "",
        )
        for row in rows
    ]
    _print_table(("parameters", "tokens", "FLOP", "peak rate", "held-out\nloss", "time", ""), cells)
    side = "inside" if found["is_inside"] else "OUTSIDE"
    click.echo(
        f"forecast {forecast['loss']:.3f} ({100 * confidence:.0f} %: {forecast['low']:.3f} to {forecast['high']:.3f}), "
        f"measured {found['measured']:.3f}: {found['miss']:+.3f}, {side}"
    )
    table = found["table"]
    click.echo(
        f"\nnext:\n  understudy density fit-ruler {table} --params parameters --tokens tokens --loss loss "
        f"--out {Path(table).with_name('ruler.json')}"
    )
    if (why_not := _why_no_plan(rows)) is None:
        flop = f"{10 * rows[-1]['flops']:.2g}"
        click.echo(f"  understudy plan train --flop {flop} --runs {table} --vocabulary {vocab_size}")
    else:
        click.echo(f"no plan can be made of these yet (plan train --runs): {why_not}")


def _why_no_plan(rows: Sequence[dict[str, Any]]) -> str | None:
    """Why ``plan train`` cannot fit its law to the family; ``None`` where it can."""
    import numpy as np

    from understudy.economics.scaling.parametric import fit_parametric
    from understudy.economics.scaling.runs import TrainingRuns
    from understudy.errors import UnderstudyError

    sizes, tokens, losses = ([float(row[name]) for row in rows] for name in ("parameters", "tokens", "loss"))
    try:
        fit_parametric(TrainingRuns(np.array(sizes), np.array(tokens), np.array(losses)))
    except UnderstudyError as error:
        return f"{error.what}; {error.todo}"
    return None


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in heads:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


def draw_family(rows: Sequence[dict[str, Any]], forecast: Forecast, path: str) -> None:
    """Draw loss against training compute, and the interval that was foretold."""
    from understudy.cli.density_view import write_chart
    from understudy.drawing.xy import Axis, Chart, Series

    series = []
    for size in sorted({row["parameters"] for row in rows}):
        own = sorted((row["flops"], row["loss"]) for row in rows if row["parameters"] == size)
        series.append(Series(f"{size:,} parameters", [x for x, _ in own], [y for _, y in own], kind="points"))
    last = rows[-1]["flops"]
    series.append(Series("forecast", [last, last], [forecast.low, forecast.high], colour="accent"))
    chart = Chart("Loss against training compute", Axis("FLOP", is_log=True), Axis("held-out loss"), series)
    write_chart(chart, path)
