"""The ladder as a picture: cost against how much is answered, or how well, for every system tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from understudy.drawing.axes import Scale, fit_linear, fit_log
from understudy.drawing.markup import Html, join, tag
from understudy.drawing.svg import Labels, Plot, axes, dot, path, share_tick, svg, usd_tick
from understudy.report.reading import Facts, number, part, rows, text
from understudy.report.summary import members_of
from understudy.units import format_duration, format_share, format_usd

__all__ = ["LadderView", "Mark", "draw_ladder", "frontier", "ladder_views"]

_PER_CALLS = 1_000_000


@dataclass(frozen=True, slots=True)
class Mark:
    """One system in the picture.

    Attributes
    ----------
    name
        System.
    x, y
        Cost (of a million calls in dollars, or of one in seconds) and share.
    kind
        ``rung`` (one alone), ``mix`` (average or cascade), ``teacher``.
    is_chosen
        Whether it won.
    tip
        Words shown on hovering.
    """

    name: str
    x: float
    y: float
    kind: str
    is_chosen: bool
    tip: str


@dataclass(frozen=True, slots=True)
class LadderView:
    """One choice of axes.

    Attributes
    ----------
    key, title
        For the switch between views.
    x_name, y_name, y_short
        Axis names; the short one for narrow pictures.
    is_money
        Whether `x` is in dollars, else seconds.
    marks
        What to draw.
    """

    key: str
    title: str
    x_name: str
    y_name: str
    y_short: str
    is_money: bool
    marks: tuple[Mark, ...]


def frontier(marks: Sequence[Mark]) -> list[Mark]:
    """Marks that no other beats in both cost and share, cheapest first."""
    out: list[Mark] = []
    for mark in sorted(marks, key=lambda one: (one.x, -one.y)):
        if not out or mark.y > out[-1].y:
            out.append(mark)
    return out


def ladder_views(facts: Facts, target_words: str) -> list[LadderView]:
    """The views that the facts support, the most telling first."""
    candidates = rows(facts, "candidates")
    is_money = any((number(row, "call_usd") or 0) > 0 for row in candidates)
    x_key, factor = ("call_usd", _PER_CALLS) if is_money else ("call_seconds", 1)
    x_name = "compute per million calls →" if is_money else "CPU time per answer →"
    teacher = number(part(facts, "teacher"), "usd_per_call")
    shown = teacher if is_money and teacher else None
    reference = text(part(facts, "options"), "reference") or "teacher"
    gold = number(part(part(facts, "teacher"), "gold_accuracy"), "share")
    ceiling = 1.0 if reference == "teacher" else gold
    coverage = LadderView(
        "coverage",
        "Coverage",
        x_name,
        f"share of calls answered at the target ({target_words}), forecast",
        "coverage",
        is_money,
        _marks(candidates, x_key, "coverage", factor, shown, 1.0),
    )
    quality = LadderView(
        "quality",
        "Agreement" if reference == "teacher" else "Accuracy",
        x_name,
        (
            f"share of all calls answered like the {'teacher' if reference == 'teacher' else 'gold answer'},"
            " no deferral"
        ),
        "agreement" if reference == "teacher" else "accuracy",
        is_money,
        _marks(candidates, x_key, "accuracy", factor, shown, ceiling),
    )
    total = LadderView(
        "total",
        "All-in cost",
        "all-in cost per million calls, deferred calls at the teacher's price →",
        f"share of calls answered at the target ({target_words}), forecast",
        "coverage",
        True,
        _marks(candidates, "total_usd", "coverage", _PER_CALLS, teacher, 0.0),
    )
    views = (
        [coverage, total, quality] if any(mark.y > 0 for mark in coverage.marks[:-1]) else [quality, coverage]
    )
    return [view for view in views if any(mark.kind != "teacher" for mark in view.marks)]


def _marks(
    candidates: Sequence[Facts],
    x_key: str,
    y_key: str,
    factor: float,
    teacher: float | None,
    teacher_y: float | None,
) -> tuple[Mark, ...]:
    out = []
    for row in candidates:
        x, y, name = number(row, x_key), number(row, y_key), text(row, "name") or "?"
        if x is None or y is None or x <= 0:
            continue
        kind = "rung" if len(members_of(name)) == 1 else "mix"
        out.append(Mark(name, x * factor, y, kind, bool(row.get("is_chosen")), _tip(row, name)))
    if teacher and teacher_y is not None:
        tip = f"teacher alone: {format_usd(teacher * _PER_CALLS)} per million calls"
        out.append(Mark("teacher", teacher * factor, teacher_y, "teacher", is_chosen=False, tip=tip))
    return tuple(out)


def _per_million(usd: float | None) -> str:
    return format_usd(None if usd is None else usd * _PER_CALLS)


def _tip(row: Facts, name: str) -> str:
    return (
        f"{name}{' (chosen)' if row.get('is_chosen') else ''}\n"
        f"coverage at the target, forecast: {format_share(number(row, 'coverage'))}\n"
        f"right on every call without deferring: {format_share(number(row, 'accuracy'))}\n"
        f"per answer: {format_duration(number(row, 'call_seconds'))}\n"
        f"compute per million calls: {_per_million(number(row, 'call_usd'))}\n"
        f"all in per million calls: {_per_million(number(row, 'total_usd'))}"
    )


def _scales(view: LadderView, width: float, height: float) -> Plot:
    xs = fit_log([mark.x for mark in view.marks], 46, width - 24, pad=1.8)
    values = [mark.y for mark in view.marks]
    room = fit_linear(values, height - 48, 46, least=0.0, most=1.0)
    if max(values) >= 1.0:  # the best mark must not sit on the frame
        room = Scale(room.low, 1.0 + 0.04 * (1.0 - room.low), room.start, room.end)
    return Plot(xs, room)


def draw_ladder(view: LadderView, colours: dict[str, str], width: float) -> Html:
    """One view."""
    height = 430 if width > 600 else 330
    plot = _scales(view, width, height)
    labels = Labels(plot)
    systems = [mark for mark in view.marks if mark.kind != "teacher"]
    best = frontier(systems)
    for mark in view.marks:
        labels.block(plot.at(mark.x, mark.y), 9 if mark.is_chosen else 4)
    drawn = [_draw_mark(plot, mark, colours) for mark in sorted(view.marks, key=lambda one: one.is_chosen)]
    steps = [(mark.x, mark.y) for mark in best]
    stairs = [point for one, two in pairwise(steps) for point in (one, (two[0], one[1]))]
    line = path(
        plot, stairs + steps[-1:], cls="frontier", title="Pareto frontier: nothing is both cheaper and better"
    )
    format_x = usd_tick if view.is_money else format_duration
    return svg(
        width,
        height,
        f"{view.y_name} against {view.x_name.rstrip(' →')}",
        "; ".join(
            f"{mark.name}: {format_x(mark.x)}, {format_share(mark.y)}"
            for mark in view.marks
            if _is_named(mark)
        ),
        axes(
            plot,
            format_x,
            share_tick,
            view.x_name if width > 600 else "cost →",
            view.y_name if width > 600 else view.y_short,
            x_ticks=8 if width > 600 else 4,
        ),
        line,
        *drawn,
        _labels(labels, view, best, width),
    )


def _is_named(mark: Mark) -> bool:
    return mark.kind in ("rung", "teacher") or mark.is_chosen


def _labels(labels: Labels, view: LadderView, best: Sequence[Mark], width: float) -> Html:
    order = sorted(view.marks, key=lambda one: (not one.is_chosen, one.kind != "teacher", one.kind != "rung"))
    out = []
    for mark in order:
        if not (_is_named(mark) or (mark in best and width > 600)):
            continue
        cls = "t chosen-label" if mark.is_chosen else f"t {mark.kind}-label"
        point = labels.plot.at(mark.x, mark.y)
        needed = mark.is_chosen or mark.kind in ("teacher", "rung")
        words = mark.name if width > 600 or len(mark.name) < 26 else "chosen"
        out.append(labels.put(point, words, cls=cls, is_needed=needed, gap=13 if mark.is_chosen else 8))
    return join(out)


def _draw_mark(plot: Plot, mark: Mark, colours: dict[str, str]) -> Html:
    point = plot.at(mark.x, mark.y)
    if mark.kind == "teacher":
        x, y = point
        corners = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
        return tag("polygon", tag("title", mark.tip), points=corners, cls="teacher-mark")
    if mark.is_chosen:
        ring = tag("circle", cx=round(point[0], 1), cy=round(point[1], 1), r=11, cls="chosen-ring")
        return join([ring, dot(point, cls="chosen-dot", title=mark.tip, radius=6)])
    if mark.kind == "rung":
        return dot(point, cls=f"rung-dot {colours.get(mark.name, 'c0')}", title=mark.tip, radius=5)
    return dot(point, cls="mix-dot", title=mark.tip, radius=3.5)
