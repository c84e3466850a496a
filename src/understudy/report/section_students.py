"""What each rung is worth: its effective size in calls of the reference rung, and in bytes on the ladder's own fit."""

from __future__ import annotations

from understudy.density.students import StudentSize, student_sizes
from understudy.drawing.markup import EMPTY, Html, join
from understudy.report.layout import Section, paragraph
from understudy.report.reading import Facts
from understudy.report.section_ladder import rung_colours
from understudy.report.tables import Cell, bytes_cell, count_cell, share_cell, table, text_cell, unknown
from understudy.units import format_count

__all__ = ["students_section"]


def students_section(facts: Facts) -> Section:
    """A short table with reasons where a size is unknown."""
    found = student_sizes(facts)
    title = "Effective size of the rungs"
    if not found.rows:
        return Section("sizes", "", title, paragraph("Unknown: no rung was fitted.", cls="quiet"))
    if found.reference is None:
        lede = paragraph(f"Unknown in calls: {found.reason}.", cls="quiet")
    else:
        lede = paragraph(
            f"Worth in calls: how many calls the {found.reference} rung would have to learn from to err as rarely, by"
            " its own learning curve. Worth in bytes: the size at which the other rungs' fit of errors against size"
            " gives this error. Both hold for this task only.",
            cls="lede",
        )
    names = rung_colours(facts)
    body = [_row(one) for one in found.rows if one.name in names]
    heads = [
        "Rung",
        "Learnt from",
        "Errors",
        "Worth in calls",
        "Calls per call",
        "Size",
        "Worth in bytes",
        "Density",
    ]
    made = table(heads, body, caption="Effective size, on the select split") if body else EMPTY
    return Section("sizes", "", title, join([lede, made]))


def _row(one: StudentSize) -> list[Cell]:
    return [
        text_cell(one.name),
        count_cell(one.n_calls, one.calls_reason),
        share_cell(one.error, one.calls_reason),
        _calls(one),
        _ratio(one.data_leverage, one.calls_reason),
        bytes_cell(one.size_bytes, one.size_reason),
        bytes_cell(one.effective_bytes, one.size_reason),
        _ratio(one.density, one.size_reason),
    ]


def _calls(one: StudentSize) -> Cell:
    if one.effective_calls is None:
        return Cell(unknown(one.calls_reason), None, is_number=True, reason=one.calls_reason)
    low, high = one.effective_calls_lower, one.effective_calls_upper
    words = format_count(one.effective_calls)
    if low != high:
        above = "open" if high is None else format_count(high)
        below = "open" if low is None else format_count(low)
        words += f" ({below} to {above})"
    return Cell(Html(words), one.effective_calls, is_number=True)


def _ratio(value: float | None, reason: str | None) -> Cell:
    if value is None:
        return Cell(unknown(reason), None, is_number=True, reason=reason)
    return Cell(Html(f"{value:.2f}"), value, is_number=True)
