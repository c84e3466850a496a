"""Certificates as bars: lower bound, estimate and target on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.certify.certification import percent_at_least
from understudy.drawing.axes import Scale, fit_linear
from understudy.drawing.markup import Html, join, tag
from understudy.drawing.svg import dot, share_tick, svg, text_at, text_width
from understudy.units import format_share

__all__ = ["Bound", "draw_bounds"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A certified share as a bar.

    Attributes
    ----------
    name
        What is claimed.
    estimate, lower, target
        Shares, ``None`` if unknown.
    is_met
        Whether the bound reaches the target.
    """

    name: str
    estimate: float | None
    lower: float | None
    target: float | None
    is_met: bool


def draw_bounds(bounds: Sequence[Bound], width: float) -> Html:
    """Lower bound and estimate of each certificate against its target."""
    step = 64.0
    height = 46 + step * len(bounds)
    values = [value for one in bounds for value in (one.estimate, one.lower, one.target) if value is not None]
    low = max(0.0, min(values, default=0.0) - 0.25 * (1.0 - min(values, default=0.0)) - 0.01)
    x = fit_linear([low, 1.0], 14, width - 30, least=0.0, most=1.0)
    parts: list[Html] = []
    for value in x.ticks(8 if width > 600 else 4):
        at = round(x.at(value), 1)
        parts.append(tag("line", x1=at, x2=at, y1=8, y2=height - 30, cls="grid"))
        words = share_tick(value)
        parts.append(text_at(at, height - 12, words, anchor="middle", cls="t tick"))
    for number, one in enumerate(bounds):
        parts.append(_bound(one, x, 14 + step * number))
    return svg(
        width,
        height,
        "Certified lower bounds against their targets",
        "; ".join(
            f"{one.name}: at least {format_share(one.lower)}, estimate {format_share(one.estimate)}"
            for one in bounds
        ),
        *parts,
    )


def _bound(one: Bound, x: Scale, top: float) -> Html:
    at = top + 32
    cls = "good" if one.is_met else "short"
    parts = [
        text_at(x.start, top + 10, one.name, cls="t strong halo"),
        tag("line", x1=x.start, x2=x.end, y1=at, y2=at, cls="rail"),
    ]
    if one.target is not None:
        mark = round(x.at(one.target), 1)
        parts.append(tag("line", x1=mark, x2=mark, y1=at - 19, y2=at + 13, cls="target"))
        words = f"target {100 * one.target:g} %"
        is_late = mark > x.end - 80
        left = mark - 6 - text_width(words) if is_late else mark + 6
        if left > x.start + text_width(one.name, 13) + 14:
            at_x, anchor = (mark - 6, "end") if is_late else (mark + 6, "start")
            parts.append(text_at(at_x, at - 14, words, anchor=anchor, cls="t target-label halo"))
    if one.lower is not None:
        left = round(x.at(one.lower), 1)
        tip = tag("title", f"{one.name}: lower bound {format_share(one.lower, digits=2)}")
        parts.append(
            tag(
                "line", tip, x1=left, x2=round(x.at(one.estimate or 1.0), 1), y1=at, y2=at, cls=f"reach {cls}"
            )
        )
        parts.append(tag("line", x1=left, x2=left, y1=at - 8, y2=at + 8, cls=f"stop {cls}"))
        if left > x.start + 52:
            parts.append(
                text_at(
                    left - 7,
                    at + 4,
                    f"≥ {percent_at_least(one.lower)}",
                    anchor="end",
                    cls="t strong wide-halo",
                )
            )
    if one.estimate is not None:
        tip_words = f"{one.name}: measured {format_share(one.estimate, digits=2)}"
        parts.append(dot((x.at(one.estimate), at), cls=f"estimate {cls}", title=tip_words, radius=6))
        if x.at(one.estimate) < x.end - 52:
            parts.append(
                text_at(x.at(one.estimate) + 11, at + 4, format_share(one.estimate), cls="t wide-halo")
            )
    return join(parts)
