"""Calls to read: where student and reference differ, and where the teacher itself may be wrong."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.drawing.markup import EMPTY, Html, foreign, join, tag
from understudy.report.layout import Section, paragraph
from understudy.report.reading import Facts, number, rows, text
from understudy.report.summary import Summary
from understudy.units import format_share

__all__ = ["disagreements_section", "suspects_section"]

_SHOWN = 10
_SIDE_CHARS = 120


def disagreements_section(facts: Facts, summary: Summary) -> Section:
    """Differences on the certify split, the surest first."""
    found = rows(facts, "disagreements")
    whose = "Teacher" if summary.reference == "teacher" else "Gold"
    title = "Disagreements to read"
    if not found:
        return Section("reading", "Reading", title, paragraph("None on the certify split.", cls="quiet"))
    items = [
        _entry(
            row,
            (whose, text(row, "reference")),
            ("Student", text(row, "student")),
            _sure(number(row, "confidence")),
            at,
        )
        for at, row in enumerate(found)
    ]
    words = (
        f"The {len(found)} surest answers that differ from {'the teacher' if whose == 'Teacher' else 'gold'}."
        " Some are the student's"
        " mistakes, some are calls on which careful people differ, some are mistakes of the reference."
    )
    return Section(
        "reading", "Reading", title, join([paragraph(words, cls="lede"), _searchable(items, "disagreements")])
    )


def suspects_section(facts: Facts) -> Section:
    """Recorded answers that look wrong, most suspect first."""
    found = rows(facts, "suspects")
    title = "Suspected teacher mistakes"
    if not found:
        words = (
            "None found, or not looked for: too few calls per class to judge a recorded answer by the others."
        )
        return Section("suspects", "", title, paragraph(words, cls="quiet"))
    items = [
        _entry(
            row,
            ("Teacher", text(row, "teacher")),
            ("Suggested", text(row, "suggested")),
            _score(number(row, "score")),
            at,
        )
        for at, row in enumerate(found)
    ]
    words = (
        f"{len(found)} recorded answers that a model which never saw them would give"
        " differently, most suspect first. A person who"
        " reads these few makes both the student and the certificate better."
    )
    return Section(
        "suspects", "", title, join([paragraph(words, cls="lede"), _searchable(items, "suspects")])
    )


def _sure(confidence: float | None) -> str:
    return "confidence unknown" if confidence is None else f"{format_share(confidence)} sure"


def _score(score: float | None) -> str:
    return "score unknown" if score is None else f"quality {score:.2f}"


def _searchable(items: Sequence[Html], name: str) -> Html:
    search = tag(
        "input",
        type="search",
        placeholder=f"Search {len(items)} {name}",
        aria_label=f"Search {name}",
        cls="filter",
    )
    is_long = len(items) > _SHOWN
    button = tag("button", f"Show all {len(items)}", type="button", cls="unfold") if is_long else None
    return tag(
        "div",
        search if is_long else None,
        tag(
            "div", tag("div", *items, cls="entries"), button, cls="tablebox folded" if is_long else "tablebox"
        ),
        tag("p", "Nothing matches.", cls="quiet nothing", hidden=True),
        cls="searchable",
    )


def _entry(
    row: Facts, left: tuple[str, str | None], right: tuple[str, str | None], aside: str, at: int
) -> Html:
    given = text(row, "input")
    field = text(row, "field")
    preview = " ".join(given.split())[:140] if given else "(texts are not kept in this report)"
    summary = tag(
        "summary",
        tag("span", foreign(preview), cls="preview"),
        tag(
            "span",
            _side(*left, cls="ref"),
            tag("span", "→", cls="arrow"),
            _side(*right, cls="stu"),
            cls="sides",
        ),
        tag("span", aside, cls="aside-number"),
    )
    about = [f"id {text(row, 'id') or 'unknown'}"] + ([f"field {field}"] if field else [])
    body = tag(
        "div",
        tag("blockquote", foreign(given)) if given else EMPTY,
        # What was written is longer than what fits beside the input.
        *(_whole(*side) for side in (left, right) if row.get("kind") == "text" and side[1] is not None),
        paragraph(foreign(" · ".join(about)), cls="quiet"),
        cls="fold",
    )
    return tag("details", summary, body, cls="entry more" if at >= _SHOWN else "entry")


def _whole(who: str, value: str | None) -> Html:
    return paragraph(tag("small", who), " ", foreign(value or ""))


def _side(who: str, value: str | None, *, cls: str) -> Html:
    return tag("span", tag("small", who), foreign(_short(value)), cls=f"side {cls}")


def _short(value: str | None) -> str:
    if value is None:
        return "(not kept)"
    return value if len(value) <= _SIDE_CHARS else value[: _SIDE_CHARS - 1] + "…"
