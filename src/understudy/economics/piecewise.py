"""Cost curves that are straight between knots and may jump at them, and where two of them cross.

It knows nothing of money: a curve is numbers. Everything here is exact but for floating point; a curve that
bends between knots has to be cut finely by whoever builds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["Crossing", "Curve", "cheapest_spans", "crossings"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A curve over [x[0], x[-1]].

    Attributes
    ----------
    x
        Knots, shape (n + 1,), increasing strictly.
    start, end
        Values at the two ends of each piece, shape (n,). ``end[k] != start[k + 1]`` is a jump at ``x[k + 1]``.
    """

    x: FloatArray
    start: FloatArray
    end: FloatArray

    def __post_init__(self) -> None:
        assert len(self.x) == len(self.start) + 1 == len(self.end) + 1, "a curve's arrays do not fit"
        assert len(self.x) >= 2 and bool((np.diff(self.x) > 0).all()), "knots must increase"  # noqa: PT018

    def at(self, x: float) -> float:
        """Value at `x` (after the jump, where there is one); beyond the ends the value at the end."""
        piece = int(np.clip(np.searchsorted(self.x, x, side="right") - 1, 0, len(self.start) - 1))
        width = self.x[piece + 1] - self.x[piece]
        share = float(np.clip((x - self.x[piece]) / width, 0, 1))
        return float(self.start[piece] + share * (self.end[piece] - self.start[piece]))

    def cut(self, knots: FloatArray) -> Curve:
        """The same curve with further knots, which must lie within its ends."""
        x = np.union1d(self.x, knots)
        piece = np.clip(np.searchsorted(self.x, x[:-1], side="right") - 1, 0, len(self.start) - 1)
        left, width = self.x[piece], np.diff(self.x)[piece]
        rise = self.end[piece] - self.start[piece]
        start = self.start[piece] + (x[:-1] - left) / width * rise
        # Taken as they are where a piece ends, so that rounding cannot make a crossing.
        end = np.where(
            x[1:] == self.x[piece + 1], self.end[piece], self.start[piece] + (x[1:] - left) / width * rise
        )
        return Curve(x, start, end)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where one curve passes another.

    Attributes
    ----------
    x
        Place, within the knots of both curves.
    is_first_lower_after
        Whether the first curve is the lower one from there on.
    is_at_a_jump
        Whether one of them jumps over the other instead of meeting it.
    """

    x: float
    is_first_lower_after: bool
    is_at_a_jump: bool


def crossings(first: Curve, second: Curve) -> list[Crossing]:
    """All places where `first` goes from above `second` to below it, or back, in order.

    Touching without passing is no crossing. Curves that are equal over a stretch cross at its end, and not at
    all if they are equal to the last knot. Only where both are defined.
    """
    low, high = max(first.x[0], second.x[0]), min(first.x[-1], second.x[-1])
    if low >= high:
        return []
    knots = np.union1d(first.x, second.x)
    knots = knots[(knots >= low) & (knots <= high)]
    knots = np.union1d(knots, np.array([low, high]))
    one, two = _within(first, knots), _within(second, knots)
    start, end = one[0] - two[0], one[1] - two[1]
    found: list[Crossing] = []
    sign = 0.0
    for piece in range(len(start)):
        for value, is_jump in ((start[piece], True), (end[piece], False)):
            now = float(np.sign(value))
            if now == 0:
                continue
            if sign not in (0.0, now):
                found.append(_crossing(knots, start, end, piece, is_jump=is_jump))
            sign = now
    return found


def _within(curve: Curve, knots: FloatArray) -> tuple[FloatArray, FloatArray]:
    finer = curve.cut(knots)
    at = np.searchsorted(finer.x, knots)
    return finer.start[at[:-1]], finer.end[at[1:] - 1]


def _crossing(
    knots: FloatArray, start: FloatArray, end: FloatArray, piece: int, *, is_jump: bool
) -> Crossing:
    if is_jump:
        met = piece > 0 and end[piece - 1] == 0
        return Crossing(float(knots[piece]), bool(start[piece] < 0), not met)
    a, b = start[piece], end[piece]
    share = 0.0 if a == 0 else float(a / (a - b))
    x = float(knots[piece] + share * (knots[piece + 1] - knots[piece]))
    return Crossing(x, bool(b < 0), False)


def cheapest_spans(curves: Sequence[Curve], ends: tuple[float, float]) -> list[tuple[float, float, int]]:
    """Which curve is lowest where: (from, to, place in `curves`), in order, covering `ends`."""
    places = {ends[0], ends[1]}
    for at, first in enumerate(curves):
        for second in curves[at + 1 :]:
            places |= {one.x for one in crossings(first, second) if ends[0] < one.x < ends[1]}
    stops = sorted(places)
    spans: list[tuple[float, float, int]] = []
    for low, high in pairwise(stops):
        middle = (low + high) / 2
        best = min(range(len(curves)), key=lambda at: curves[at].at(middle))
        if spans and spans[-1][2] == best:
            spans[-1] = (spans[-1][0], high, best)
        else:
            spans.append((low, high, best))
    return spans
