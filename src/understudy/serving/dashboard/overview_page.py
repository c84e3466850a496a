"""The overview as a page: filters, tiles, two charts, tables. What is unknown is said, and never drawn as 0."""

from __future__ import annotations

from understudy.certify.certification import percent
from understudy.drawing.bars import Bars, Stack, draw_bars
from understudy.drawing.markup import Html, foreign, tag
from understudy.drawing.svg import figure, usd_tick
from understudy.ledger.queries import MoneySum
from understudy.serving.dashboard.layout import Frame, notice, page, tile
from understudy.serving.dashboard.overview import Overview
from understudy.serving.dashboard.overview_tables import latest_calls, task_table
from understudy.serving.dashboard.periods import PERIODS
from understudy.serving.dashboard.words import NANO, WHO_COLOURS, compared_answers, money, overview_address
from understudy.units import format_usd

__all__ = ["overview_page"]

_NOTABLE_LAG = 1_000
"""Calls in the spool that are worth a word; a few are always on their way."""


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
    body.append(task_table(facts))
    if facts.latest:
        body.append(latest_calls(facts.latest))
    return page("Overview", frame, "overview", *body)


def _filters(facts: Overview) -> Html:
    links = [
        tag(
            "a",
            one.name,
            href=overview_address(one.key, facts.task),
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


def _tiles(facts: Overview) -> Html:
    totals = facts.totals
    saved, saved_below = money(totals.saving)
    spent, spent_below = money(totals.cost)
    would, would_below = money(totals.teacher_cost)
    n_student, n_failed = totals.answered["student"], totals.answered["failed"]
    right, n = (sum(ends) for ends in zip(*map(compared_answers, facts.tasks), strict=True))
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
        return [one.known_nanousd / NANO if one.n_known or not one.n_unknown else None for one in sums]

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
        for name, cls in WHO_COLOURS.items()
        if facts.totals.answered[name] or name in ("student", "upstream")
    ]
    return _chart("Who answered", stacks, facts, "", tip=lambda value: f"{value:,.0f}")


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
