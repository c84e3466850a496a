"""``understudy inspect``: what is in a log, before anything is trained."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from understudy.cli.options import parse_mapping

if TYPE_CHECKING:
    from understudy.dataset.load import Progress
    from understudy.task.task import Task

__all__ = ["inspect_command", "progress_bar", "read_task_option"]

_EXAMPLE = """
Example:

\b
  understudy inspect examples/support/calls.jsonl
  understudy inspect log.jsonl --map output=teacher_label --map model=teacher_model
"""


def read_task_option(path: str | None) -> tuple[Task | None, bool]:
    """The task of ``--task``, and whether its text fields are open (in a JSON Schema they are)."""
    if path is None:
        return None, False
    from understudy.task.spec import load_task

    return load_task(path), path.lower().endswith(".json")


@contextmanager
def progress_bar(is_shown: bool) -> Iterator[Progress | None]:
    """A progress bar on stderr that shows itself only on a terminal."""
    if not is_shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        job = bar.add_task("reading calls", total=None)

        def update(phase: str, share: float | None) -> None:
            bar.update(job, description=phase, total=None if share is None else 1.0, completed=share or 0.0)

        yield update


@click.command("inspect", epilog=_EXAMPLE)
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option(
    "--map", "maps", multiple=True, metavar="TARGET=COLUMN", help="Which column is what; repeatable."
)
@click.option(
    "--task", "task_path", metavar="FILE", help="The output's schema: a task .toml or a JSON Schema."
)
@click.option(
    "--format", "format_name", metavar="NAME", help="plain, chat, batch, csv or parquet; else found."
)
@click.option("--lenient", is_flag=True, help="Read answers out of longer texts, where unambiguous.")
@click.option("--max-calls", type=click.IntRange(min=1), metavar="N", help="Stop after N calls.")
@click.option("--teacher-price", metavar="PRICE", help="Dollars per call, or per million tokens as IN/OUT.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the split.")
@click.option("--json", "is_json", is_flag=True, help="Machine-readable output.")
def inspect_command(
    logs: tuple[str, ...],
    maps: tuple[str, ...],
    task_path: str | None,
    format_name: str | None,
    lenient: bool,
    max_calls: int | None,
    teacher_price: str | None,
    seed: int,
    is_json: bool,
) -> None:
    """Show what is in recorded calls: types, labels, duplicates, splits, teacher errors, cost.

    Nothing is trained, and no input text is shown.
    """
    from understudy.dataset.load import load_dataset
    from understudy.economics.prices import parse_teacher_price

    mapping = parse_mapping(maps)
    task, is_text_open = read_task_option(task_path)
    price = parse_teacher_price(teacher_price) if teacher_price is not None else None
    with progress_bar(not is_json) as progress:
        _, report = load_dataset(
            logs, task=task, mapping=mapping, format=format_name, seed=seed, lenient=lenient,
            max_calls=max_calls, progress=progress, teacher_price=price, is_text_open=is_text_open,
        )  # fmt: skip
    if is_json:
        click.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=1, sort_keys=True, default=str))
        return
    from understudy.cli.inspect_view import show_report

    show_report(report)
