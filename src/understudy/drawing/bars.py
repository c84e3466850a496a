"""Stacked bars over a row of times or names: for amounts that add up. What is negative or unknown has no bar."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from understudy.drawing.axes import Scale, fit_linear
from understudy.drawing.markup import Html, join, tag
from understudy.drawing.svg import compact, svg, text_at, text_width

__all__ = ["Bars", "Stack", "draw_bars"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 8.0, 16.0, 30.0


@dataclass(frozen=True, slots=True)
class Stack:
    """One kind of amount.

    Attributes
    ----------
    name
        As in the legend.
    values
        One per bar; ``None`` for unknown.
    cls
        Style class that sets its colour: ``c0`` to ``c5`` or ``accent``.
    """

    name: str
    values: Sequence[float | None]
    cls: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A whole chart.

    Attributes
    ----------
    title
        What it shows, for screen readers.
    labels
        One per bar, in order.
    stacks
        From the bottom up.
    tick
        How an amount is written at the axis.
    tip
        How it is written where it is looked at closely.
    """

    title: str
    labels: Sequence[str]
    stacks: Sequence[Stack]
    tick: Callable[[float], str] = compact
    tip: Callable[[float], str] = compact

    def __post_init__(self) -> None:
        assert all(len(stack.values) == len(self.labels) for stack in self.stacks), "a stack lacks bars"


def _heights(bars: Bars, at: int) -> list[float]:
    found = [stack.values[at] for stack in bars.stacks]
    return [value if value is not None and math.isfinite(value) and value > 0 else 0.0 for value in found]


def draw_bars(bars: Bars, width: float) -> Html:
    """The chart as SVG of a width in pixels, for a page that carries the shared style sheet."""
    height = 230.0
    totals = [sum(_heights(bars, at)) for at in range(len(bars.labels))]
    top = max(totals, default=0.0)
    # A chart of nothing still has an axis; its one tick is 0.
    y = fit_linear([0.0, top or 1.0], height - _BOTTOM, _TOP, least=0.0)
    return svg(
        width,
        height,
        bars.title,
        "; ".join(f"{stack.name}: {_spoken(bars, stack)}" for stack in bars.stacks),
        _grid(bars, y, width, has_values=top > 0),
        *(_bar(bars, at, y, width) for at in range(len(bars.labels))),
        *_names(bars, width, height),
    )


def _spoken(bars: Bars, stack: Stack) -> str:
    known = [value for value in stack.values if value is not None]
    return f"{bars.tip(sum(known))} in all" if known else "unknown"


def _step(bars: Bars, width: float) -> float:
    return (width - _LEFT - _RIGHT) / max(1, len(bars.labels))


def _grid(bars: Bars, y: Scale, width: float, *, has_values: bool) -> Html:
    parts: list[Html] = []
    for value in y.ticks(5) if has_values else [0.0]:
        at = round(y.at(value), 1)
        parts.append(tag("line", x1=_LEFT, x2=width - _RIGHT, y1=at, y2=at, cls="grid" if value else "axis"))
        parts.append(text_at(_LEFT - 8, at + 4, bars.tick(value), anchor="end", cls="t tick"))
    return join(parts)


def _bar(bars: Bars, at: int, y: Scale, width: float) -> Html:
    step = _step(bars, width)
    thick = min(40.0, max(1.5, step * 0.72))
    left = _LEFT + step * (at + 0.5) - thick / 2
    lines = [bars.labels[at]]
    rects: list[Html] = []
    base = 0.0
    for stack, size in zip(bars.stacks, _heights(bars, at), strict=True):
        value = stack.values[at]
        lines.append(f"{stack.name}: {'unknown' if value is None else bars.tip(value)}")
        if size > 0:
            upper, lower = y.at(base + size), y.at(base)
            rects.append(
                tag(
                    "rect",
                    x=round(left, 1),
                    y=round(upper, 1),
                    width=round(thick, 1),
                    height=round(max(lower - upper, 0.6), 1),
                    cls=f"bar-part {stack.cls}",
                )
            )
        base += size
    # The whole column answers to the pointer, so that short bars can be read too.
    column = tag(
        "rect",
        x=round(_LEFT + step * at, 1),
        y=_TOP,
        width=round(step, 1),
        height=y.start - _TOP,
        cls="column",
    )
    return tag("g", tag("title", "\n".join(lines)), column, *rects, cls="bars-at")


def _names(bars: Bars, width: float, height: float) -> list[Html]:
    if not bars.labels:
        return []
    step = _step(bars, width)
    widest = max(text_width(label) for label in bars.labels) + 18
    stride = max(1, math.ceil(widest / step))
    # Counted from the last, for the present is what one looks for.
    shown = range(len(bars.labels) - 1, -1, -stride)
    out = []
    for at in shown:
        middle = _LEFT + step * (at + 0.5)
        half = text_width(bars.labels[at]) / 2
        middle = min(middle, width - half)
        out.append(text_at(middle, height - 10, bars.labels[at], anchor="middle", cls="t tick"))
    return out
