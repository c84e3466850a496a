"""``understudy ledger``: what a ledger adds up to; texts out of it, and texts forgotten."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from understudy.ledger.database import Ledger
    from understudy.ledger.queries import MoneySum, Totals

__all__ = ["ledger_group"]

_DAY_MS = 86_400_000


@click.group("ledger")
def ledger_group() -> None:
    """Add up a ledger, take texts out of it, or forget them.

    URL is a SQLite file (ledger.db), sqlite:///ledger.db, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE.

    \b
    Example:
      understudy ledger summary understudy-ledger.db
    """


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Ledger]:
    from understudy.ledger.database import Ledger

    ledger = Ledger.open(url, may_create=False)
    try:
        yield ledger
    finally:
        ledger.close()


def _since(date: datetime | None) -> int | None:
    return None if date is None else int(date.replace(tzinfo=UTC).timestamp() * 1000)


@ledger_group.command("export")
@click.argument("url")
@click.option("--task", help="Only calls that were served as this task.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only from then (UTC).")
@click.option("--out", required=True, metavar="FILE", help="Where to write JSON Lines; - for stdout.")
@click.option("--json", "is_json", is_flag=True, help="Print the counts as JSON (with --out FILE).")
def export_command(url: str, task: str | None, since: datetime | None, out: str, is_json: bool) -> None:
    """Write the calls that upstream answered as JSON Lines, as `understudy learn` reads them.

    Only calls whose texts were kept; the others are counted. A file is readable by its owner only.

    \b
    Example:
      understudy ledger export understudy-ledger.db --since 2026-01-01 --out calls.jsonl
    """
    from understudy.dataset.ledger_log import write_ledger_log
    from understudy.errors import ConfigError

    if is_json and out == "-":
        raise ConfigError("--json prints counts, and --out - prints calls", todo="give --out FILE")
    with _opened(url) as ledger, _written(out) as stream:
        counts = write_ledger_log(ledger, stream, task=task, since_ms=_since(since))
    if is_json:
        found = {
            "exported": counts.exported, "without_texts": counts.without_texts,
            "unreadable": counts.unreadable, "out": out,
        }  # fmt: skip
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    click.echo(
        f"{counts.exported:,} calls written; {counts.without_texts:,} without texts left out", err=True
    )
    if counts.unreadable:
        click.echo(f"{counts.unreadable:,} calls left out: their texts are no JSON", err=True)
    if not counts.exported and counts.without_texts:
        click.echo("texts are kept by `understudy serve --store-texts`", err=True)


@contextlib.contextmanager
def _written(out: str) -> Iterator[TextIO]:
    """Stdout, or a file that appears whole under its name or not at all."""
    if out == "-":
        yield sys.stdout
        return
    from understudy.errors import ConfigError

    path = Path(out)
    scratch = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ConfigError(
            "a file cannot be written", given=f"{out}: {error.__class__.__name__}", todo="check its folder"
        ) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            yield stream
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@ledger_group.command("forget")
@click.argument("url")
@click.option("--older-than-days", type=click.FloatRange(min=0), required=True, help="Age of the calls.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def forget_command(url: str, older_than_days: float, is_json: bool) -> None:
    """Remove the texts of old calls; who answered and what it cost stays.

    \b
    Example:
      understudy ledger forget understudy-ledger.db --older-than-days 30
    """
    from understudy.ledger.retention import forget_texts

    before_ms = max(0, int(time.time() * 1000 - older_than_days * _DAY_MS))
    with _opened(url) as ledger:
        count = forget_texts(ledger, before_ms)
    if is_json:
        click.echo(json.dumps({"forgotten": count, "older_than_ms": before_ms}, indent=1))
        return
    day = datetime.fromtimestamp(before_ms / 1000, UTC).isoformat(" ", "minutes").removesuffix("+00:00")
    click.echo(f"forgot the texts of {count:,} calls before {day} UTC; their figures stay")


@ledger_group.command("summary")
@click.argument("url")
@click.option("--task", help="Only this task's calls.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only from then (UTC).")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def summary_command(url: str, task: str | None, since: datetime | None, is_json: bool) -> None:
    """Add up calls by who answered, what was spent, what it would have cost, what was saved.

    \b
    Example:
      understudy ledger summary understudy-ledger.db --since 2026-01-01
    """
    from understudy.ledger.queries import by_task, totals

    with _opened(url) as ledger:
        everything = totals(ledger, since_ms=_since(since), task=task)
        parts: dict[str | None, Totals] = {task: everything}
        if task is None:
            parts = by_task(ledger, since_ms=_since(since))
    if is_json:
        found = {
            **everything.to_dict(),
            "tasks": [{"task": name, **one.to_dict()} for name, one in parts.items()],
        }
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    _show(everything, parts)


def _show(everything: Totals, parts: dict[str | None, Totals]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = min(100, Console().width) if sys.stdout.isatty() else 100
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("task", overflow="fold", max_width=24)
    for name in ("calls", "student", "upstream", "uncertified", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("spent", "at the\nteacher", "saved"):
        table.add_column(name, justify="right")
    rows = [(name if name is not None else "(no task)", one) for name, one in parts.items()]
    if len(rows) != 1:
        rows.append(("all", everything))
    for name, one in rows:
        counts = [f"{one.answered[by]:,}" for by in ("student", "upstream", "uncertified", "failed")]
        money = [_money(part) for part in (one.cost, one.teacher_cost, one.saving)]
        table.add_row(Text(name), f"{one.n_calls:,}", *counts, *money)
    console = Console(width=width, highlight=False)
    console.print(table)
    if any("unknown" in _money(part) for _, one in rows for part in (one.cost, one.teacher_cost, one.saving)):
        console.print(
            Text("  unknown: calls whose cost nobody recorded or priced; they are in no sum", style="dim")
        )


def _money(given: MoneySum) -> str:
    from understudy.units import format_usd

    if not given.n_known:
        return "unknown" if given.n_unknown else "-"
    known = format_usd(given.known_nanousd / 1e9)
    return f"{known}\n+ {given.n_unknown:,} unknown" if given.n_unknown else known
