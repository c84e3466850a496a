"""Stacked bars: heights, what has none, names."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from understudy.drawing.bars import Bars, Stack, draw_bars

AMOUNTS = st.one_of(st.none(), st.floats(-1e9, 1e9))


def heights(drawn: str, cls: str) -> list[float]:
    return [float(found) for found in re.findall(rf'height="([\d.]+)" class="bar-part {cls}"', drawn)]


def test_bars_are_as_high_as_their_amounts() -> None:
    stacks = [Stack("low", [1, 2, 0], "c0"), Stack("high", [3, 2, 4], "accent")]
    drawn = draw_bars(Bars("amounts", ["a", "b", "c"], stacks), 500)
    low, high = heights(drawn, "c0"), heights(drawn, "accent")
    assert len(low) == 2  # nought has no bar
    assert high[0] / low[0] == 3
    assert abs(low[1] - high[1]) < 0.2
    assert abs(high[2] - (low[0] + high[0])) < 0.2


def test_what_is_unknown_or_negative_has_no_bar_and_says_so() -> None:
    stacks = [Stack("money", [None, -1.0, 2.0], "c0")]
    drawn = draw_bars(Bars("money", ["a", "b", "c"], stacks, tip=lambda value: f"{value} USD"), 500)
    assert len(heights(drawn, "c0")) == 1
    assert "money: unknown" in drawn
    assert "money: -1.0 USD" in drawn


def test_a_chart_of_nothing_has_an_axis() -> None:
    drawn = draw_bars(Bars("nothing", ["a"], [Stack("money", [None], "c0")]), 342)
    assert re.findall(r">([^<]+)</text>", drawn) == ["0", "a"]


def test_names_are_escaped() -> None:
    drawn = draw_bars(Bars("<b>", ["<i>"], [Stack("<s>", [1], "c0")]), 342)
    assert not re.search(r"<[bis]>", drawn)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=100), st.sampled_from([342, 520, 1000]))
def test_everything_stays_inside(rows: list[tuple[float | None, float | None]], width: int) -> None:
    labels = [f"{at} Jan" for at in range(len(rows))]
    stacks = [Stack("a", [row[0] for row in rows], "c0"), Stack("b", [row[1] for row in rows], "c1")]
    drawn = draw_bars(Bars("any", labels, stacks), width)
    boxes = re.findall(r'<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)"', drawn)
    assert boxes
    for x, y, wide, high in (map(float, box) for box in boxes):
        assert 0 <= x <= x + wide <= width + 0.2
        assert 0 <= y <= y + high <= 230.7
    assert "1 Jan" not in drawn or len(rows) > 1
