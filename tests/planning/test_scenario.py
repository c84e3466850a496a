import re
from html import escape
from pathlib import Path

import pytest

from understudy.errors import ConfigError, DataError
from understudy.planning.page import render_page
from understudy.planning.scenario import Load, read_scenario, scenario_of
from understudy.planning.scenario_plans import run_scenario

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plan" / "scenario.toml"
LOAD = {"calls_per_month": 1e5}


@pytest.fixture(scope="module")
def plans():
    return run_scenario(read_scenario(EXAMPLE))


def test_what_one_section_finds_goes_into_the_next(plans):
    assert plans.fleet.fleet.unit.service_s == plans.serve.time.total_seconds.typical
    assert plans.fleet.fleet.unit.slots == plans.serve.batch
    name = f"{plans.serve.model.name} on {plans.fleet.device}"
    (option,) = [one for one in plans.breakeven.options if one.name == name]
    assert option.usd_per_unit_month == pytest.approx(
        plans.fleet.fleet.usd_per_month / plans.fleet.fleet.devices
    )
    assert plans.train.aim.inference_tokens == plans.scenario.load.tokens
    assert plans.breakeven.evidence.calls_per_month == plans.scenario.load.calls_per_month


def test_the_page_holds_every_section_and_asks_for_nothing(plans):
    page = render_page(plans)
    for key in ("breakeven", "serve", "fleet", "train", "device", "forecast", "figures"):
        assert f'<section id="{key}">' in page
    assert "default-src 'none'" in page.replace("&#x27;", "'")
    assert page.count("<script") == 1
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    assert not re.findall(r"url\(", page)
    assert page.count("<svg") >= 12
    assert escape(plans.breakeven.sentence) in page
    assert " nan" not in page.lower()


def test_names_are_escaped():
    given = {"name": "<b>x</b>", "description": "<script>alert(1)</script>", "load": LOAD}
    page = render_page(run_scenario(scenario_of(given)))
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x" in page


def test_each_section_may_be_left_out():
    plans = run_scenario(scenario_of({"load": LOAD}))
    assert (plans.breakeven, plans.serve, plans.fleet, plans.train, plans.device, plans.forecast) == (
        None,
    ) * 6
    assert plans.to_dict()["figures"] == []
    assert "<h1>" in render_page(plans)


def test_unknown_prices_reach_the_page_as_unknown():
    sections = {"breakeven": {"coverage": 0.5}, "fleet": {"device": "custom", "service_seconds": 1.0}}
    page = render_page(run_scenario(scenario_of({"load": LOAD, **sections})))
    assert "unknown" in page
    assert "teacher_usd_per_call" in page


def test_a_ruler_measures_the_models_of_the_scenario(tmp_path):
    from understudy.density.family import FamilyPoint
    from understudy.density.fit import fit_ruler
    from understudy.density.ruler import save_ruler

    points = [
        FamilyPoint(n, d, 1.7 + 400 / n**0.34 + 400 / d**0.28, score)
        for n, d, score in ((1e8, 2e9, 0.3), (1e8, 2e10, 0.35), (1e9, 2e10, 0.5), (1e9, 2e11, 0.6), (4e9, 1e11, 0.65), (4e8, 1e10, 0.42), (4e8, 1e11, 0.48))
    ]  # fmt: skip
    save_ruler(fit_ruler(points, n_draws=20), tmp_path / "ruler.json")
    given = {
        "load": LOAD,
        "density": {
            "ruler": "ruler.json",
            "models": [{"name": "a", "params": 1e9, "score": 0.55, "tokens": 1e11}],
        },
    }
    plans = run_scenario(scenario_of(given, folder=tmp_path))
    assert plans.density[0].own.rho == pytest.approx(1.0, rel=0.6)
    assert 'id="density"' in render_page(plans)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "needs a"),
        ({"load": {}}, "calls_per_month"),
        ({"load": LOAD, "laod": {}}, r"known: name, description, cny_per_usd, \[load\]"),
        ({"load": {**LOAD, "tokens": 3}}, r"\[load\] has no 'tokens'"),
        ({"load": {"calls_per_month": "many"}}, "is a number"),
        ({"load": {"calls_per_month": 0}}, "above 0"),
        ({"load": {**LOAD, "months": 0}}, "months must be 1 or more"),
        ({"load": LOAD, "fleet": 3}, "is a section"),
        ({"load": LOAD, "fleet": {"spares": 1.5}}, "is a whole number"),
        ({"load": LOAD, "fleet": {"own": 1}}, "true or false"),
        ({"load": LOAD, "fleet": {}}, "how long a call takes"),
        ({"load": LOAD, "breakeven": {"answered": 3}}, "go together"),
        ({"load": LOAD, "device": {}}, "needs a model"),
        ({"load": LOAD, "forecast": {"params": 1e9}}, "needs on"),
        ({"load": LOAD, "density": {}}, "needs a ruler"),
        ({"load": LOAD, "figures": {"numbers": ["77"]}}, "no such entry"),
        ({"load": LOAD, "train": {}}, "starts from one of"),
    ],
)
def test_mistakes_are_told_with_the_section(given, words):
    with pytest.raises(ConfigError, match=words):
        run_scenario(scenario_of(given))


def test_wrong_files_are_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_scenario(tmp_path / "none.toml")
    (tmp_path / "x.toml").write_text("=")
    with pytest.raises(DataError, match="no TOML"):
        read_scenario(tmp_path / "x.toml")


def test_calls_over_all_months_grow():
    assert Load(100.0, months=3).calls == 300
    assert Load(100.0, months=3, growth_per_month=0.1).calls == pytest.approx(331)
