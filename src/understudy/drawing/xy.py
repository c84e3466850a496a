"""A chart of lines, points and bands over two axes, for any numbers: as markup, or as an SVG file of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from understudy.drawing.axes import Scale, fit_linear, fit_log
from understudy.drawing.markup import EMPTY, Html, join, tag
from understudy.drawing.style import style_sheet
from understudy.drawing.svg import Labels, Plot, area, axes, compact, dot, guide, path, svg, text_at

__all__ = ["Axis", "Chart", "Mark", "Series", "draw_xy", "write_svg"]

_COLOURS = 6
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes
    ----------
    name
        What it shows, with its unit.
    is_log
        Whether equal ratios are equal distances; values of 0 or less are then left out.
    tick
        How a value is written at a tick; by default in few characters.
    low, high
        Ends that the data may not push outwards (linear axes only).
    """

    name: str
    is_log: bool = False
    tick: Callable[[float], str] | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One line or set of points.

    Attributes
    ----------
    name
        Stands beside the end of a line, and in the text for screen readers.
    x, y
        Values, of equal length; what is not finite is left out.
    kind
        ``line``, ``dashed`` or ``points``.
    low, high
        Ends of a band around `y`, of equal length; both or none.
    labels
        Names of single points, shown where there is room.
    colour
        0 to 5, or ``accent`` for the one that matters; by default in order.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: Literal["line", "dashed", "points"] = "line"
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    labels: Sequence[str] | None = None
    colour: int | Literal["accent"] | None = None

    def __post_init__(self) -> None:
        lengths = {len(one) for one in (self.x, self.y, self.low, self.high, self.labels) if one is not None}
        assert len(lengths) == 1, "a series' columns have different lengths"
        assert (self.low is None) == (self.high is None), "a band has two ends"


@dataclass(frozen=True, slots=True)
class Mark:
    """A straight line with words: horizontal at `y`, or vertical at `x`."""

    words: str
    x: float | None = None
    y: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole chart; `title` says what it shows in one line."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    marks: Sequence[Mark] = field(default=())


def draw_xy(chart: Chart, width: float) -> Html:
    """The chart as SVG of a width in pixels, for a page that carries the shared style sheet."""
    height = 380.0 if width > 600 else 310.0
    plot = Plot(
        _scale(chart, "x", 62, width - 28),
        _scale(chart, "y", height - 48, 40),
    )
    labels = Labels(plot)
    lines = [line for at, one in enumerate(chart.series) for line in _lines(plot, one, _colour(one, at))]
    for one in chart.series:
        for x, y in _shown(plot, one):
            labels.block(plot.at(x, y), 3)
    names = [_names(plot, labels, one, _colour(one, at)) for at, one in enumerate(chart.series)]
    return svg(
        width,
        height,
        chart.title,
        "; ".join(_spoken(one) for one in chart.series),
        axes(
            plot,
            chart.x.tick or _tick(plot.x),
            chart.y.tick or _tick(plot.y),
            f"{chart.x.name} →",
            chart.y.name,
            x_ticks=8 if width > 600 else 4,
            y_ticks=8,
        ),
        *lines,
        *[_mark(plot, mark) for mark in chart.marks],
        *names,
    )


def write_svg(chart: Chart, path_: str | Path, *, width: float = 1000) -> None:
    """Write the chart as an SVG file that stands alone: light or dark as the reader's system is.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    drawn = str(draw_xy(chart, width))
    head = f"{tag('style', Html('<![CDATA[' + style_sheet() + ' svg{background:var(--bg);font-family:sans-serif}]]>'))}"
    alone = drawn.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" ', 1)
    end = alone.index(">") + 1
    Path(path_).write_text(alone[:end] + head + alone[end:] + "\n", encoding="utf-8")


def _colour(one: Series, at: int) -> str:
    if one.colour == "accent":
        return "accent"
    return f"c{(at + 1 if one.colour is None else one.colour) % _COLOURS}"


def _scale(chart: Chart, which: Literal["x", "y"], start: float, end: float) -> Scale:
    axis: Axis = getattr(chart, which)
    values = [value for one in chart.series for value in getattr(one, which)]
    if which == "y":
        values += [value for one in chart.series for ends in (one.low, one.high) for value in ends or ()]
    values += [value for mark in chart.marks if (value := getattr(mark, which)) is not None]
    known = [float(value) for value in values if math.isfinite(value)]
    if axis.is_log:
        return fit_log(known, start, end, pad=1.0 if which == "x" and len(set(known)) > 1 else 1.25)
    return fit_linear(known, start, end, least=axis.low, most=axis.high)


def _tick(scale: Scale) -> Callable[[float], str]:
    if not scale.is_log or (scale.low >= 1e-3 and scale.high < 1e12):
        return compact
    return lambda value: (
        f"10{str(round(math.log10(value))).translate(_SUPERSCRIPTS)}"
        if abs(math.log10(value) - round(math.log10(value))) < 1e-9
        else f"{value:.0e}"
    )


def _shown(plot: Plot, one: Series) -> list[tuple[float, float]]:
    def fits(value: float, scale: Scale) -> bool:
        return math.isfinite(value) and (value > 0 or not scale.is_log)

    return [
        (float(x), float(y)) for x, y in zip(one.x, one.y, strict=True) if fits(x, plot.x) and fits(y, plot.y)
    ]


def _lines(plot: Plot, one: Series, cls: str) -> list[Html]:
    points = _shown(plot, one)
    out: list[Html] = []
    if one.low is not None and one.high is not None:
        band = [
            (float(x), float(low), float(high))
            for x, low, high in zip(one.x, one.low, one.high, strict=True)
            if math.isfinite(low) and math.isfinite(high) and math.isfinite(x)
        ]
        if plot.y.is_log:
            band = [(x, max(low, plot.y.low), high) for x, low, high in band if high > 0]
        out.append(area(plot, band, cls=f"band {cls}"))
    if one.kind == "points":
        names = one.labels or [one.name] * len(one.x)
        titled = dict(zip(zip(map(float, one.x), map(float, one.y), strict=True), names, strict=True))
        out += [
            dot(plot.at(x, y), cls=f"rung-dot {cls}", title=f"{titled[x, y]}: {x:.4g}, {y:.4g}")
            for x, y in points
        ]
        return out
    dashes = " dashed" if one.kind == "dashed" else ""
    out.append(path(plot, points, cls=f"line {cls}{dashes}", title=one.name))
    return out


def _names(plot: Plot, labels: Labels, one: Series, cls: str) -> Html:
    points = _shown(plot, one)
    if not points:
        return EMPTY
    named = f"t end {cls}"
    if one.kind != "points":
        return labels.put(plot.at(*points[-1]), one.name, cls=named, is_needed=True, gap=7)
    if one.labels is None:
        top = max(points, key=lambda point: point[1])
        return labels.put(plot.at(*top), one.name, cls=named, is_needed=True)
    known = zip(one.x, one.y, one.labels, strict=True)
    return join(
        labels.put(plot.at(x, y), words, cls=named) for x, y, words in known if (float(x), float(y)) in points
    )


def _mark(plot: Plot, mark: Mark) -> Html:
    if mark.y is not None:
        return guide(plot, mark.y, mark.words)
    assert mark.x is not None, "a mark stands at x or at y"
    at = round(plot.x.at(mark.x), 1)
    is_left = at > (plot.left + plot.right) / 2
    return join(
        [
            tag("line", x1=at, x2=at, y1=plot.top, y2=plot.bottom, cls="target"),
            text_at(
                at - 8 if is_left else at + 8,
                plot.bottom - 12,
                mark.words,
                anchor="end" if is_left else "start",
                cls="t target-label halo",
            ),
        ]
    )


def _spoken(one: Series) -> str:
    known = [(x, y) for x, y in zip(one.x, one.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if not known:
        return f"{one.name}: no values"
    few = known if len(known) <= 4 else [known[0], known[len(known) // 2], known[-1]]
    return f"{one.name}: " + ", ".join(f"{x:.4g} → {y:.4g}" for x, y in few)
