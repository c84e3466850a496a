"""Plans by a law fitted to one's own runs: what comes out, its intervals, its chart, its doubts."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from understudy.cli.plan import plan_group
from understudy.drawing.xy import draw_xy
from understudy.economics.scaling.bootstrap import LawDraws
from understudy.economics.scaling.constants import scaling_law
from understudy.economics.scaling.estimate import Estimate
from understudy.economics.scaling.law import ScalingLaw
from understudy.economics.scaling.optimum import PlanLaw, published_law
from understudy.economics.scaling.optimum import plan_training as plan_sizes
from understudy.errors import ConfigError
from understudy.planning.accelerators import accelerator_of
from understudy.planning.page import render_page
from understudy.planning.scenario import scenario_of
from understudy.planning.scenario_plans import run_scenario
from understudy.planning.train import plan_training
from understudy.planning.train_aim import Aim, Means
from understudy.planning.train_chart import runs_chart
from understudy.planning.train_runs import choose_law, fit_runs

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "plan"
RUNS = EXAMPLES / "runs.csv"
TRUTH = scaling_law("besiroglu2024")


@pytest.fixture(scope="module")
def fitted():
    return fit_runs(RUNS, n_draws=200)


@pytest.fixture(scope="module")
def means():
    return Means(accelerator=accelerator_of("h100-sxm")[0])


def holds(estimate, truth):
    return estimate.lower <= truth <= estimate.upper


def test_the_shipped_runs_give_their_law_back(fitted, means):
    constants = fitted.draws.constants()
    assert all(holds(constants[name], value) for name, value in TRUTH.to_dict().items())
    assert fitted.law.warnings == ()
    best = plan_training(Aim(flops=1e20), means, law=fitted.law).chosen
    truth = TRUTH.compute_optimal(1e20)
    assert holds(best.estimates["parameters"], truth.parameters)
    assert holds(best.estimates["tokens"], truth.tokens)
    assert holds(best.estimates["loss"], truth.loss)
    assert best.warnings == ()


def test_intervals_are_those_of_the_plan_of_sizes(fitted, means):
    best = plan_training(Aim(flops=1e20), means, law=fitted.law).chosen
    other = plan_sizes(fitted.law, flops=1e20)
    for name in ("parameters", "tokens", "tokens_per_parameter", "loss"):
        one, two = best.estimates[name], getattr(other, name)
        assert (one.lower, one.upper) == pytest.approx((two.lower, two.upper))


def test_money_has_the_interval_of_the_compute(fitted, means):
    plan = plan_training(Aim(loss=2.6), means, law=fitted.law, cny_per_usd=8.0)
    flops, costs = plan.chosen.estimates["training_flops"], plan.cost_estimates
    assert flops.lower < flops.value < flops.upper
    assert costs["usd"].upper / costs["usd"].value == pytest.approx(flops.upper / flops.value)
    assert costs["cny"].lower == pytest.approx(8 * costs["usd"].lower)
    assert costs["usd"].value == pytest.approx(plan.cost.usd)
    assert plan.to_dict()["cost"]["cny"] == pytest.approx(8 * plan.cost.usd)
    asked = plan_training(Aim(flops=1e20), means, law=fitted.law).cost_estimates["usd"]
    assert asked.lower == pytest.approx(asked.upper)


def test_every_way_has_intervals(fitted, means):
    plan = plan_training(Aim(flops=1e20, inference_tokens=1e12, unique_tokens=5e9), means, law=fitted.law)
    assert [one.kind for one in plan.variants] == [
        "compute-optimal",
        "same loss, dearer",
        "inference-aware",
        "data-constrained",
    ]
    for one in plan.variants:
        size = one.estimates["parameters"]
        assert size.lower <= one.parameters <= size.upper
        assert size.lower < size.upper
    first = plan.sensitivity[0]
    assert (first.constants, first.source, first.year) == ("fit", "your runs", None)
    json.dumps(plan.to_dict())


def test_a_loss_that_draws_do_not_reach_has_no_upper_end(means):
    low, high = ScalingLaw(1.8, 400, 2000, 0.34, 0.36), ScalingLaw(2.1, 400, 2000, 0.34, 0.36)
    rows = [[*one.to_dict().values()] for one in [low, high] * 10]
    law = PlanLaw(low, "fit", "made up", (1, 1e15), (1, 1e15), LawDraws(low, np.array(rows), 0.9, 0))
    size = plan_training(Aim(loss=2.05), means, law=law).chosen.estimates["parameters"]
    assert size.upper is None
    assert size.reason == "the figure exists in only 50% of the bootstrap draws"


def test_published_constants_say_why_they_have_no_interval(means):
    plan = plan_training(Aim(flops=1e25), means, law=published_law("hoffmann2022"))
    assert plan.interval_reason == "constants carry no covariance"
    assert all(one.lower is None for one in plan.cost_estimates.values())
    assert any(
        "lie outside the range of the runs behind hoffmann2022" in words for words in plan.chosen.warnings
    )


def test_a_plan_beyond_the_runs_is_warned_of(fitted, means):
    plan = plan_training(Aim(flops=1e24), means, law=fitted.law)
    assert any("outside the range of the runs behind the fit" in words for words in plan.chosen.warnings)


def test_other_columns_and_outliers(tmp_path):
    lines = RUNS.read_text().splitlines()[1:]
    path = tmp_path / "other.csv"
    rows = [f"{n},{6 * float(n) * float(d)},{loss}" for n, d, loss in (line.split(",") for line in lines)]
    path.write_text("\n".join(["N,C,nats", *rows, "20000000,1e16,99"]))
    columns = {"parameters": "N", "flops": "C", "loss": "nats"}
    found = fit_runs(path, columns=columns, outliers="highest-loss:1", n_draws=20)
    assert found.fit.dropped.rows == (36,)
    assert found.fit.law.alpha == pytest.approx(TRUTH.alpha, abs=0.03)
    assert found.to_dict()["dropped"]["rows"] == (36,)
    with pytest.raises(ConfigError, match="given once"):
        fit_runs(path, columns={"tokens": "N", "flops": "C"})


def test_a_law_is_fitted_or_published():
    law, found = choose_law(None, None, outliers=None, columns={})
    assert (law.name, found) == ("besiroglu2024", None)
    with pytest.raises(ConfigError, match="not both"):
        choose_law("hoffmann2022", RUNS)


def test_the_chart_shows_runs_and_frontier(tmp_path, means):
    found = fit_runs(RUNS, outliers="highest-loss:2", n_draws=20)
    plan = plan_training(Aim(flops=1e22), means, law=found.law)
    chart = runs_chart(plan, found)
    frontier, kept, out = chart.series
    assert (len(kept.x), len(out.x)) == (34, 2)
    assert max(frontier.x) == pytest.approx(1e22)
    assert all(low <= y <= high for low, y, high in zip(frontier.low, frontier.y, frontier.high, strict=True))
    assert "this plan" in str(draw_xy(chart, 1000))


def test_the_command_prints_constants_doubts_and_intervals(tmp_path):
    words = ["train", "--loss", "2.6", "--runs", str(RUNS), "--draws", "50", "--outliers", "highest-loss:2"]
    done = CliRunner().invoke(plan_group, [*words, "--plot", str(tmp_path / "runs.svg")])
    assert done.exit_code == 0, (done.output, done.exception)
    for told in ("Fitted to 34 runs", "standard error", "left out: 2 of 36", "no rule of", "rent in yuan"):
        assert told in done.stdout
    assert "as asked" in done.stdout
    assert "left out" in (tmp_path / "runs.svg").read_text()
    found = json.loads(CliRunner().invoke(plan_group, [*words, "--json"]).stdout)
    assert found["fit"]["dropped"]["rule"] == "highest-loss:2"
    assert found["fit"]["bootstrap"]["estimates"]["E"]["lower"] < found["fit"]["law"]["E"]
    assert found["constants"]["name"] == "fit"
    variant = found["variants"][-1]
    assert (
        variant["estimates"]["tokens"]["lower"] < variant["tokens"] < variant["estimates"]["tokens"]["upper"]
    )


def test_runs_that_cannot_tell_are_doubted(tmp_path):
    path = tmp_path / "few.csv"
    rng = np.random.default_rng(1)
    rows = [
        f"{n:.0f},{d:.0f},{float(TRUTH.loss(n, d)) * np.exp(0.002 * rng.normal()):.4f}"
        for n in (1e8, 3e8, 8e8)
        for d in (3e9, 9e9, 2e10)
    ]
    path.write_text("\n".join(["parameters,tokens,loss", *rows]))
    done = CliRunner().invoke(plan_group, ["train", "--flop", "1e19", "--runs", str(path), "--draws", "20"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "doubt: 9 runs for 5 constants" in done.stdout


def test_a_scenario_plans_by_its_runs():
    given = {
        "load": {"calls_per_month": 1e5},
        "cny_per_usd": 8.0,
        "train": {"flop": 1e20, "runs": "runs.csv"},
    }
    plans = run_scenario(scenario_of(given, folder=EXAMPLES))
    assert plans.train.law.name == "fit"
    page = render_page(plans)
    assert "90 % intervals, of the fitted law alone" in page
    assert f"¥{8 * plans.train.cost.usd:,.0f}" in page
    given["train"] = {"flop": 1e20, "runs": "runs.csv", "constants": "hoffmann2022"}
    with pytest.raises(ConfigError, match="not both"):
        run_scenario(scenario_of(given, folder=EXAMPLES))


def test_an_estimate_in_another_unit():
    found = Estimate(2.0, 0.5, 1.0, 4.0, 0.9).times(3.0)
    assert (found.value, found.standard_error, found.lower, found.upper) == (6.0, 1.5, 3.0, 12.0)
    assert Estimate(2.0, reason="none").times(3.0) == Estimate(6.0, reason="none")
