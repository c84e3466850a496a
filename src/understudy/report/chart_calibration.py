"""The reliability diagram: stated confidence against the share that was right, with counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.drawing.axes import Scale
from understudy.drawing.markup import Html, join, tag
from understudy.drawing.svg import NARROW, Plot, dot, path, svg, text_at
from understudy.units import format_count, format_share

__all__ = ["Bin", "draw_calibration"]


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


_COUNTS_HEIGHT = 48.0
_BELOW = 46.0


def _percent(value: float) -> str:
    return format_share(value, digits=0)


def _tip(one: Bin) -> str:
    return (
        f"confidence {one.low:.1f} to {one.high:.1f}: {format_count(one.n)} calls, "
        f"mean {format_share(one.confidence)}, right {format_share(one.accuracy)}"
    )


def draw_calibration(bins: Sequence[Bin], width: float) -> Html:
    """How sure the system was against how often it was right, with counts below."""
    height = 380.0 if width > NARROW else 340.0
    top = Plot(Scale(0.0, 1.0, 46, width - 18), Scale(0.0, 1.0, height - _COUNTS_HEIGHT - _BELOW - 24, 44))
    most = max((one.n for one in bins), default=1) or 1
    marks = [
        dot(
            top.at(one.confidence, one.accuracy),
            cls="accent-dot",
            title=_tip(one),
            radius=round(3.0 + 6.0 * (one.n / most) ** 0.5, 1),
        )
        for one in bins
    ]
    return svg(
        width,
        height,
        "Reliability: stated confidence against share that was right",
        "; ".join(
            f"{_percent(one.low)} to {_percent(one.high)}: {one.n} calls, {_percent(one.accuracy)} right"
            for one in bins
        ),
        _frame(top, height - _BELOW),
        path(top, [(0.0, 0.0), (1.0, 1.0)], cls="diagonal", title="perfect calibration"),
        path(top, [(one.confidence, one.accuracy) for one in bins], cls="line accent"),
        *(_bar(one, top, height - _BELOW, most) for one in bins),
        *marks,
    )


def _frame(top: Plot, bottom: float) -> Html:
    """Grid of the upper part, the axis below the bars that both parts share, and names."""
    parts = []
    for value in top.y.ticks(5):
        at = round(top.y.at(value), 1)
        parts.append(tag("line", x1=top.left, x2=top.right, y1=at, y2=at, cls="grid"))
        parts.append(text_at(top.left - 8, at + 4, _percent(value), anchor="end", cls="t tick"))
    parts.append(tag("line", x1=top.left, x2=top.right, y1=bottom, y2=bottom, cls="axis"))
    parts += [
        text_at(top.x.at(value), bottom + 19, _percent(value), anchor="middle", cls="t tick")
        for value in top.x.ticks(5)
    ]
    parts.append(text_at(top.right, bottom + 38, "stated confidence →", anchor="end", cls="t name"))
    parts.append(text_at(0, 28, "share that was right; bars: number of calls", cls="t name"))
    return join(parts)


def _bar(one: Bin, top: Plot, bottom: float, most: int) -> Html:
    left, right = top.x.at(one.low) + 2, top.x.at(one.high) - 2
    size = max(2.0, _COUNTS_HEIGHT * one.n / most)
    return tag(
        "rect",
        tag("title", _tip(one)),
        x=round(left, 1),
        y=round(bottom - size, 1),
        width=round(right - left, 1),
        height=round(size, 1),
        cls="count",
        rx=2,
    )
