"""The report of ``inspect`` for people: tables for the console, at most 100 columns wide."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from understudy.dataset.facts import RECORD, Share
from understudy.dataset.splits import SPLITS
from understudy.units import format_count, format_share, format_usd

if TYPE_CHECKING:
    from understudy.dataset.inspection import FieldReport, InspectReport
    from understudy.dataset.text_facts import TextFacts
    from understudy.task.field import Field

__all__ = ["show_report"]

_WIDTH = 100
_MAX_FIELDS = 30


def show_report(report: InspectReport, console: Console | None = None) -> None:
    """Print the report."""
    if console is None:
        width = min(_WIDTH, Console().width) if sys.stdout.isatty() else _WIDTH
        console = Console(width=width, highlight=False, soft_wrap=False)
    console.print(_heading(report))
    _section(console, "Calls", _calls(report))
    console.print()
    console.print(_fields(report))
    for item in report.fields:
        if item.top and len(report.fields) <= 8:
            console.print(_labels(item))
    _section(console, "Split", _splits(report))
    _section(console, "Teacher", _teacher(report))
    _section(console, "Would learn", _plan(report))
    if report.warnings:
        console.print()
        console.print(Text("To know before training", style="bold yellow"))
        for warning in report.warnings:
            grid = Table.grid(padding=(0, 1))
            grid.add_row(Text(" !", style="yellow"), Text(warning))
            console.print(grid)


def _heading(report: InspectReport) -> Text:
    files = ", ".join(f"{name} ({kind})" for name, kind in report.read.formats.items())
    text = Text(f"{report.n_rows:,} calls", style="bold")
    return text.append(f"  {files}" if files else "", style="dim")


def _section(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    if not rows:
        return
    console.print()
    console.print(Text(title, style="bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=18, style="dim", no_wrap=True)
    grid.add_column()
    for name, value in rows:
        grid.add_row(f"  {name}", Text(value))
    console.print(grid)


def _calls(report: InspectReport) -> list[tuple[str, str]]:
    read = report.read
    rows = [("lines", f"{read.n_lines:,} read, {read.n_refused:,} refused")]
    for reason, refusal in sorted(read.refused.items(), key=lambda item: -item[1].count):
        places = ", ".join(refusal.places[:3]) + (" ..." if refusal.count > 3 else "")
        rows.append(("", f"{refusal.count:,} x {reason}: {places}"))
    rows += [("", f"{count:,} x {note}") for note, count in sorted(read.notes.items())]
    task = report.task
    if task.input_names:
        shape = f"a record of {', '.join(task.input_names)}"
    elif task.line_labels:
        shape = f"one text of labelled lines: {', '.join(task.line_labels)}"
    else:
        shape = "one text"
    median, high, longest = report.input_chars
    rows.append(("input", f"{shape}; {median:,} characters (median), {high:,} (95 %), {longest:,} (longest)"))
    copies = f"{report.n_same_input:,} inputs came before ({report.n_same_call:,} with the same answer)"
    near = f"{report.n_near_rows:,} rows in {report.n_near_groups:,} near-duplicate groups"
    rows.append(("duplicates", f"{copies}; {near}"))
    rows.append(("off-schema", f"{report.n_off_schema:,} answers{_reasons(report)}"))
    if report.n_extra_keys:
        rows.append(("extra keys", f"{report.n_extra_keys:,} answers hold keys that no field reads"))
    if report.n_without_answer:
        rows.append(("no answer", f"{report.n_without_answer:,} calls"))
    return rows


def _reasons(report: InspectReport) -> str:
    reasons = [f"{count:,} x {reason}" for reason, count in list(report.off_schema.items())[:4]]
    more = len(report.off_schema) - 4
    return (": " + "; ".join(reasons) + (f"; {more} more reasons" if more > 0 else "")) if reasons else ""


def _fields(report: InspectReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", expand=False, padding=(0, 1))
    table.title = Text("Answer" if report.task.is_plain else "Fields", style="bold")
    table.add_column("field", overflow="fold", max_width=22)
    table.add_column("type")
    table.add_column("learnt as")
    table.add_column("known", justify="right")
    table.add_column("null", justify="right")
    table.add_column("absent", justify="right")
    table.add_column("why", style="dim", overflow="fold")
    for item in report.fields[:_MAX_FIELDS]:
        table.add_row(
            item.field.name,
            item.field.kind + (f" of {len(item.field.labels)}" if item.field.labels else ""),
            item.mode or "always deferred",
            f"{item.n_known:,}",
            _share(item.n_null, item.n_known),
            _share(item.n_absent, item.n_known),
            "given" if report.is_task_given and item.why == "given" else item.why,
        )
    if len(report.fields) > _MAX_FIELDS:
        table.add_row(f"... {len(report.fields) - _MAX_FIELDS} more (--json shows all)", *[""] * 6)
    return table


def _share(count: int, total: int) -> str:
    return "-" if not count else format_share(count / max(total, 1))


def _labels(item: FieldReport) -> Table:
    """The commonest labels in three columns with bars."""
    name = item.field.name
    counted = "" if item.source == "teacher" else " (counted in gold)"
    table = Table.grid(padding=(0, 2))
    most = max(count for _, count in item.top)
    cells = []
    for value, count in item.top:
        bar = "▇" * max(1, round(8 * count / most))
        label = _short(value)
        cells.append(Text.assemble((f"{label:<28.28}", ""), (f"{count:>9,} ", "bold"), (f"{bar:<8}", "cyan")))
    n_rows = (len(cells) + 1) // 2
    for at in range(n_rows):
        table.add_row("", cells[at], cells[at + n_rows] if at + n_rows < len(cells) else "")
    shown = len(item.top)
    n_all = item.n_distinct
    which = "the" if n_all == shown else f"{shown} commonest of"
    title = f"  {name}: {which} {format_count(n_all)} values{counted}"
    outer = Table.grid()
    outer.add_row(Text(title, style="dim"))
    outer.add_row(table)
    return outer


def _short(value: Any) -> str:
    text = str(value) if not isinstance(value, bool) else ("true" if value else "false")
    flat = " ".join(text.split())
    return flat if len(flat) <= 28 else flat[:27] + "…"


def _splits(report: InspectReport) -> list[tuple[str, str]]:
    plan = report.splits
    counts = plan.counts()
    meaning = {"brought": "as the data brings it", "time": "by time, the latest certify", "random": "by seed"}
    sizes = ", ".join(f"{name} {counts[name]:,}" for name in SPLITS if counts[name])
    rows = [("rows", sizes), ("how", f"{meaning[plan.method]}; near-duplicate groups stay together")]
    if plan.n_moved:
        rows.append(("moved", f"{plan.n_moved:,} rows to the side of the earliest of their group"))
    rows += [("", note) for note in plan.notes]
    return rows


def _interval(share: Share) -> str:
    between = f"{format_share(share.low)} to {format_share(share.high)}"
    return f"{format_share(share.value)} ({between}, n = {share.n:,})"


def _teacher(report: InspectReport) -> list[tuple[str, str]]:
    facts = report.facts
    rows: list[tuple[str, str]] = []
    if report.models:
        rows.append(("model", ", ".join(f"{name} ({count:,})" for name, count in report.models.items())))
    main = RECORD if len(report.fields) > 1 else report.fields[0].field.name
    if main in facts.accuracy:
        rows.append(("right against gold", _interval(facts.accuracy[main]) + " of usable answers"))
        of_all = facts.accuracy_of_all[main]
        if of_all.n != facts.accuracy[main].n:
            rows.append(("", _interval(of_all) + " of all, unusable answers counted as wrong"))
    else:
        rows.append(("right against gold", "unknown: the log has no gold answers beside the teacher's"))
    if report.n_gold_read_as_null:
        rows.append(("", f"{report.n_gold_read_as_null:,} keys that gold leaves out read as null"))
    if main in facts.self_agreement:
        rows.append(("agrees with itself", _interval(facts.self_agreement[main]) + " of inputs asked again"))
        rows.append(
            ("noise ceiling", f"{format_share(facts.ceiling[main])} agreement, if every call is answered")
        )
    else:
        rows.append(("noise ceiling", "unknown: no input was asked twice"))
    extras = [(report.n_votes, "with further answers"), (report.n_soft, "with label probabilities")]
    extras.append((report.n_rationales, "with reasons"))
    if told := ", ".join(f"{count:,} {what}" for count, what in extras if count):
        rows.append(("also recorded", f"{told}"))
    costs = report.costs
    n_in, n_out = report.tokens
    tokens = (
        "unknown" if n_in is None or n_out is None else f"{n_in:,.0f} in, {n_out:,.0f} out per call (mean)"
    )
    rows.append(("tokens", tokens))
    cost = format_usd(costs.mean_usd)
    if costs.mean_usd is not None:
        cost += f" per call, {format_usd(1e6 * costs.mean_usd)} per million"
        cost += f" (mean of {costs.n_known:,}; {costs.source})"
    rows.append(("cost", cost + (f": {costs.reason}" if costs.reason else "")))
    return rows


def _plan(report: InspectReport) -> list[tuple[str, str]]:
    by_mode: dict[str, list[str]] = {}
    for item in report.fields:
        if item.mode:
            by_mode.setdefault(item.mode, []).append(item.field.name)
    words = {
        "classify": "pick a value", "multilabel": "pick a set of values",
        "point": "copy from the input", "regress": "estimate a number", "write": "write a text",
    }  # fmt: skip
    rows = [(words[mode], _listed(names)) for mode, names in by_mode.items()]
    rows += [
        (item.field.name, _text_words(item.field, item.texts))
        for item in report.fields
        if item.mode == "write" and item.texts is not None
    ]
    if report.defers:
        rows.append(("always deferred", _listed(list(report.defers))))
    return rows


def _text_words(field: Field, texts: TextFacts) -> str:
    lengths = f"{texts.median_chars:,} characters (median), {texts.high_chars:,} (95 %)"
    return f"{lengths}; {format_share(texts.distinct_share)} different; equal if it {field.equality_words}"


def _listed(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
