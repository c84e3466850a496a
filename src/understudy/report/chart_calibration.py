"""The reliability diagram: stated confidence against the share that was right, with counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.report.axes import Scale
from understudy.report.drawing import NARROW, Plot, dot, path, svg, text_at
from understudy.report.markup import Html, join, tag
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


def draw_calibration(bins: Sequence[Bin], width: float) -> Html:
    """How sure the system was against how often it was right, with counts below."""
    height = 380.0 if width > NARROW else 340.0
    counts_height = 62.0
    top = Plot(Scale(0.0, 1.0, 46, width - 18), Scale(0.0, 1.0, height - counts_height - 56, 44))
    most = max((one.n for one in bins), default=1) or 1
    bars, marks = [], []
    for one in bins:
        left, right = top.x.at(one.low) + 2, top.x.at(one.high) - 2
        size = max(2.0, (counts_height - 14) * one.n / most)
        tip = f"confidence {one.low:.1f} to {one.high:.1f}: {format_count(one.n)} calls, mean {format_share(one.confidence)}, right {format_share(one.accuracy)}"
        base = height - 46
        bars.append(
            tag("rect", tag("title", tip), x=round(left, 1), y=round(base - size, 1), width=round(right - left, 1), height=round(size, 1), cls="count", rx=2)
        )
        radius = 3.0 + 6.0 * (one.n / most) ** 0.5
        marks.append(dot(top.at(one.confidence, one.accuracy), cls="accent-dot", title=tip, radius=round(radius, 1)))
    share = lambda value: format_share(value, digits=0)  # noqa: E731
    frame = Plot(top.x, Scale(0.0, 1.0, height - 46, height - 46 - counts_height + 14))
    x_axis = [
        join([text_at(top.x.at(v), frame.bottom + 19, share(v), anchor="middle", cls="t tick")]) for v in top.x.ticks(5)
    ]
    grid = [
        join(
            [
                tag("line", x1=top.left, x2=top.right, y1=round(top.y.at(v), 1), y2=round(top.y.at(v), 1), cls="grid"),
                text_at(top.left - 8, top.y.at(v) + 4, share(v), anchor="end", cls="t tick"),
            ]
        )
        for v in top.y.ticks(5)
    ]
    return svg(
        width,
        height,
        "Reliability: stated confidence against share that was right",
        "; ".join(f"{share(one.low)} to {share(one.high)}: {one.n} calls, {share(one.accuracy)} right" for one in bins),
        *grid,
        path(top, [(0.0, 0.0), (1.0, 1.0)], cls="diagonal", title="perfect calibration"),
        path(top, [(one.confidence, one.accuracy) for one in bins], cls="line accent"),
        *bars,
        *marks,
        tag("line", x1=top.left, x2=top.right, y1=frame.bottom, y2=frame.bottom, cls="axis"),
        *x_axis,
        text_at(top.right, frame.bottom + 38, "stated confidence →", anchor="end", cls="t name"),
        text_at(0, 28, "share that was right; bars: number of calls", cls="t name"),
    )
