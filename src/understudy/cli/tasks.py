"""``understudy tasks``: which tasks a mixed log or ledger holds, what they cost, what could be learnt."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from understudy.cli.options import parse_mapping

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.calls.exchanges import Identified
    from understudy.calls.report import ReadReport
    from understudy.dataset.survey import KindSurvey, Survey

__all__ = ["show_survey", "tasks_command"]

_EXAMPLE = """
Example:

\b
  understudy tasks log.jsonl
  understudy tasks understudy-ledger.db --json
"""
_WIDTH = 100
_MOST_SHOWN = 30


@click.command("tasks", epilog=_EXAMPLE)
@click.argument("logs", nargs=-1, required=True, metavar="LOG_OR_LEDGER...")
@click.option("--map", "maps", multiple=True, metavar="KEY=COLUMN", help="Where to find a part of a call.")
@click.option("--format", "format_name", metavar="NAME", help="chat or batch, if it is not recognised.")
@click.option("--teacher-price", metavar="PRICE", help="Dollars per call, or per million tokens as IN/OUT.")
@click.option("--json", "is_json", is_flag=True, help="Machine-readable output.")
def tasks_command(
    logs: tuple[str, ...],
    maps: tuple[str, ...],
    format_name: str | None,
    teacher_price: str | None,
    is_json: bool,
) -> None:
    """Find the kinds of request in mixed logs of full requests, and what each costs.

    A ledger is a path that ends in .db, or a sqlite:/// or postgresql:// URL. Nothing is trained; no input is
    shown, but the first words of instructions are. Take a name to `understudy learn LOG --request-kind NAME`.
    """
    from understudy.calls.report import ReadReport
    from understudy.cli.inspect import progress_bar
    from understudy.dataset.kinds import find_kinds
    from understudy.dataset.survey import survey_kinds
    from understudy.economics.prices import parse_teacher_price

    mapping = parse_mapping(maps)
    price = parse_teacher_price(teacher_price) if teacher_price is not None else None
    report = ReadReport()
    with progress_bar(not is_json) as progress:
        kinds = find_kinds(_exchanges(logs, mapping, format_name, report), progress)
        again = _exchanges(logs, mapping, format_name, ReadReport())
        survey = survey_kinds(again, kinds, price, progress)
    if not survey.n_calls:
        raise _no_requests(logs, report)
    report.n_calls = survey.n_calls
    if is_json:
        read = {key: value for key, value in report.to_dict().items() if key != "templates"}
        found = {"read": read, **survey.to_dict()}
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    show_survey(survey, report, logs)


def _exchanges(
    logs: Sequence[str], mapping: dict[str, str], format_name: str | None, report: ReadReport
) -> Iterator[Identified]:
    from understudy.calls.exchanges import read_exchanges
    from understudy.dataset.ledger_log import is_ledger, ledger_exchanges

    files = [log for log in logs if not is_ledger(log)]
    if files:
        yield from read_exchanges(files, mapping=mapping, format=format_name, report=report)
    for log in logs:
        if is_ledger(log):
            yield from ledger_exchanges(log, report)


def _no_requests(logs: Sequence[str], report: ReadReport) -> Exception:
    from understudy.dataset.ledger_log import is_ledger
    from understudy.errors import DataError

    files = [shlex.quote(log) for log in logs if not is_ledger(log)]
    formats = ", ".join(f"{name} ({kind})" for name, kind in report.formats.items())
    refused = "; ".join(f"{one.count:,} x {reason}" for reason, one in sorted(report.refused.items()))
    return DataError(
        "there are no full requests in the log, so there are no request templates to find",
        given=f"{formats}{'; refused: ' + refused if refused else ''}",
        todo=f"for inputs and outputs of one task use `understudy inspect {files[0] if files else 'LOG'}`; full "
        "requests (messages and answer) are described in docs/calls.md",
    )


def show_survey(
    survey: Survey, report: ReadReport, logs: Sequence[str], console: Console | None = None
) -> None:
    """Print what was found, at most 100 columns wide."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    if console is None:
        width = min(_WIDTH, RichConsole().width) if sys.stdout.isatty() else _WIDTH
        console = RichConsole(width=width, highlight=False, soft_wrap=False)
    heading = Text(f"{survey.n_calls:,} calls, {_count(len(survey.kinds), 'kind')} of request", style="bold")
    files = ", ".join(f"{name} ({kind})" for name, kind in report.formats.items())
    console.print(heading.append(f"  {files}", style="dim"))
    for line in _facts(survey, report):
        console.print(Text(f"  {line}", style="dim"))
    console.print()
    if survey.kinds:
        console.print(_table(survey))
    for line in _explained(survey):
        console.print(line)
    if command := _next_command(survey, logs):
        # Not wrapped, so that it can be pasted.
        console.print(Text(f"\nNext: {command}"), soft_wrap=True)


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _facts(survey: Survey, report: ReadReport) -> list[str]:
    from understudy.units import format_usd

    spend = survey.spend
    cost = f"spent: {format_usd(spend.known_usd)}"
    if spend.known_usd is not None:
        part = f" by {spend.n_known:,} calls; unknown for {spend.n_unknown:,}" if spend.n_unknown else ""
        cost += f" ({spend.source}){part}"
    lines = [cost + (f": {spend.reason}" if spend.reason else "")]
    days = survey.days
    if days is None:
        lines.append("time: unknown, so sums are those of the log")
    elif survey.month_factor is None:
        lines.append(f"time: {24 * days:.1f} hours, too short to speak of a month; sums are those of the log")
    else:
        lines.append(
            f"time: {days:.1f} days; sums of 30 days are those of the log x {survey.month_factor:.3g}"
        )
    if report.n_refused:
        lines.append(f"refused: {report.n_refused:,} lines (`understudy inspect` says why)")
    return [*lines, *(f"{count:,} x {note}" for note, count in sorted(report.notes.items()))]


def _table(survey: Survey) -> Any:
    from rich import box
    from rich.table import Table

    per = "in 30 days" if survey.month_factor is not None else "in this log"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("kind of request", no_wrap=True)
    table.add_column("calls", justify="right", no_wrap=True)
    table.add_column("spent", justify="right", min_width=9)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("tokens\nin/out", justify="right", no_wrap=True)
    table.add_column("answer", min_width=9, max_width=13)
    table.add_column("inputs\nrepeat", justify="right", no_wrap=True)
    table.add_column(f"would save\n{per}", min_width=11)
    for one in survey.kinds[:_MOST_SHOWN]:
        table.add_row(*_row(one, survey.month_factor))
    if len(survey.kinds) > _MOST_SHOWN:
        table.add_row(f"... {len(survey.kinds) - _MOST_SHOWN:,} more (--json)", *[""] * 7)
    if survey.other.n_calls:
        table.add_row(*_row(survey.other, survey.month_factor))
    return table


def _row(one: KindSurvey, month_factor: float | None) -> list[Any]:
    from rich.text import Text

    from understudy.units import format_usd

    spend = one.spend
    least = ">= " if spend.known_usd is not None and spend.n_unknown else ""
    n_in, n_out = one.tokens
    tokens = "?" if n_in is None or n_out is None else f"{n_in:.0f}/{n_out:.0f}"
    name = "other" if one.kind is None else one.kind.name
    return [
        Text(name, style="dim" if one.kind is None else ""),
        f"{one.n_calls:,}",
        least + format_usd(spend.known_usd),
        _percent(one.share_of_spend),
        tokens,
        Text("-" if one.kind is None else one.answer),
        _percent(one.repeats),
        _saving(one, month_factor),
    ]


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:.0f} %"


def _saving(one: KindSurvey, month_factor: float | None) -> str:
    from understudy.units import format_usd

    if one.kind is None:
        return "-"
    if one.task is None:
        return "no answers to learn from"
    if not one.is_learnable:
        only = len(one.deferred) == len(one.task.fields)
        return "not learnable yet" if only else "in part lists"
    if one.spend.known_usd is None or one.spend.n_unknown:
        return "unknown"
    if one.calls_missing:
        return f"needs {one.calls_missing:,} more calls"
    return f"up to {format_usd(one.spend.known_usd * (month_factor or 1.0))}"


def _explained(survey: Survey) -> Iterator[Any]:
    from rich.padding import Padding
    from rich.text import Text

    learnable = [one for one in survey.kinds if one.is_learnable and not one.calls_missing]
    if learnable:
        yield Padding(
            Text(
                '"Up to" is all that the kind costs: what share a student would answer is not known before it '
                "has learnt.",
                style="dim",
            ),
            (0, 2),
        )
    if any(not one.is_learnable and one.task is not None for one in survey.kinds):
        yield Padding(
            Text(
                "Lists of other things than labels are not learnable yet: they go to the teacher, and with them "
                "every call that needs them.",
                style="dim",
            ),
            (0, 2),
        )
    if any(one.texts for one in survey.kinds):
        yield Padding(
            Text(
                "Free text is learnt by the writer rung; a task file says when two texts count as equal.",
                style="dim",
            ),
            (0, 2),
        )
    if survey.other.n_calls:
        yield Padding(
            Text("Other: requests that no other request resembles, such as a person's chat.", style="dim"),
            (0, 2),
        )


def _next_command(survey: Survey, logs: Sequence[str]) -> str | None:
    """How to learn the kind that costs most among those that can be learnt."""
    from understudy.dataset.ledger_log import is_ledger

    for one in survey.kinds:
        if one.kind is not None and one.is_learnable and not one.calls_missing:
            words = []
            for log in logs:
                # A URL may hold a password.
                shown = "URL" if "://" in log else shlex.quote(log)
                words.append(f"--from-ledger {shown}" if is_ledger(log) else shown)
            return f"understudy learn {' '.join(words)} --request-kind {one.kind.name}"
    return None
