"""The console summary and the live progress."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from report_facts import ALL_FACTS, HOSTILE, plain_label_facts
from rich.cells import cell_len
from rich.console import Console

from understudy.ladder.rungs import RungPlan
from understudy.report.console import LiveLadder, print_plan, print_summary


def _printed(facts: dict[str, Any], width: int = 100) -> str:
    stream = io.StringIO()
    print_summary(facts, Console(file=stream, width=width, highlight=False), folder="artefacts/it")
    return stream.getvalue()


@pytest.mark.parametrize("name", ALL_FACTS)
@pytest.mark.parametrize("width", [80, 100, 140])
def test_fits_the_width(name: str, width: int) -> None:
    lines = _printed(ALL_FACTS[name](), width).splitlines()
    assert max(cell_len(line) for line in lines) <= width
    assert len(lines) < 60


@pytest.mark.parametrize("name", ALL_FACTS)
def test_says_what_matters(name: str) -> None:
    facts = ALL_FACTS[name]()
    shown = " ".join(_printed(facts).split())
    assert ("NOT CERTIFIED" in shown) is not bool((facts["certificate"] or {}).get("is_certified"))
    assert "artefacts/it/report.html" in shown
    assert "1,000 calls" in shown
    assert "gold:" in shown


def test_columns_are_whole_and_three_steps_at_most() -> None:
    facts = plain_label_facts()
    facts["next_steps"] = [{"kind": "x", "text": f"step {at}", "usd": None} for at in range(9)]
    shown = _printed(facts)
    assert "at 95 %" in shown
    assert "…" not in _printed(facts, 80)
    assert "step 2" in shown
    assert "step 3" not in shown


def test_markup_and_escapes_in_names_are_only_text() -> None:
    facts = plain_label_facts()
    facts["warnings"] = ["[red]not markup[/red]", *HOSTILE]
    facts["rungs"][1]["name"] = "[bold]x\x1b[31m"
    shown = _printed(facts)
    assert "[red]not markup[/red]" in shown
    assert "\x1b" not in shown


def test_progress_without_a_terminal_is_plain_lines() -> None:
    stream = io.StringIO()
    with LiveLadder(stream) as report:
        report("linear: fitting on 800 calls [x]")
        report("linear: done\x1b[2J")
    lines = stream.getvalue().splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        "linear: fitting on 800 calls [x]",
        "linear: done␛[2J",
    ]


def test_quiet_progress_writes_nothing() -> None:
    stream = io.StringIO()
    with LiveLadder(stream, is_quiet=True) as report:
        report("linear: fitting")
    assert stream.getvalue() == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_leaves_a_line_per_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with LiveLadder(stream) as report:
        report("linear: fitting")
        report("linear: calibrated")
        report("frozen: fitting [not markup]")
    shown = stream.getvalue()
    assert shown.count("✓") == 2
    assert "linear: calibrated" in shown
    assert "[not markup]" in shown


def test_failure_does_not_tick_off_the_rung() -> None:
    stream = Terminal()

    def fail() -> None:
        with LiveLadder(stream) as report:
            report("linear: fitting")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert "✓" not in stream.getvalue()


PLANS = (
    RungPlan("linear", 3.0, 4e-5),
    RungPlan("frozen", 40.0, 2e-3),
    RungPlan("tuned", 0.0, 2e-3, "no encoder"),
)


def test_plan_shows_every_derived_value() -> None:
    stream = io.StringIO()
    print_plan(PLANS, 0.5, Console(file=stream, width=100))
    shown = stream.getvalue()
    assert max(cell_len(line) for line in shown.splitlines()) <= 100
    for words in ("linear", "3.0 s", "43.0 s", "beyond --max-minutes", "no encoder", "30.0 s allowed"):
        assert words in shown


def test_plan_as_data() -> None:
    stream = io.StringIO()
    print_plan(PLANS, 0.5, Console(file=stream, width=40), as_json=True)
    found = json.loads(stream.getvalue())
    assert [rung["name"] for rung in found["rungs"]] == ["linear", "frozen", "tuned"]
    assert found["total_fit_seconds"] == 43.0
