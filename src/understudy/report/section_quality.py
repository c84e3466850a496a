"""How good, in detail: risk against coverage, learning curves, fields and classes, calibration."""

from __future__ import annotations

from functools import partial

from understudy.drawing.markup import EMPTY, Html, foreign, join, tag
from understudy.drawing.svg import HALF, figure
from understudy.report.chart_calibration import Bin, draw_calibration
from understudy.report.chart_curve import Curve, draw_curve
from understudy.report.chart_risk import Line, draw_risk
from understudy.report.layout import Section, badge, fold, paragraph
from understudy.report.reading import Facts, number, part, rows, text
from understudy.report.section_ladder import rung_colours
from understudy.report.summary import Summary
from understudy.report.tables import Cell, bar_cell, count_cell, share_cell, table, text_cell
from understudy.units import format_count, format_share

__all__ = ["calibration_section", "curves_section", "fields_section", "risk_section"]


def _pairs(rung: Facts) -> tuple[tuple[float, float], ...]:
    out = []
    for pair in rung.get("risk_coverage") or ():
        if isinstance(pair, list | tuple) and len(pair) == 2:
            point = {"x": pair[0], "y": pair[1]}
            x, y = number(point, "x"), number(point, "y")
            if x is not None and y is not None:
                out.append((x, y))
    return tuple(sorted(out))


def risk_section(facts: Facts, summary: Summary) -> Section:
    """One curve per rung."""
    lines = [Line(text(rung, "name") or "?", _pairs(rung)) for rung in rows(facts, "rungs")]
    lines = [line for line in lines if line.points]
    title = "Risk against coverage"
    if not lines:
        return Section(
            "risk", "Risk", title, paragraph("Unknown: no rung was judged on the select split.", cls="quiet")
        )
    certified = None
    if summary.is_certified and summary.coverage is not None and summary.agreement is not None:
        certified = (summary.coverage, summary.agreement)
    target = summary.target if summary.of == "answered" else None
    lede = paragraph(
        "A model that may decline its doubtful calls is more often right on the rest. Each"
        " line shows one rung: the further"
        " right, the more it answers; where it dips below the target, it answers too much.",
        cls="lede",
    )
    picture = figure(
        partial(draw_risk, lines, rung_colours(facts), target, certified),
        (
            "Each rung by itself, calibrated, on the select split. The ringed mark is the chosen"
            " system on the certify split."
        ),
    )
    return Section("risk", "Risk", title, join([lede, picture]))


def curves_section(facts: Facts) -> Section:
    """One learning curve per rung, on one scale."""
    curves, missing = [], []
    for rung in rows(facts, "rungs"):
        name, curve = text(rung, "name") or "?", part(rung, "curve")
        made = _curve(name, curve)
        if made.points:
            curves.append(made)
        if rung.get("status") in ("fitted", "cached") and not made.forecast:
            missing.append(f"{name}: {text(curve, 'reason') or 'no learning curve was measured'}")
    body = []
    if curves:
        highest = max(
            *(
                errors / evaluated
                for curve in curves
                for _, evaluated, errors in curve.points
                if evaluated > 0
            ),
            *(row[3] for curve in curves for row in curve.forecast),
            0.01,
        )
        colours = rung_colours(facts)
        figures = [
            tag(
                "div",
                tag("h3", curve.name),
                figure(
                    partial(draw_curve, curve, colours.get(curve.name, "c0"), min(highest, 1.0)),
                    None,
                    wide=HALF,
                ),
            )
            for curve in curves
        ]
        words = (
            "Errors against the number of calls learnt from. Dots are measured; the line is a"
            " fitted power law with a floor,"
            " dashed where it is a forecast, with its 95 % band. It answers: would more calls"
            " help, or a dearer rung?"
        )
        body += [paragraph(words, cls="lede"), tag("div", *figures, cls="halves")]
    if missing:
        body.append(paragraph("No forecast for ", "; ".join(missing), ".", cls="quiet"))
    if not body:
        body.append(paragraph("Unknown: no rung was fitted on parts of the calls.", cls="quiet"))
    return Section("curves", "Learning", "Learning curves and their forecast", join(body))


def _curve(name: str, curve: Facts) -> Curve:
    points = []
    for row in rows(curve, "points"):
        n, evaluated, errors = (number(row, key) for key in ("n_calls", "n_eval", "n_errors"))
        if n and evaluated and errors is not None:
            points.append((n, evaluated, errors))
    forecast = []
    for entry in curve.get("forecast") or ():
        if isinstance(entry, list | tuple) and len(entry) == 4:
            keyed = dict(zip("nelh", entry, strict=True))
            values = [number(keyed, key) for key in "nelh"]
            if all(value is not None for value in values) and (values[0] or 0) > 0:
                forecast.append(tuple(float(value) for value in values if value is not None))
    return Curve(name, tuple(sorted(points)), tuple(sorted(forecast)))  # type: ignore[arg-type]


def fields_section(facts: Facts, summary: Summary) -> Section:
    """Fields, then the classes of each."""
    fields = rows(facts, "fields")
    if not fields:
        return Section(
            "fields",
            "Fields",
            "Fields and classes",
            paragraph("Unknown: no field was measured.", cls="quiet"),
        )
    deferred = [str(name) for name in facts.get("deferred_fields") or ()]
    parts: list[Html] = []
    if len(fields) + len(deferred) > 1:
        words = (
            "Each field's certificate holds by itself; the certificate above is for the whole"
            " record, all required fields at once."
        )
        parts += [
            paragraph(words, cls="lede"),
            _field_table(facts, fields, deferred, summary),
            _rung_matrix(facts, fields),
        ]
    for field in fields:
        if said := _text_words(field):
            parts.append(paragraph(foreign(said), cls="quiet"))
        parts.append(_label_table(field, is_alone=len(fields) == 1))
    title = "Classes" if len(fields) == 1 and not deferred else "Fields and classes"
    return Section("fields", title.partition(" ")[0], title, join(parts))


def _text_words(field: Facts) -> str | None:
    """What counts as equal for a written field, and how long its texts are; ``None`` for other fields."""
    equality = text(field, "equality")
    if equality is None:
        return None
    chars = part(field, "chars")
    said, meant = number(chars, "student"), number(chars, "reference")
    lengths = (
        ""
        if said is None or meant is None
        else f" Median length {said:,.0f} characters, reference {meant:,.0f}."
    )
    return f"{text(field, 'name') or '?'}: two texts count as equal if the student's {equality}.{lengths}"


def _field_table(facts: Facts, fields: list[Facts], deferred: list[str], summary: Summary) -> Html:
    word = "Like the teacher" if summary.reference == "teacher" else "Like gold"
    body = []
    for field in fields:
        certificate = part(field, "certificate")
        reason = text(certificate, "reason") or "no certificate was made for this field"
        is_held = bool(certificate.get("is_certified"))
        verdict = badge("holds", "accent") if is_held else badge("not certified", "warn")
        body.append(
            [
                Cell(foreign(text(field, "name") or "?"), text(field, "name") or ""),
                text_cell(text(field, "kind") or "unknown"),
                share_cell(number(field, "accuracy")),
                share_cell(number(field, "gold_accuracy"), "no gold answers for this field"),
                Cell(verdict if certificate else join([badge("none")]), "1" if is_held else "0"),
                share_cell(number(certificate, "coverage") if is_held else None, reason),
                share_cell(number(certificate, "agreement_lower") if is_held else None, reason),
            ]
        )
    for name in deferred:
        why = text(part(facts, "deferred_reasons"), name) or "free text: no rung writes it"
        nothing = [
            share_cell(None, why),
            share_cell(None, why),
            Cell(badge("left to the teacher"), "0"),
            share_cell(None, why),
            share_cell(None, why),
        ]
        body.append([Cell(foreign(name), name), text_cell("text"), *nothing])
    heads = ["Field", "Kind", word, "Like gold", "Certificate", "Coverage", "At least"]
    return table(heads, body, caption="Fields, on the certify split")


def _rung_matrix(facts: Facts, fields: list[Facts]) -> Html:
    names = [text(field, "name") or "?" for field in fields]
    found = [rung for rung in rows(facts, "rungs") if part(rung, "accuracy")]
    body = []
    for rung in found:
        accuracy = part(rung, "accuracy")
        cells = [share_cell(number(accuracy, name)) for name in [*names, "record"]]
        body.append([text_cell(text(rung, "name") or "?"), *cells])
    return (
        table(
            ["Rung", *names, "whole record"],
            body,
            caption="Share right per rung and field, on the select split",
        )
        if body
        else EMPTY
    )


def _label_table(field: Facts, *, is_alone: bool) -> Html:
    labels = rows(field, "labels")
    name = text(field, "name") or "?"
    if not labels:
        return EMPTY
    body = [
        [
            Cell(foreign(text(row, "label") or "(empty)"), (text(row, "label") or "").casefold()),
            count_cell(number(row, "n")),
            bar_cell(number(row, "precision"), "the student never gave this answer"),
            bar_cell(number(row, "recall")),
            bar_cell(number(row, "coverage"), "nothing is certified for this field"),
        ]
        for row in labels
    ]
    made = table(
        ["Answer", "Calls", "Precision", "Recall", "Answered"],
        body,
        caption=f"{_classes(len(labels))}, on the certify split; click a heading to sort",
        cls="classes",
    )
    search = (
        tag("input", type="search", placeholder="Filter classes", aria_label="Filter classes", cls="filter")
        if len(labels) > 20
        else EMPTY
    )
    inside = tag("div", search, made, cls="searchable")
    return (
        inside
        if is_alone
        else fold(join([foreign(name), tag("span", f" · {_classes(len(labels))}", cls="quiet")]), inside)
    )


def calibration_section(facts: Facts) -> Section:
    """The reliability diagram with its table."""
    bins = []
    for row in rows(facts, "calibration"):
        values = [number(row, key) for key in ("low", "high", "n", "mean_confidence", "accuracy")]
        if None not in values and values[2]:
            low, high, count, confidence, accuracy = (float(value) for value in values if value is not None)
            bins.append(Bin(low, high, int(count), confidence, accuracy))
    title = "Calibration"
    if not bins:
        return Section(
            "calibration",
            "Calibration",
            title,
            paragraph("Unknown: no call was left to measure it on.", cls="quiet"),
        )
    total = sum(one.n for one in bins)
    gap = sum(one.n * abs(one.accuracy - one.confidence) for one in bins) / total
    words = paragraph(
        (
            f"When it says 90 %, is it right nine times in ten? Over {format_count(total)} calls,"
            " confidence and outcome differ by "
        ),
        tag("strong", f"{100 * gap:.1f} points"),
        (
            " on average. The certificate does not rest on this: it holds whether or not"
            " confidences are calibrated."
        ),
        cls="lede",
    )
    body = [
        [
            Cell(join([f"{format_share(one.low, digits=0)} to {format_share(one.high, digits=0)}"]), one.low),
            count_cell(one.n),
            share_cell(one.confidence),
            share_cell(one.accuracy),
        ]
        for one in bins
    ]
    halves = tag(
        "div",
        figure(partial(draw_calibration, bins), None, wide=HALF),
        table(["Confidence", "Calls", "Mean stated", "Right"], body, caption="The same in numbers"),
        cls="halves",
    )
    return Section("calibration", "Calibration", title, join([words, halves]))


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"
