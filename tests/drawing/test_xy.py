"""The chart of lines and points: what is drawn, what is left out, and that it stands alone."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from understudy.drawing.xy import Axis, Chart, Mark, Series, draw_xy, write_svg

SVG = "{http://www.w3.org/2000/svg}"


def chart(**changes: object) -> Chart:
    given: dict[str, object] = {
        "title": "Loss by compute",
        "x": Axis("FLOP", is_log=True),
        "y": Axis("loss"),
        "series": [
            Series("fit", [1e18, 1e20, 1e22], [3.0, 2.5, 2.2], low=[2.9, 2.4, 2.0], high=[3.1, 2.6, 2.4]),
            Series("runs", [1e18, 1e20], [3.05, 2.45], kind="points", labels=["small", "large"]),
        ],
        "marks": [Mark("today", x=1e21), Mark("target", y=2.4)],
    }
    return Chart(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [342, 1000])
def test_lines_points_bands_and_marks_are_drawn(width: int) -> None:
    drawn = str(draw_xy(chart(), width))
    tree = ET.fromstring(drawn)
    assert len(tree.findall("polyline")) == 1
    assert len(tree.findall("polygon")) == 1
    assert len(tree.findall("circle")) == 2
    words = [one.text for one in tree.iter("text")]
    assert {"fit", "today", "target", "FLOP →", "loss"} <= set(words)
    assert "10²⁰" in words


def test_what_is_not_finite_or_not_positive_is_left_out_of_a_log_axis() -> None:
    series = [Series("runs", [0.0, 1.0, 10.0, math.nan], [1.0, 2.0, math.inf, 3.0], kind="points")]
    tree = ET.fromstring(str(draw_xy(chart(series=series, x=Axis("N", is_log=True), marks=()), 600)))
    assert len(tree.findall("circle")) == 1


def test_an_empty_chart_is_drawn_without_data() -> None:
    tree = ET.fromstring(str(draw_xy(chart(series=[Series("none", [], [])], marks=()), 600)))
    assert not tree.findall("polyline")
    assert "none: no values" in (tree.findtext("desc") or "")


def test_names_are_escaped() -> None:
    series = [Series("<b>&", [1.0, 2.0], [1.0, 2.0])]
    assert "<b>" not in str(draw_xy(chart(series=series), 600))


def test_a_file_stands_alone(tmp_path: Path) -> None:
    write_svg(chart(), tmp_path / "chart.svg")
    tree = ET.parse(tmp_path / "chart.svg").getroot()
    assert tree.tag == f"{SVG}svg"
    assert "--accent" in (tree.findtext(f"{SVG}style") or "")
    assert "http" not in (tmp_path / "chart.svg").read_text(encoding="utf-8").replace(
        "http://www.w3.org/2000/svg", ""
    )


def test_columns_of_different_lengths_are_a_mistake() -> None:
    with pytest.raises(AssertionError, match="different lengths"):
        Series("fit", [1.0], [1.0, 2.0])
