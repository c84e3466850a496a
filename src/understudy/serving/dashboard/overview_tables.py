"""The tables of the overview: tasks with their certificates, and the latest calls."""

from __future__ import annotations

from datetime import UTC, datetime

from understudy.certify.bounds import clopper_pearson_interval
from understudy.certify.certification import percent, percent_at_least, percent_at_most
from understudy.drawing.markup import EMPTY, Html, foreign, tag
from understudy.ledger.record import CallRecord
from understudy.serving.dashboard.overview import Overview, TaskRow
from understudy.serving.dashboard.words import (
    NANO,
    WHO_COLOURS,
    compared_answers,
    money,
    no_value,
    overview_address,
)
from understudy.units import format_duration, format_usd

__all__ = ["latest_calls", "task_table"]

_SMALLEST_SHOWN_NANOUSD = 1_000
_BADGES = {"holds": "accent", "doubt": "warn", "unseen": "", "uncertified": ""}


def task_table(facts: Overview) -> Html:
    """A row per task, with its certificate."""
    if not facts.tasks:
        return EMPTY
    head = ("Task", "Calls", "Coverage", "Saved", "Agreement", "p50 / p95 / p99", "Certificate")
    cells = [tag("th", name, scope="col", cls="num" if 0 < at < 6 else None) for at, name in enumerate(head)]
    table = tag(
        "table",
        tag("thead", tag("tr", *cells)),
        tag("tbody", *(_task_row(row, facts) for row in facts.tasks)),
        cls="tasks",
    )
    sampled = max((row.latency.one_in for row in facts.tasks if row.latency), default=1)
    words = (
        "Agreement: with upstream, where the student answers or would have answered; 95 % interval, exact. "
        "p50 / p95 / p99: percentiles of latency."
    )
    if sampled > 1:
        words = words[:-1] + f", of one call in {sampled}."
    return tag(
        "section",
        tag("h2", "Tasks"),
        tag("div", table, cls="scroll"),
        tag("p", words, cls="caption"),
        id="tasks",
    )


def _task_row(row: TaskRow, facts: Overview) -> Html:
    totals = row.totals
    name: Html = (
        tag("span", "no task", cls="unknown")
        if row.name is None
        else tag("a", foreign(row.name), href=overview_address(facts.period.key, row.name))
    )
    saved, below = money(totals.saving)
    coverage = percent(totals.answered["student"], totals.n_calls) if totals.n_calls else no_value()
    return tag(
        "tr",
        tag("th", name, scope="row"),
        _cell("Calls", f"{totals.n_calls:,}"),
        _cell("Coverage", coverage),
        _cell("Saved", saved, tag("small", below) if below else None),
        _cell("Agreement", *_agreement(row)),
        _cell("Latency", _latency(row)),
        tag("td", *_certificate(row), cls="certificate", data_name="Certificate"),
    )


def _cell(name: str, *content: object) -> Html:
    return tag("td", *content, cls="num", data_name=name)


def _agreement(row: TaskRow) -> tuple[object, ...]:
    right, n = compared_answers(row)
    if not n:
        return (no_value(),)
    low, high = clopper_pearson_interval(right, n)
    return percent(right, n), tag("small", f"{percent_at_least(low)} to {percent_at_most(high)}, n = {n:,}")


def _latency(row: TaskRow) -> object:
    if row.latency is None or row.latency.latency.p50_us is None:
        return no_value()
    found = row.latency.latency
    return " / ".join(
        format_duration(None if one is None else one / 1e6)
        for one in (found.p50_us, found.p95_us, found.p99_us)
    )


def _certificate(row: TaskRow) -> list[Html]:
    if row.state is None:
        words = "passed through" if row.name is None else "not served now"
        return [tag("span", words, cls="unknown")]
    badge = tag("span", row.state.title, cls=f"badge {_BADGES[row.state.name]} state-{row.state.name}")
    parts = [badge, tag("p", row.state.detail.replace(" %", "\u00a0%"), cls="why")]
    if row.sentence:
        parts.append(tag("details", tag("summary", "The certificate"), tag("p", row.sentence, cls="why")))
    return parts


def latest_calls(records: list[CallRecord]) -> Html:
    """A row per call, without texts."""
    head = ("Time", "Task", "Answered by", "Confidence", "Latency", "Tokens", "Cost", "Saved", "Status")
    cells = [tag("th", name, scope="col", cls="num" if at > 2 else None) for at, name in enumerate(head)]
    table = tag(
        "table", tag("thead", tag("tr", *cells)), tag("tbody", *map(_call_row, records)), cls="latest"
    )
    return tag("section", tag("h2", "Latest calls"), tag("div", table, cls="scroll"), id="latest")


def _call_row(record: CallRecord) -> Html:
    moment = datetime.fromtimestamp(record.time_ms / 1000, UTC)
    tokens: object = f"{_known(record.input_tokens)} + {_known(record.output_tokens)}"
    if record.answered_by in ("student", "uncertified"):
        tokens = no_value()  # no language model read or wrote any
    status = tag(
        "span", record.status, cls="badge warn" if record.status >= 400 else "badge", title=record.error
    )
    return tag(
        "tr",
        tag("td", f"{moment:%d %b %H:%M:%S}", title=record.id, cls="time"),
        tag("td", no_value() if record.task is None else foreign(record.task)),
        tag("td", tag("i", cls=f"swatch {WHO_COLOURS[record.answered_by]}"), record.answered_by, cls="by"),
        tag("td", no_value() if record.confidence is None else f"{record.confidence:.3f}", cls="num"),
        tag("td", format_duration(record.latency_us / 1e6), cls="num"),
        tag("td", tokens, cls="num"),
        tag("td", _usd(record.cost_nanousd), cls="num"),
        tag("td", _saving(record), cls="num"),
        tag("td", status, cls="num"),
    )


def _known(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _usd(nanousd: int | None) -> object:
    if nanousd is None:
        return tag("span", "unknown", cls="unknown")
    if nanousd and abs(nanousd) < _SMALLEST_SHOWN_NANOUSD:
        return "< $0.000001" if nanousd > 0 else "> -$0.000001"
    return format_usd(nanousd / NANO)


def _saving(record: CallRecord) -> object:
    if record.answered_by != "student":
        return no_value()
    if record.cost_nanousd is None or record.teacher_cost_nanousd is None:
        return tag("span", "unknown", cls="unknown")
    return _usd(record.teacher_cost_nanousd - record.cost_nanousd)
