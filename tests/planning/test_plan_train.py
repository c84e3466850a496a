import json

import pytest

from understudy.drawing.xy import draw_xy
from understudy.economics.scaling.constants import constants_names
from understudy.economics.transformer.parameters import count_parameters
from understudy.errors import ConfigError
from understudy.planning.accelerators import accelerator_of
from understudy.planning.train import plan_training
from understudy.planning.train_aim import Aim, Means
from understudy.planning.train_chart import train_chart


@pytest.fixture(scope="module")
def means():
    return Means(accelerator=accelerator_of("h100-sxm")[0])


def test_a_budget_of_flop_is_spent(means):
    plan = plan_training(Aim(flops=1e21), means)
    best = plan.chosen
    assert best.kind == "compute-optimal"
    assert 6 * best.parameters * best.tokens == pytest.approx(1e21)
    assert plan.cost.flops == best.training_flops
    assert count_parameters(plan.shape).total == pytest.approx(best.parameters, rel=0.03)
    assert plan.cost.devices == plan.fewest_devices
    json.dumps(plan.to_dict())


def test_money_and_time_turn_into_the_same_plan(means):
    plan = plan_training(Aim(usd=1_000), means)
    assert plan.cost.usd == pytest.approx(1_000)
    timed = plan_training(
        Aim(hours=plan.cost.device_hours / 8), Means(accelerator=means.accelerator, devices=8)
    )
    assert timed.chosen.parameters == pytest.approx(plan.chosen.parameters)


def test_a_loss_is_reached(means):
    assert plan_training(Aim(loss=2.2), means).chosen.loss == pytest.approx(2.2)
    with pytest.raises(ConfigError, match="no model reaches this loss"):
        plan_training(Aim(loss=1.0), means)


def test_a_size_brings_its_data_or_takes_those_given(means):
    plan = plan_training(Aim(parameters=1e9), means)
    assert plan.chosen.tokens / 1e9 == pytest.approx(20, rel=0.25)
    given = plan_training(Aim(parameters=1e9, tokens=1e12), means)
    assert given.chosen.kind == "as given"
    assert given.chosen.warnings


def test_answering_makes_the_model_smaller_and_says_what_that_takes(means):
    plan = plan_training(Aim(flops=1e21, inference_tokens=1e12), means)
    first, best = plan.variants
    assert best.kind == "inference-aware"
    assert best.parameters < first.parameters
    assert best.loss == pytest.approx(first.loss)
    assert best.life_flops < first.life_flops
    assert "times the FLOP of the first plan" in best.warnings[0]


def test_a_small_corpus_is_repeated(means):
    plan = plan_training(Aim(flops=1e21, unique_tokens=1e10), means)
    best = plan.chosen
    assert best.kind == "data-constrained"
    assert best.epochs > 1
    assert best.loss > plan.variants[0].loss
    enough = plan_training(Aim(flops=1e21, unique_tokens=1e13), means)
    assert [one.kind for one in enough.variants] == ["compute-optimal"]


def test_every_published_set_of_constants_answers(means):
    plan = plan_training(Aim(flops=1e21), means)
    names = {row.constants for row in plan.sensitivity}
    assert names >= set(constants_names("additive"))
    sizes = [row.parameters for row in plan.sensitivity]
    assert max(sizes) > 1.4 * min(sizes)
    out_of_reach = plan_training(Aim(loss=1.85), means)
    reasons = {row.constants: row.reason for row in out_of_reach.sensitivity if row.parameters is None}
    assert reasons == {"muennighoff2023": "no model reaches this loss"}


def test_a_mixture_gains_loss_and_costs_memory(means):
    mixture = plan_training(Aim(flops=1e20), means, n_experts=8).mixture
    assert mixture.loss < mixture.dense_loss
    assert mixture.total_parameters > 2 * mixture.active_parameters
    assert 0 < mixture.equal_loss_flops_share < 1
    with pytest.raises(ConfigError, match="n_experts"):
        plan_training(Aim(flops=1e20), means, n_experts=64)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"flops": 1e20, "usd": 3},
        {"flops": 1e20, "tokens": 1e9},
    ],
)
def test_an_aim_has_one_start(wrong):
    with pytest.raises(ConfigError):
        Aim(**wrong)


def test_the_chart_has_a_valley_per_law(means):
    plan = plan_training(Aim(flops=1e21), means)
    chart = train_chart(plan)
    assert all(min(one.y) == pytest.approx(0, abs=1e-9) for one in chart.series)
    assert "besiroglu2024" in str(draw_xy(chart, 1000))


def test_a_device_without_arithmetic_is_refused():
    with pytest.raises(ConfigError, match="no 16-bit rate"):
        accelerator_of("pixel-8-pro")
