"""The console summary of a run: the same as the report's top, in one screen."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from understudy.drawing.markup import clean
from understudy.report.live import LiveLadder
from understudy.report.plan import print_plan
from understudy.report.reading import Facts, number, part, plural, rows, text, texts
from understudy.report.section_ladder import accuracy_of
from understudy.report.section_next import fields_that_hold, reasons_of, remedies_of
from understudy.report.summary import Summary, deferred_words, members_of, no_headline, summarise
from understudy.units import format_bytes, format_duration, format_share, format_usd

__all__ = ["LiveLadder", "print_plan", "print_summary"]

_MOST_STEPS = 3
_MOST_WARNINGS = 4


def print_summary(facts: Facts, console: Console, *, folder: Path | str | None = None) -> None:
    """Print a run in brief.

    Parameters
    ----------
    facts
        As described in :mod:`understudy.ladder.result`.
    console
        Where to.
    folder
        Where the artefact and its ``report.html`` lie; ``None`` leaves that line out.
    """
    summary = summarise(facts)
    console.print()
    console.print(_ladder(facts, summary))
    for words in _skipped(facts):
        console.print(Padding(Text(words, style="dim"), (0, 0, 0, 2)))
    console.print()
    console.print(_verdict(facts, summary))
    console.print()
    console.print(_figures(facts, summary))
    if steps := _next(facts):
        console.print()
        console.print(steps)
    if folder is not None:
        console.print()
        console.print(_where(folder))


def _ladder(facts: Facts, summary: Summary) -> RenderableType:
    chosen = members_of(summary.chosen) if summary.chosen else []
    target = "target" if summary.target is None else f"{100 * summary.target:g} %"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("rung\n(* used)", no_wrap=True)
    table.add_column("status", no_wrap=True)
    word = "agreement" if summary.reference == "teacher" else "accuracy"
    for name in ("fit time", "size", "per\nanswer", word, f"coverage\nat {target}"):
        table.add_column(name, justify="right", no_wrap=True)
    for rung in rows(facts, "rungs"):
        name, status = clean(text(rung, "name") or "?"), text(rung, "status") or "unknown"
        mark = "* " if name in chosen else "  "
        if status == "skipped":
            table.add_row(Text(mark + name[:24], style="dim"), Text("not tried", style="dim"))
            continue
        table.add_row(
            Text(mark + name[:24], style="bold" if name in chosen else ""),
            Text(clean(status)),
            format_duration(number(rung, "fit_seconds")),
            format_bytes(number(rung, "size_bytes")),
            format_duration(number(rung, "call_seconds")),
            format_share(accuracy_of(rung)),
            format_share(number(rung, "coverage")),
        )
    return table


def _skipped(facts: Facts) -> list[str]:
    return [
        clean(f"{text(rung, 'name') or '?'} not tried: {text(rung, 'reason') or 'the reason is unknown'}")
        for rung in rows(facts, "rungs")
        if rung.get("status") == "skipped"
    ]


def _verdict(facts: Facts, summary: Summary) -> RenderableType:
    if summary.is_certified:
        lines = [Text.assemble(("CERTIFIED  ", "bold green"), (clean(summary.chosen or "unknown"), "bold"))]
        lines.append(Text(clean(summary.sentence)))
    else:
        lines = [Text.assemble(("NOT CERTIFIED  ", "bold yellow"), clean(no_headline(facts, summary)))]
        reasons = reasons_of(facts) or [summary.sentence]
        lines += [Text(f"why: {clean(reason)}") for reason in reasons[:_MOST_STEPS]]
        if held := fields_that_hold(facts):
            lines.append(Text(clean(held), style="green"))
    gold = text(part(facts, "gold_certificate"), "sentence")
    if gold:
        lines.append(Text.assemble(("gold: ", "bold"), clean(gold)))
    elif summary.reference == "teacher":
        lines.append(
            Text("gold: nothing is said about being right, only about matching the teacher", style="dim")
        )
    if deferred := deferred_words(facts):
        lines.append(Text(clean(deferred), style="dim"))
    warnings = texts(facts, "warnings")
    lines += [Text(f"note: {clean(one)}", style="yellow") for one in warnings[:_MOST_WARNINGS]]
    if len(warnings) > _MOST_WARNINGS:
        lines.append(Text(f"note: {len(warnings) - _MOST_WARNINGS} more in the report", style="yellow"))
    return Group(*lines)


def _figures(facts: Facts, summary: Summary) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("1,000 calls", Text(_cost_words(summary)))
    breakeven = part(facts, "breakeven")
    calls = number(breakeven, "calls")
    pays = (
        f"after {plural(calls, 'call')}"
        if calls is not None
        else clean(text(breakeven, "reason") or "unknown")
    )
    if calls is None and summary.teacher_usd is None:
        pays = "unknown: the teacher's price is (give --teacher-price)"
    table.add_row("pays back", Text(pays))
    speed = f"{format_duration(summary.call_seconds)} of CPU an answer, {format_bytes(summary.size_bytes)}"
    table.add_row("speed, size", Text(speed))
    receipt = part(facts, "receipt")
    spent = f"{format_duration(number(receipt, 'machine_seconds'))} of machine time"
    table.add_row("this run", Text(f"{spent}, {format_usd(number(receipt, 'machine_usd'))}"))
    return table


def _cost_words(summary: Summary) -> str:
    def thousand(usd: float | None) -> str:
        return format_usd(None if usd is None else 1000 * usd)

    teacher = f"teacher {thousand(summary.teacher_usd)}"
    if summary.teacher_usd is None:
        teacher += f" ({clean(summary.teacher_usd_reason)})"
    if not summary.is_certified:
        return f"{teacher}; nothing changes, since every call still goes to it"
    system = f"understudy {thousand(summary.system_usd)}"
    if summary.system_usd is None:
        compute = "" if summary.student_usd is None else f"; compute alone {thousand(summary.student_usd)}"
        return f"{teacher}, {system} ({summary.system_usd_reason}{compute})"
    return f"{teacher}, {system}, deferred calls included"


def _next(facts: Facts) -> RenderableType | None:
    steps = remedies_of(facts)[:_MOST_STEPS]
    if not steps:
        return None
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for at, step in enumerate(steps):
        usd = number(step, "usd")
        price = "price unknown" if usd is None else ("no cost" if usd == 0 else format_usd(usd))
        table.add_row(
            "what next" if at == 0 else "", Text(price, style="bold"), Text(clean(text(step, "text") or ""))
        )
    return table


def _where(folder: Path | str) -> RenderableType:
    at = Path(folder)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("folder", Text(clean(at)))
    table.add_row("report", Text(clean(at / "report.html")))
    return table
