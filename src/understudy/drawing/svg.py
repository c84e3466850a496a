"""Small pure functions that draw parts of a chart as SVG. Colours come from style classes, so themes apply.

A figure is drawn twice, wide and narrow, and the style sheet shows the one that fits: text keeps its size.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from understudy.drawing.axes import Scale
from understudy.drawing.markup import EMPTY, Html, join, tag
from understudy.units import format_usd

__all__ = [
    "HALF",
    "NARROW",
    "WIDE",
    "Labels",
    "Plot",
    "area",
    "axes",
    "compact",
    "dot",
    "figure",
    "guide",
    "path",
    "share_tick",
    "spread",
    "svg",
    "text_at",
    "text_width",
    "usd_tick",
]

WIDE, HALF, NARROW = 1000, 500, 342
"""Widths in pixels at which figures are drawn: a whole row, half a row, a telephone."""
_NEAR_ONE = 0.999999
_CHAR = 6.6  # mean width of a character at 12 px in common system fonts
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plot:
    """The two scales of a chart."""

    x: Scale
    y: Scale

    @property
    def left(self) -> float:
        """Pixel of the left edge."""
        return min(self.x.start, self.x.end)

    @property
    def right(self) -> float:
        """Pixel of the right edge."""
        return max(self.x.start, self.x.end)

    @property
    def top(self) -> float:
        """Pixel of the upper edge."""
        return min(self.y.start, self.y.end)

    @property
    def bottom(self) -> float:
        """Pixel of the lower edge."""
        return max(self.y.start, self.y.end)

    def at(self, x: float, y: float) -> Point:
        """Pixels of a point."""
        return self.x.at(x), self.y.at(y)


def compact(value: float) -> str:
    """A count in few characters: ``950``, ``12k``, ``3.5M``, ``2B``."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size * _NEAR_ONE:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def text_width(words: str, size: float = 12) -> float:
    """Rough width in pixels; wide East Asian characters count double."""
    cells = sum(1.7 if unicodedata.east_asian_width(char) in "WF" else 1.0 for char in words)
    return cells * _CHAR * size / 12


def text_at(x: float, y: float, words: str, *, anchor: str = "start", cls: str = "t") -> Html:
    """Words at a point."""
    return tag(
        "text",
        words,
        x=round(x, 1),
        y=round(y, 1),
        text_anchor=None if anchor == "start" else anchor,
        cls=cls,
    )


def share_tick(share: float) -> str:
    """A round share in few characters: ``95 %``, ``67.5 %``."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + " %"


def usd_tick(value: float) -> str:
    """Round dollars in few characters: ``$0.001``, ``$10``, ``$250k``."""
    return f"${compact(value)}" if value >= 1 else format_usd(value)


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def path(plot: Plot, points: Sequence[Point], *, cls: str, title: str | None = None) -> Html:
    """A line through points given in values."""
    pixels = [plot.at(x, y) for x, y in points]
    tip = tag("title", title) if title else EMPTY
    return tag("polyline", tip, points=_points(pixels), cls=cls, fill="none") if len(pixels) > 1 else EMPTY


def area(plot: Plot, band: Sequence[tuple[float, float, float]], *, cls: str) -> Html:
    """A band given as (x, low, high) in values."""
    upper = [plot.at(x, high) for x, _, high in band]
    lower = [plot.at(x, low) for x, low, _ in reversed(band)]
    return tag("polygon", points=_points(upper + lower), cls=cls) if len(band) > 1 else EMPTY


def dot(point: Point, *, cls: str, title: str, radius: float = 4.0) -> Html:
    """A mark at pixels, with words shown on hovering."""
    return tag("circle", tag("title", title), cx=round(point[0], 1), cy=round(point[1], 1), r=radius, cls=cls)


def guide(plot: Plot, y: float, words: str, *, cls: str = "target") -> Html:
    """A labelled horizontal line at a value."""
    at = plot.y.at(y)
    line = tag("line", x1=plot.left, x2=plot.right, y1=round(at, 1), y2=round(at, 1), cls=cls)
    return join([line, text_at(plot.left + 6, at - 6, words, cls=f"t {cls}-label halo")])


def axes(
    plot: Plot,
    x_format: Callable[[float], str],
    y_format: Callable[[float], str],
    x_name: str,
    y_name: str,
    *,
    x_ticks: int = 6,
    y_ticks: int = 5,
) -> Html:
    """Grid, tick labels and axis names; the vertical axis is named above its top."""
    parts: list[Html] = []
    for value in plot.y.ticks(y_ticks):
        at = round(plot.y.at(value), 1)
        parts.append(tag("line", x1=plot.left, x2=plot.right, y1=at, y2=at, cls="grid"))
        parts.append(text_at(plot.left - 8, at + 4, y_format(value), anchor="end", cls="t tick"))
    for value in plot.x.ticks(x_ticks):
        at = round(plot.x.at(value), 1)
        parts.append(tag("line", x1=at, x2=at, y1=plot.bottom, y2=plot.bottom + 5, cls="axis"))
        parts.append(text_at(at, plot.bottom + 19, x_format(value), anchor="middle", cls="t tick"))
    parts.append(tag("line", x1=plot.left, x2=plot.right, y1=plot.bottom, y2=plot.bottom, cls="axis"))
    parts.append(text_at(plot.right, plot.bottom + 38, x_name, anchor="end", cls="t name"))
    parts.append(text_at(0, max(plot.top - 14, 11), y_name, cls="t name"))
    return join(parts)


@dataclass
class Labels:
    """Places labels one after the other where they cover neither marks nor each other.

    Attributes
    ----------
    plot
        Labels stay within its edges.
    taken
        Boxes (left, top, right, bottom) in pixels that are in use.
    """

    plot: Plot
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def block(self, point: Point, radius: float) -> None:
        """Keep labels off a mark."""
        x, y = point
        self.taken.append((x - radius, y - radius, x + radius, y + radius))

    def put(
        self, point: Point, words: str, *, cls: str = "t", is_needed: bool = False, gap: float = 9
    ) -> Html:
        """The label of a mark, or nothing where there is no room and it is not needed."""
        width = text_width(words) + 6  # names are set bold, which is wider
        x, y = point
        spots = [
            (x + gap, y + 4),
            (x - gap - width, y + 4),
            (x - width / 2, y - gap - 3),
            (x - width / 2, y + gap + 11),
            (x + gap, y - gap - 2),
            (x - gap - width, y - gap - 2),
            (x + gap, y + gap + 9),
            (x - gap - width, y + gap + 9),
            (x + gap, y + gap + 26),
            (x - gap - width, y + gap + 26),
            (x + gap, y - gap - 20),
            (x - gap - width, y - gap - 20),
        ]
        # An unneeded label stands right beside its mark or not at all: further off it would name another.
        inside = [spot for spot in (spots if is_needed else spots[:6]) if self._fits(spot, width)]
        free = [spot for spot in inside if self._is_free(spot, width)]
        if not free and not is_needed:
            return EMPTY
        left, base = (free or inside or [(max(self.plot.left, min(x, self.plot.right - width)), y - gap)])[0]
        self.taken.append((left, base - 11, left + width, base + 4))
        return text_at(left, base, words, cls=f"{cls} halo")

    def _fits(self, spot: Point, width: float) -> bool:
        return (
            spot[0] >= self.plot.left - 4
            and spot[0] + width <= self.plot.right + 14
            and (self.plot.top - 12 <= spot[1] - 10 and spot[1] + 2 <= self.plot.bottom)
        )

    def _is_free(self, spot: Point, width: float) -> bool:
        left, top, right, bottom = spot[0], spot[1] - 11, spot[0] + width, spot[1] + 4
        return not any(left < r and right > x and top < b and bottom > y for x, y, r, b in self.taken)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as near to `wanted` as order and a least distance of `gap` within [low, high] allow."""
    order = sorted(range(len(wanted)), key=lambda at: wanted[at])
    placed: list[float] = []
    for at in order:
        placed.append(max(wanted[at], low, placed[-1] + gap if placed else low))
    limit = high
    for spot in range(len(placed) - 1, -1, -1):
        placed[spot] = min(placed[spot], limit)
        limit = placed[spot] - gap
    out = [0.0] * len(wanted)
    for spot, at in enumerate(order):
        out[at] = placed[spot]
    return out


def svg(width: float, height: float, title: str, description: str, *parts: object) -> Html:
    """The outer element; `title` and `description` are read aloud by screen readers."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label=title,
        preserveAspectRatio="xMidYMid meet",
    )


def figure(draw: Callable[[float], Html], caption: object, *, wide: float = WIDE) -> Html:
    """A chart in two widths with its caption."""
    return tag(
        "figure",
        tag("div", draw(wide), cls="wide"),
        tag("div", draw(NARROW), cls="narrow"),
        tag("figcaption", caption) if caption else None,
    )
