"""Risk against coverage: how agreement falls as a rung answers more, with the target as a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.drawing.axes import Scale, fit_linear
from understudy.drawing.markup import EMPTY, Html, join, tag
from understudy.drawing.svg import (
    Plot,
    axes,
    dot,
    guide,
    path,
    share_tick,
    spread,
    svg,
    text_at,
    text_width,
)
from understudy.units import format_share

__all__ = ["Line", "draw_risk", "thin"]

_MOST_POINTS = 110
_READABLE = 0.08  # below this coverage a rung has answered too few calls for its share to say much
Pairs = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """One rung's curve.

    Attributes
    ----------
    name
        Rung.
    points
        (coverage, agreement among answered), by rising coverage.
    """

    name: str
    points: tuple[tuple[float, float], ...]


def thin(points: Pairs, most: int = _MOST_POINTS) -> list[tuple[float, float]]:
    """At most about `most` of the points, both ends kept."""
    if len(points) <= most:
        return list(points)
    stride = (len(points) - 1) / (most - 1)
    return [points[round(at * stride)] for at in range(most)]


def _floor(lines: Sequence[Line], target: float | None) -> float:
    values = [y for line in lines for x, y in line.points if x >= _READABLE] or [0.0]
    low = min(*values, target if target is not None else 1.0)
    return max(0.0, low - 0.06 * (1 - low))


def draw_risk(
    lines: Sequence[Line],
    colours: dict[str, str],
    target: float | None,
    certified: tuple[float, float] | None,
    width: float,
) -> Html:
    """All rungs' curves, the target, and the certified system as measured on the certify split."""
    height = 400 if width > 600 else 320
    longest = max((text_width(line.name) for line in lines), default=0)
    y = fit_linear([_floor(lines, target), 1.0], height - 48, 46, least=0.0, most=1.0)
    plot = Plot(Scale(0.0, 1.0, 46, width - 22 - min(longest, width / 3)), y)
    curves = [_curve(plot, line, colours.get(line.name, "c0")) for line in lines]
    return svg(
        width,
        height,
        "Agreement among answered calls against coverage, per rung",
        "; ".join(f"{line.name}: {format_share(line.points[-1][1])} when it answers all" for line in lines),
        axes(
            plot,
            share_tick,
            share_tick,
            "share of calls answered, surest first →",
            "agreement among answered calls (select split)" if width > 600 else "agreement among answered",
            x_ticks=10 if width > 600 else 4,
        ),
        *curves,
        guide(plot, target, f"target {100 * target:g} %") if target is not None else EMPTY,
        _end_labels(plot, lines, colours),
        _certified_mark(plot, certified),
    )


def _curve(plot: Plot, line: Line, colour: str) -> Html:
    points = [(x, y) for x, y in thin(line.points) if x >= 0.01]
    stops = [at for at in (0.25, 0.5, 0.75, 0.9, 1.0) if points and at >= points[0][0]]
    shown = [min(points, key=lambda point, stop=stop: abs(point[0] - stop)) for stop in stops]  # type: ignore[misc]
    tips = [
        dot(
            plot.at(*point),
            cls=f"tip {colour}",
            title=f"{line.name}: answers {format_share(point[0])}, agreement {format_share(point[1])}",
            radius=3,
        )
        for point in dict.fromkeys(shown)
    ]
    return join([path(plot, points, cls=f"line {colour}", title=line.name), *tips])


def _end_labels(plot: Plot, lines: Sequence[Line], colours: dict[str, str]) -> Html:
    wanted = [plot.y.at(line.points[-1][1]) for line in lines]
    placed = spread(wanted, 16, plot.top, plot.bottom - 2)
    return join(
        text_at(plot.right + 8, at + 4, line.name, cls=f"t end {colours.get(line.name, 'c0')}")
        for line, at in zip(lines, placed, strict=True)
    )


def _certified_mark(plot: Plot, certified: tuple[float, float] | None) -> Html:
    if certified is None:
        return EMPTY
    point = plot.at(*certified)
    title = (
        f"chosen system on the certify split: answers {format_share(certified[0])}, agreement"
        f" {format_share(certified[1])}"
    )
    ring = tag("circle", cx=round(point[0], 1), cy=round(point[1], 1), r=10, cls="chosen-ring")
    words = "certified"
    above = point[1] - 17 > plot.top
    label = text_at(
        point[0], point[1] - 16 if above else point[1] + 26, words, anchor="middle", cls="t chosen-label halo"
    )
    return join([ring, dot(point, cls="chosen-dot", title=title, radius=5), label])
