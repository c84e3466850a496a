"""The overview as a page: tiles, two charts, tasks, latest calls. What is unknown is said, and never drawn as 0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from understudy.certify.bounds import clopper_pearson_interval
from understudy.certify.certification import percent, percent_at_least, percent_at_most
from understudy.drawing.bars import Bars, Stack, draw_bars
from understudy.drawing.markup import EMPTY, Html, foreign, tag
from understudy.drawing.svg import figure, usd_tick
from understudy.ledger.queries import MoneySum
from understudy.ledger.record import AnsweredBy, CallRecord
from understudy.serving.dashboard.layout import Frame, notice, page, tile
from understudy.serving.dashboard.overview import Overview, TaskRow
from understudy.serving.dashboard.periods import PERIODS
from understudy.units import format_duration, format_usd

__all__ = ["money", "overview_page"]

_NANO = 1e9
_NOTABLE_LAG = 1_000
_SMALLEST_SHOWN = 1_000
_BADGES = {"holds": "accent", "doubt": "warn", "unseen": "", "uncertified": ""}
_WHO: Final[Mapping[AnsweredBy, str]] = {
    "student": "accent",
    "upstream": "c1",
    "uncertified": "c2",
    "failed": "c3",
}


def overview_page(
    facts: Overview, frame: Frame, *, base_url: str, lag_records: int, ledger_error: str | None
) -> Html:
    """The page.

    Parameters
    ----------
    facts
        What to show.
    frame
        Around it.
    base_url
        What applications are pointed at.
    lag_records, ledger_error
        Calls that are not in the database yet, and why if it does not answer.
    """
    body: list[Html] = [_filters(facts)]
    if ledger_error is not None:
        words = f"The ledger's database does not answer ({ledger_error}). {lag_records:,} calls are safe in the spool."
        body.append(notice(words, is_warning=True))
    elif lag_records > _NOTABLE_LAG:
        body.append(notice(f"{lag_records:,} calls are in the spool and not in these figures yet."))
    if not facts.totals.n_calls:
        body.append(_empty(facts, base_url))
    else:
        body += [_tiles(facts), _charts(facts)]
    body.append(_tasks(facts))
    if facts.latest:
        body.append(_latest(facts.latest))
    return page("Overview", frame, "overview", *body)


def _address(period: str, task: str | None) -> str:
    given = {"period": period, **({} if task is None else {"task": task})}
    return f"/dashboard?{urlencode(given)}"


def _filters(facts: Overview) -> Html:
    links = [
        tag(
            "a",
            one.name,
            href=_address(one.key, facts.task),
            aria_current="true" if one == facts.period else None,
        )
        for one in PERIODS.values()
    ]
    options = [
        tag("option", "All tasks", value=""),
        *(tag("option", name, value=name, selected=name == facts.task) for name in facts.names),
    ]
    form = tag(
        "form",
        tag("input", type="hidden", name="period", value=facts.period.key),
        tag("select", *options, name="task", aria_label="Task"),
        tag("button", "Show", type="submit", cls="button"),
        method="get",
        action="/dashboard",
        cls="task-form",
    )
    title = "All tasks" if facts.task is None else foreign(facts.task)
    return tag(
        "div",
        tag("h1", title),
        tag(
            "div", tag("div", *links, cls="segments", role="group", aria_label="Period"), form, cls="controls"
        ),
        cls="top",
    )


def money(amount: MoneySum) -> tuple[object, str]:
    """A sum for a tile: the amount, and what it leaves out."""
    if not amount.n_known and not amount.n_unknown:
        return tag("span", "none yet", cls="unknown"), ""
    if not amount.n_known:
        return tag("span", "unknown", cls="unknown"), f"for all {amount.n_unknown:,} calls"
    shown = format_usd(amount.known_nanousd / _NANO)
    return shown, f"and unknown for {amount.n_unknown:,} calls" if amount.n_unknown else ""


def _tiles(facts: Overview) -> Html:
    totals = facts.totals
    saved, saved_below = money(totals.saving)
    spent, spent_below = money(totals.cost)
    would, would_below = money(totals.teacher_cost)
    n_student, n_failed = totals.answered["student"], totals.answered["failed"]
    right, n = (sum(ends) for ends in zip(*map(_compared, facts.tasks), strict=True))
    agreement: tuple[object, object] = (
        (percent(right, n), f"{right:,} of {n:,} answers that were compared")
        if n
        else (tag("span", "unknown", cls="unknown"), "nothing was compared: use shadow mode or audits")
    )
    waiting: object = f"{facts.queue.n_waiting:,}"
    if facts.queue.n_waiting:
        waiting = tag("a", waiting, href="/dashboard/review")
    return tag(
        "div",
        tile("Saved", saved, saved_below or f"in {facts.period.words}", cls="key"),
        tile("Spent", spent, spent_below or "on upstream and students"),
        tile("Would have cost", would, would_below or "at the teacher alone"),
        tile("Coverage", percent(n_student, totals.n_calls), f"{n_student:,} calls by students"),
        tile("Agreement", *agreement),
        tile("Calls", f"{totals.n_calls:,}", f"in {facts.period.words}"),
        tile("Failures", f"{n_failed:,}", f"{percent(n_failed, totals.n_calls)} of calls"),
        tile("To review", waiting, "disagreements, of all time"),
        cls="tiles",
    )


def _charts(facts: Overview) -> Html:
    return tag("div", _money_chart(facts), _who_chart(facts), cls="halves charts")


def _legend(stacks: list[Stack]) -> Html:
    return tag(
        "ul", *(tag("li", tag("i", cls=f"swatch {one.cls}"), one.name) for one in stacks), cls="legend"
    )


def _chart(heading: str, stacks: list[Stack], facts: Overview, words: str, **how: object) -> Html:
    labels = [facts.period.label(start) for start in facts.steps]
    bars = Bars(f"{heading} per {facts.period.step}", labels, stacks, **how)  # type: ignore[arg-type]
    drawn = figure(lambda width: draw_bars(bars, width), words, wide=520)
    return tag(
        "section", tag("h2", f"{heading} per {facts.period.step}"), _legend(stacks), drawn, cls="chart"
    )


def _money_chart(facts: Overview) -> Html:
    steps = list(facts.steps.values())

    def usd(sums: list[MoneySum]) -> list[float | None]:
        return [one.known_nanousd / _NANO if one.n_known or not one.n_unknown else None for one in sums]

    stacks = [
        Stack("Spent", usd([one.cost for one in steps]), "c0"),
        Stack("Saved", usd([one.saving for one in steps]), "accent"),
    ]
    n_unknown = facts.totals.cost.n_unknown
    words = f"{n_unknown:,} calls of unknown cost are in no bar." if n_unknown else ""
    return _chart("Spent and saved", stacks, facts, words, tick=usd_tick, tip=format_usd)


def _who_chart(facts: Overview) -> Html:
    stacks = [
        Stack(name.capitalize(), [one.answered[name] for one in facts.steps.values()], cls)
        for name, cls in _WHO.items()
        if facts.totals.answered[name] or name in ("student", "upstream")
    ]
    return _chart("Who answered", stacks, facts, "", tip=lambda value: f"{value:,.0f}")


def _tasks(facts: Overview) -> Html:
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
        else tag("a", foreign(row.name), href=_address(facts.period.key, row.name))
    )
    saved, below = money(totals.saving)
    coverage = percent(totals.answered["student"], totals.n_calls) if totals.n_calls else _none()
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


def _none() -> Html:
    return tag("span", "–", cls="unknown")


def _compared(row: TaskRow) -> tuple[int, int]:
    """Answers that agree, and answers that were compared."""
    # Without the artefact nobody knows which calls it would have deferred: then all comparisons count.
    return (row.totals.n_agreeing, row.totals.n_compared) if row.state is None else row.state.agreement


def _agreement(row: TaskRow) -> tuple[object, ...]:
    right, n = _compared(row)
    if not n:
        return (_none(),)
    low, high = clopper_pearson_interval(right, n)
    return percent(right, n), tag("small", f"{percent_at_least(low)} to {percent_at_most(high)}, n = {n:,}")


def _latency(row: TaskRow) -> object:
    if row.latency is None or row.latency.latency.p50_us is None:
        return _none()
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


def _latest(records: list[CallRecord]) -> Html:
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
        tokens = _none()  # no language model read or wrote any
    status = tag(
        "span", record.status, cls="badge warn" if record.status >= 400 else "badge", title=record.error
    )
    return tag(
        "tr",
        tag("td", f"{moment:%d %b %H:%M:%S}", title=record.id, cls="time"),
        tag("td", _none() if record.task is None else foreign(record.task)),
        tag("td", tag("i", cls=f"swatch {_WHO[record.answered_by]}"), record.answered_by, cls="by"),
        tag("td", _none() if record.confidence is None else f"{record.confidence:.3f}", cls="num"),
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
    if nanousd and abs(nanousd) < _SMALLEST_SHOWN:
        return "< $0.000001" if nanousd > 0 else "> -$0.000001"
    return format_usd(nanousd / _NANO)


def _saving(record: CallRecord) -> object:
    if record.answered_by != "student":
        return _none()
    if record.cost_nanousd is None or record.teacher_cost_nanousd is None:
        return tag("span", "unknown", cls="unknown")
    return _usd(record.teacher_cost_nanousd - record.cost_nanousd)


def _empty(facts: Overview, base_url: str) -> Html:
    if facts.latest:
        return notice(f"No calls in {facts.period.words}. Choose a longer period.")
    line = f'client = OpenAI(base_url="{base_url}")'
    return tag(
        "div",
        tag("h2", "No calls yet"),
        tag("p", "Point your application here. In Python it is one line:", cls="lede"),
        tag("pre", tag("code", line)),
        cls="empty",
    )
