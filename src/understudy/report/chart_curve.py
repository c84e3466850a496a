"""Learning curves: measured errors, the fitted law and its forecast with a band."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.drawing.axes import fit_linear, fit_log
from understudy.drawing.markup import EMPTY, Html, join
from understudy.drawing.svg import Plot, area, axes, compact, dot, path, share_tick, svg, text_at
from understudy.units import format_count, format_share

__all__ = ["Curve", "draw_curve"]


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning curve.

    Attributes
    ----------
    name
        Rung.
    points
        (calls learnt from, calls evaluated on, errors).
    forecast
        (calls, error share, low, high), by rising calls; empty if none could be fitted.
    """

    name: str
    points: tuple[tuple[float, float, float], ...]
    forecast: tuple[tuple[float, float, float, float], ...]


def draw_curve(curve: Curve, colour: str, highest: float, width: float) -> Html:
    """Measured errors as dots, the fit as a line with its band, dashed beyond what was measured."""
    height = 236.0
    known = [(n, errors / evaluated) for n, evaluated, errors in curve.points if evaluated > 0]
    xs = [n for n, _ in known] + [row[0] for row in curve.forecast]
    plot = Plot(
        fit_log(xs, 46, width - 18, pad=1.15),
        fit_linear([0.0, highest], height - 48, 30, least=0.0, most=1.0),
    )
    last = max((n for n, _ in known), default=0.0)
    fit = [(n, error) for n, error, _, _ in curve.forecast]
    inside = [point for point in fit if point[0] <= last]
    beyond = inside[-1:] + [point for point in fit if point[0] > last]
    marks = [
        dot(
            plot.at(n, e),
            cls=f"rung-dot {colour}",
            title=f"{format_count(n)} calls: {format_share(e)} errors",
        )
        for n, e in known
    ]
    end = EMPTY
    if fit and fit[-1][0] > last:
        x, y = plot.at(*fit[-1])
        _, error, low, high = curve.forecast[-1]
        tip = (
            f"forecast at {format_count(fit[-1][0])} calls: {format_share(error)}"
            f" ({format_share(low)} to {format_share(high)})"
        )
        end = join(
            [
                dot((x, y), cls=f"open-dot {colour}", title=tip),
                text_at(x, y - 10, format_share(error), anchor="end", cls="t halo"),
            ]
        )
    return svg(
        width,
        height,
        f"Learning curve of {curve.name}",
        "; ".join(f"{format_count(n)} calls: {format_share(error)} errors" for n, error in known),
        axes(
            plot,
            compact,
            share_tick,
            "calls learnt from →",
            "errors",
            x_ticks=5,
            y_ticks=4,
        ),
        area(plot, [(n, low, high) for n, _, low, high in curve.forecast], cls=f"band {colour}"),
        path(plot, inside, cls=f"line {colour}"),
        path(plot, beyond, cls=f"line dashed {colour}"),
        *marks,
        end,
    )
