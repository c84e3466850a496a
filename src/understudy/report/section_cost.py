"""What it costs: per call, over volume, and what finding out has cost so far."""

from __future__ import annotations

from functools import partial

from understudy.drawing.markup import Html, join, tag
from understudy.drawing.svg import figure
from understudy.report.chart_volume import draw_volume
from understudy.report.layout import Section, badge, paragraph, tile
from understudy.report.reading import Facts, number, part, plural, rows, text
from understudy.report.summary import Summary
from understudy.report.tables import Cell, duration_cell, table, text_cell, unknown
from understudy.units import format_duration, format_usd

__all__ = ["cost_section", "receipt_section"]

Triple = tuple[float, float | None, float | None]


def _series(breakeven: Facts) -> list[Triple]:
    out: list[Triple] = []
    for entry in breakeven.get("series") or ():
        if isinstance(entry, list | tuple) and len(entry) == 3:
            keyed = dict(zip("nab", entry, strict=True))
            volume = number(keyed, "n")
            if volume is not None:
                out.append((volume, number(keyed, "a"), number(keyed, "b")))
    return sorted(out, key=lambda row: row[0])


def cost_section(facts: Facts, summary: Summary) -> Section:
    """Cost against volume with the break-even."""
    breakeven = part(facts, "breakeven")
    calls, reason = number(breakeven, "calls"), text(breakeven, "reason")
    series = _series(breakeven)
    title = "Cost against volume"
    has_lines = sum(1 for _, a, b in series if a and b) > 1
    if not has_lines:
        words = paragraph(_why_unknown(summary, reason), _price_hint(summary), cls="lede")
        return Section("cost", "Cost", title, join([words, _per_million(summary)]))
    if calls is None:
        why = f": {reason.removeprefix('never: ')}" if reason else ""
        lede = f"It does not pay back{why}."
    else:
        lede = f"Building it has paid for itself after {plural(calls, 'call')}."
    picture = figure(
        partial(draw_volume, series, calls),
        (
            "Teacher alone against build cost, compute on every call and the teacher on deferred"
            " ones. Both axes logarithmic."
        ),
    )
    return Section("cost", "Cost", title, join([paragraph(lede, cls="lede"), picture, _per_million(summary)]))


def _why_unknown(summary: Summary, reason: str | None) -> str:
    if summary.teacher_usd is None:
        return f"Unknown, because the teacher's price is: {summary.teacher_usd_reason}. "
    words = reason or summary.system_usd_reason or "it was not computed"
    return f"Unknown: {words.removeprefix('unknown: ')}. "


def _price_hint(summary: Summary) -> str:
    return (
        "Give the teacher's price of a call with --teacher-price to see it."
        if summary.teacher_usd is None
        else ""
    )


def _per_million(summary: Summary) -> Html:
    def million(usd: float | None) -> str:
        return format_usd(None if usd is None else 1e6 * usd)

    rest = (
        None
        if summary.system_usd is None or summary.student_usd is None
        else summary.system_usd - summary.student_usd
    )
    return tag(
        "div",
        tile(
            "Teacher alone, a million calls",
            million(summary.teacher_usd),
            "" if summary.teacher_usd is not None else summary.teacher_usd_reason,
        ),
        tile("Compute of the student", million(summary.student_usd), "on every call, deferred ones too"),
        tile(
            "Teacher on deferred calls", million(rest), "" if rest is not None else summary.system_usd_reason
        ),
        tile(
            "Together",
            million(summary.system_usd),
            "" if summary.system_usd is not None else summary.system_usd_reason,
        ),
        cls="tiles small",
    )


def receipt_section(facts: Facts) -> Section:
    """Where time and money went."""
    receipt = part(facts, "receipt")
    body = []
    for row in rows(receipt, "rungs"):
        is_cached = bool(row.get("was_cached"))
        state = badge("from cache") if is_cached else badge("fitted", "accent")
        body.append(
            [
                text_cell(text(row, "name") or "?"),
                duration_cell(number(row, "seconds"), "not tried"),
                Cell(state, str(is_cached)),
            ]
        )
    usd = number(receipt, "machine_usd")
    paid = number(receipt, "teacher_usd")
    tiles = tag(
        "div",
        tile(
            "Machine time",
            format_duration(number(receipt, "machine_seconds")),
            "all rungs, those not chosen too",
        ),
        tile("Its price", unknown() if usd is None else format_usd(usd), _rate(facts)),
        tile(
            "Recorded answers were worth",
            unknown("the log holds no prices") if paid is None else format_usd(paid),
            "paid to the teacher before"
            if paid is not None
            else "unknown: the log holds neither costs nor priced tokens",
        ),
        cls="tiles small",
    )
    made = table(["Rung", "Time", "State"], body, caption="Time by rung", cls="slim")
    return Section("receipt", "Receipt", "The receipt", join([tiles, made]))


def _rate(facts: Facts) -> str:
    rate = number(part(facts, "options"), "core_hour_usd")
    return "at an unknown rate" if rate is None else f"at {format_usd(rate)} per core-hour"
