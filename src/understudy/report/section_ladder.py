"""The ladder: the picture, the rungs one by one, and every system that was judged."""

from __future__ import annotations

from functools import partial

from understudy.drawing.markup import EMPTY, Html, join, tag
from understudy.drawing.svg import figure
from understudy.report.chart_ladder import draw_ladder, ladder_views
from understudy.report.layout import Section, badge, fold, paragraph, switch
from understudy.report.reading import Facts, number, part, plural, rows, text
from understudy.report.summary import Summary, members_of
from understudy.report.tables import (
    Cell,
    bytes_cell,
    duration_cell,
    share_cell,
    table,
    text_cell,
    usd_cell,
)

__all__ = ["accuracy_of", "ladder_section", "rung_colours"]

_COLOURS = {"lookup": 0, "linear": 1, "frozen": 2, "tuned": 3, "distilled": 4}
_MORE_COLOURS = (5, 0)  # of plug-ins
_FITTED = ("fitted", "cached")


def rung_colours(facts: Facts) -> dict[str, str]:
    """One colour class per rung, the same in every chart."""
    names = [str(row.get("name")) for row in rows(facts, "rungs")]
    others = [name for name in names if name not in _COLOURS]
    extra = {name: _MORE_COLOURS[at % len(_MORE_COLOURS)] for at, name in enumerate(others)}
    return {name: f"c{(_COLOURS | extra)[name]}" for name in names}


def accuracy_of(rung: Facts) -> float | None:
    """A rung's share equal to the reference on whole records, or on its only field."""
    found = part(rung, "accuracy")
    if "record" in found:
        return number(found, "record")
    return number(found, next(iter(found))) if len(found) == 1 else number(rung, "accuracy")


def ladder_section(facts: Facts, summary: Summary) -> Section:
    """Picture and tables."""
    colours = rung_colours(facts)
    target = "unknown" if summary.target is None else f"{100 * summary.target:g} %"
    views = [
        (view.title, figure(partial(draw_ladder, view, colours), None))
        for view in ladder_views(facts, target)
    ]
    picture = (
        switch("ladder", views) if views else paragraph("Nothing to draw: no system was judged.", cls="quiet")
    )
    legend = paragraph(
        "Large dots: one rung alone. Small dots: averages and cascades of two. Stairs: the"
        " frontier, where nothing is"
        " both cheaper and better. Figures in this section are forecasts on the select split,"
        " by which the system was"
        " chosen; the certificate is measured on calls that no choice has seen.",
        cls="caption",
    )
    body = join(
        [
            _lede(facts, summary),
            picture,
            legend if views else EMPTY,
            _rung_table(facts, summary, colours),
            _systems(facts, _verdict(summary)),
        ]
    )
    return Section("ladder", "Ladder", "The ladder", body)


def _lede(facts: Facts, summary: Summary) -> Html:
    stop = text(facts, "stop_reason")
    if summary.chosen is None:
        words = "No rung could be fitted."
    elif not summary.is_certified:
        words = f"{summary.chosen} came closest, but does not hold the target."
    elif summary.teacher_usd is None:
        words = f"{summary.chosen} won: no other system answers more calls at the target for less compute."
    else:
        words = f"{summary.chosen} won: no other system has a lower cost per call, deferred calls included."
    return paragraph(words, f" The climb: {stop}." if stop else "", cls="lede")


def _rung_table(facts: Facts, summary: Summary, colours: dict[str, str]) -> Html:
    chosen = members_of(summary.chosen) if summary.chosen else []
    verdict = _verdict(summary)
    word = "Agreement" if summary.reference == "teacher" else "Accuracy"
    heads = [
        "Rung",
        "Status",
        "Fit time",
        "Size",
        "Per answer",
        "Per million",
        word,
        "Coverage at target",
        "int8 = float",
    ]
    body = []
    for rung in rows(facts, "rungs"):
        name, reason = text(rung, "name") or "?", text(rung, "reason")
        is_fitted = rung.get("status") in _FITTED
        usd = number(rung, "call_usd")
        if not is_fitted:
            body.append([Cell(_rung_name(name, colours, None), name), _not_tried(reason, len(heads) - 1)])
            continue
        body.append(
            [
                Cell(_rung_name(name, colours, verdict if name in chosen else None), name),
                Cell(_status(rung, reason), text(rung, "status") or ""),
                duration_cell(number(rung, "fit_seconds")),
                bytes_cell(number(rung, "size_bytes")),
                duration_cell(number(rung, "call_seconds")),
                usd_cell(None if usd is None else 1e6 * usd),
                share_cell(accuracy_of(rung)),
                share_cell(number(rung, "coverage")),
                share_cell(number(rung, "float_agreement"), "this rung has no float form to compare with"),
            ]
        )
    return table(heads, body, caption="Every rung, cheapest first", cls="rungs")


def _verdict(summary: Summary) -> Html:
    return badge("chosen", "accent") if summary.is_certified else badge("closest", "warn")


def _rung_name(name: str, colours: dict[str, str], verdict: Html | None) -> Html:
    return join(
        [tag("i", cls=f"swatch {colours.get(name, 'c0')}"), name, join([" ", verdict]) if verdict else EMPTY]
    )


def _not_tried(reason: str | None, columns: int) -> Cell:
    words = tag("span", f"not tried: {reason or 'the reason is unknown'}", cls="quiet")
    return Cell(words, None, span=columns)


def _status(rung: Facts, reason: str | None) -> Html:
    status = text(rung, "status") or "unknown"
    return join([tag("span", status), tag("div", reason, cls="why") if reason else EMPTY])


def _systems(facts: Facts, verdict: Html) -> Html:
    found = rows(facts, "candidates")
    if not found:
        return EMPTY
    heads = [
        "System",
        "Coverage at target",
        "Right on all",
        "Per answer",
        "Compute per million",
        "All in per million",
    ]
    body = []
    for row in found:
        compute, total = number(row, "call_usd"), number(row, "total_usd")
        name = text(row, "name") or "?"
        shown = join([name, " ", verdict]) if row.get("is_chosen") else name
        body.append(
            [
                Cell(shown, name) if isinstance(shown, Html) else text_cell(name),
                share_cell(number(row, "coverage")),
                share_cell(number(row, "accuracy")),
                duration_cell(number(row, "call_seconds")),
                usd_cell(None if compute is None else 1e6 * compute),
                usd_cell(None if total is None else 1e6 * total, "the teacher's price is unknown"),
            ]
        )
    stages = rows(facts, "stages")
    spoke = [[text_cell(text(row, "rung") or "?"), share_cell(number(row, "share"))] for row in stages]
    return join(
        [
            table(["Stage", "Spoke on"], spoke, caption="Which stage spoke, on the certify split", cls="slim")
            if len(stages) > 1
            else EMPTY,
            fold(
                f"{plural(len(found), 'system')} judged",
                table(heads, body, caption="Systems judged on the select split"),
            ),
        ]
    )
