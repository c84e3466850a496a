"""Total cost against the number of calls, with the break-even."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.drawing.axes import fit_log
from understudy.drawing.markup import EMPTY, Html, join, tag
from understudy.drawing.svg import Labels, Plot, axes, compact, dot, path, svg, text_at, usd_tick
from understudy.units import format_count, format_usd

__all__ = ["draw_volume"]


def draw_volume(
    series: Sequence[tuple[float, float | None, float | None]], breakeven: float | None, width: float
) -> Html:
    """Total cost against volume, teacher alone and with the understudy, both axes logarithmic."""
    height = 380.0 if width > 600 else 310.0
    alone = [(n, usd) for n, usd, _ in series if n > 0 and usd is not None and usd > 0]
    helped = [(n, usd) for n, _, usd in series if n > 0 and usd is not None and usd > 0]
    both = alone + helped
    plot = Plot(
        fit_log([n for n, _ in both], 58, width - 24, pad=1.0),
        fit_log([usd for _, usd in both], height - 48, 46, pad=1.5),
    )
    labels = Labels(plot)
    for line in (alone, helped):
        for n, usd in line:
            labels.block(plot.at(n, usd), 3)
    names = join(
        labels.put(plot.at(*line[-1]), name, cls=f"t {cls}", is_needed=True, gap=7)
        for line, name, cls in (
            (alone, "teacher alone", "teacher-label"),
            (helped, "with the understudy", "chosen-label"),
        )
        if line
    )
    crossing = EMPTY
    if breakeven and plot.x.low <= breakeven <= plot.x.high:
        at = round(plot.x.at(breakeven), 1)
        words = f"pays back after {compact(breakeven)} call{'' if breakeven == 1 else 's'}"
        is_left = at > (plot.left + plot.right) / 2
        crossing = join(
            [
                tag("line", x1=at, x2=at, y1=plot.top, y2=plot.bottom, cls="target"),
                text_at(
                    at - 8 if is_left else at + 8,
                    plot.bottom - 12,
                    words,
                    anchor="end" if is_left else "start",
                    cls="t target-label halo",
                ),
            ]
        )
    return svg(
        width,
        height,
        "Total cost against number of calls",
        "; ".join(
            f"{compact(n)} calls: teacher {format_usd(a)}, with the understudy {format_usd(b)}"
            for n, a, b in series
        ),
        axes(plot, compact, usd_tick, "calls →", "total cost", x_ticks=8 if width > 600 else 4, y_ticks=8),
        path(plot, alone, cls="line teacher-line", title="teacher alone"),
        path(plot, helped, cls="line accent", title="with the understudy"),
        crossing,
        names,
        *[
            dot(
                plot.at(n, usd),
                cls="tip accent",
                title=f"{format_count(n)} calls: {format_usd(usd)}",
                radius=4,
            )
            for n, usd in helped
        ],
    )
