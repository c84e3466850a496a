import json
from pathlib import Path

import pytest

from understudy.drawing.xy import draw_xy
from understudy.errors import ConfigError
from understudy.planning.figures.collection import all_figures, figures_chart, figures_json, tally
from understudy.planning.figures.figure import (
    ASSUMED,
    COMPUTED,
    INCONSISTENT,
    REPRODUCED,
    UNCHECKED,
    Claim,
    Figure,
    about,
    at_least,
    at_most,
    between,
)
from understudy.planning.figures.replications_density import admitted_families
from understudy.planning.figures.replications_density import figures as density_figures

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "scaling"


@pytest.fixture(scope="module")
def figures():
    return {figure.number: figure for figure in all_figures()}


def test_a_verdict_follows_from_the_numbers():
    assert Claim(name="x", published=about(10, 0.1), computed=10.9).verdict == REPRODUCED
    assert Claim(name="x", published=about(10, 0.1), computed=11.1).verdict == INCONSISTENT
    closed = Claim(name="x", published=about(10, 0.1), computed=20.0, assumption="half", assumed=10.0)
    assert (closed.verdict, closed.shown) == (ASSUMED, 10.0)
    missed = Claim(name="x", published=about(10, 0.1), computed=20.0, because="of y")
    assert missed.reason == "2 times the published value: of y"
    assert Claim(name="x", computed=1.0).verdict == COMPUTED
    assert Claim(name="x", missing="no data").verdict == UNCHECKED
    assert Claim(name="x", published=at_most(2, "under 2"), computed=1.7).verdict == REPRODUCED
    assert Claim(name="x", published=at_least(2, "over 2"), computed=1.7).verdict == INCONSISTENT
    assert Claim(name="x", published=between(8, 10), computed=8.2).ratio == pytest.approx(8.2 / 80**0.5)
    with pytest.raises(AssertionError):
        Claim(name="x")
    with pytest.raises(AssertionError):
        Claim(name="x", assumption="without a value", computed=1.0)


def test_one_claim_that_does_not_follow_decides_an_entry():
    good = Claim(name="a", published=about(1, 0.1), computed=1.0)
    bad = Claim(name="b", published=about(1, 0.1), computed=3.0)
    assert Figure("1", "n", "s", [], [good, bad]).verdict == INCONSISTENT
    assert "because b, 3 times" in Figure("1", "n", "s", [], [good, bad]).words
    assert Figure("1", "n", "s", [], [good, Claim(name="c", missing="m")]).verdict == REPRODUCED


def test_every_entry_is_there(figures):
    assert [number for number in figures if not number.startswith("S")] == [str(at) for at in range(1, 23)]
    assert len([number for number in figures if number.startswith("S")]) == 6
    assert json.dumps(figures_json(list(figures.values())), allow_nan=False)


def test_what_follows_and_what_does_not(figures):
    found = {number: figure.verdict for number, figure in figures.items()}
    assert {number for number, verdict in found.items() if verdict == INCONSISTENT} == {"3", "7", "9"}
    # Nothing was published to compare, in 19 only as long as there are no measured scores.
    assert {number for number, verdict in found.items() if verdict == COMPUTED} == {"15", "19", "22"}
    assert found["20"] == UNCHECKED
    assert sum(tally(list(figures.values())).values()) == len(figures)


@pytest.mark.parametrize(
    ("number", "claim", "value"),
    [
        ("8", "size after a year", 59.8e9),
        ("9", "questions for $1", 6_844),
        ("5", "H100s at 20 tokens a parameter", 390e6),
        ("14", "tokens a CNY", 1.7e6),
        ("17", "fall", 266.7),
        ("18", "doubling time of both", 88),
        ("S1", "tokens a parameter at 5.76e23 FLOP", 18.4),
        ("S3", "30B quality: size", 13.6e9),
        ("S4", "highest saving", 0.43),
    ],
)
def test_known_values(figures, number, claim, value):
    (found,) = [one for one in figures[number].claims if one.name == claim]
    assert found.shown == pytest.approx(value, rel=0.01)


def test_the_question_of_a_t4_second_costs_fifteen_times_more(figures):
    (found,) = [one for one in figures["9"].claims if one.verdict == INCONSISTENT]
    assert found.ratio == pytest.approx(15, rel=0.05)


def test_what_was_solved_back_decides_nothing(figures):
    claims = {one.name: one for number in ("10", "14") for one in figures[number].claims}
    back = [one for name, one in claims.items() if "back-solved" in name]
    assert len(back) == 3
    assert all(one.verdict == COMPUTED for one in back)
    assert "back-solved" in claims["tokens a CNY"].assumption


def test_a_generation_against_the_real_model_and_along_the_frontier(figures):
    (claim,) = [one for one in figures["12"].claims if one.published is not None]
    assert claim.verdict == ASSUMED
    assert claim.computed == pytest.approx(2.39, abs=0.01)
    assert claim.assumed == pytest.approx(8.165, abs=0.01)


def test_the_forecast_of_a_class_rests_on_the_median_of_its_draws(figures):
    rests = [one for one in figures["21"].claims if one.published is not None]
    assert [one.verdict for one in rests] == [ASSUMED, ASSUMED]
    assert all("median" in one.name for one in rests)
    assert len(figures["21"].claims) == 6


def test_the_chart_names_what_misses(figures):
    drawn = str(draw_xy(figures_chart(list(figures.values())), 1000))
    assert "OPT-175B" in drawn


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        all_figures(tmp_path / "none")
    unchecked = {figure.number for figure in all_figures(tmp_path) if figure.verdict == UNCHECKED}
    assert {"S2", "S5", "S6"} <= unchecked


@pytest.mark.shared
@pytest.mark.slow
def test_published_points_replicate():
    if not DATA.is_dir():
        pytest.skip("the published points (shared/data/scaling) are not beside the project on this machine")
    found = {figure.number: figure for figure in all_figures(DATA)}
    assert {number: found[number].verdict for number in ("4", "S2", "S5", "S6")} == {
        "4": ASSUMED,
        "S2": REPRODUCED,
        "S5": REPRODUCED,
        "S6": INCONSISTENT,
    }
    assert found["19"].verdict == INCONSISTENT
    middle, *rulers = found["S6"].claims
    assert middle.verdict == REPRODUCED
    # Each ruler has its own verdict: some lie below the published range, none above it.
    outside = [one for one in rulers if one.verdict == INCONSISTENT]
    assert 0 < len(outside) < len(rulers) / 2
    assert all(one.computed < 2.6 for one in outside)


def _table(path, rows):
    head = "Model,Model Family,Model Size (B),Pretraining Data Size (T),MMLU"
    path.write_text("\n".join([head, *rows]), encoding="utf-8")
    return path


def test_rulers_are_admitted_by_one_stated_rule(tmp_path):
    rows = []
    for family, tokens, worst, sizes in (
        ("Good", "1", 0.30, (1, 3, 7)),
        ("NearGuessing", "1", 0.28, (1, 3, 7)),
        ("NoTokens", "", 0.30, (1, 3, 7)),
        ("TwoSizes", "1", 0.30, (1, 3, 3)),
        ("CodeLlama", "1", 0.30, (1, 3, 7)),
    ):
        rows += [f"m,{family},{size},{tokens},{worst + 0.05 * at}" for at, size in enumerate(sizes)]
    assert admitted_families(_table(tmp_path / "t.csv", rows)) == ["Good"]


def test_a_table_without_a_ruler_is_not_checked(tmp_path):
    _table(tmp_path / "ObsScaling_base_llm_benchmark_eval.csv", ["m,Small,1,1,0.26"])
    (found,) = density_figures(tmp_path)[1].claims
    assert found.verdict == UNCHECKED
