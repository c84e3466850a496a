import json
from dataclasses import replace

import pytest

from understudy.drawing.xy import draw_xy
from understudy.economics.scaling.constants import constants_names
from understudy.economics.scaling.optimum import published_law
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
    plan = plan_training(Aim(loss=2.3, inference_tokens=1e12), means)
    first, best = plan.variants
    assert best.kind == "inference-aware"
    assert best.parameters < first.parameters
    assert best.loss == pytest.approx(first.loss)
    assert best.life_flops < first.life_flops
    assert "times the FLOP of the first plan" in best.warnings[0]


@pytest.mark.parametrize("aim", [{"usd": 1_000}, {"flops": 1e21}, {"hours": 24}])
@pytest.mark.parametrize("unique", [None, 1e10])
def test_a_budget_is_a_limit_of_training_whatever_is_answered(means, aim, unique):
    eight = replace(means, devices=8)
    plain = plan_training(Aim(**aim), eight)
    plan = plan_training(Aim(**aim, inference_tokens=1e12, unique_tokens=unique), eight)
    assert plan.cost.usd == pytest.approx(plain.cost.usd)
    assert plan.cost.wall_hours == pytest.approx(plain.cost.wall_hours)
    assert plan.chosen.parameters < plain.chosen.parameters
    assert plan.chosen.life_flops < plan.variants[0].life_flops
    dearer = next(one for one in plan.variants if one.kind == "same loss, dearer")
    assert dearer.loss == pytest.approx(plain.chosen.loss)
    assert dearer.training_flops > 1.2 * plain.chosen.training_flops
    inside = next(one for one in plan.variants if one.kind == "inference-aware")
    assert inside.loss > plain.chosen.loss
    assert "times the budget ($" in inside.warnings[0]


def test_a_model_to_match_gives_the_published_plan(means):
    law = published_law("sardana2024")
    plan = plan_training(Aim(like_parameters=7e9, inference_tokens=1e11), means, law=law)
    assert plan.chosen.parameters == pytest.approx(6.0e9, rel=0.005)
    assert plan.chosen.tokens / plan.variants[0].tokens == pytest.approx(1.18, rel=0.005)
    assert plan.chosen.loss == pytest.approx(plan.variants[0].loss)


def test_a_small_corpus_still_counts_answering_and_holds_for_every_row(means):
    plain = plan_training(Aim(flops=1e21, unique_tokens=1e10), means)
    plan = plan_training(Aim(flops=1e21, unique_tokens=1e10, inference_tokens=1e12), means)
    assert plan.chosen.kind == plain.chosen.kind == "data-constrained"
    assert plan.chosen.parameters < 0.8 * plain.chosen.parameters
    assert plan.chosen.training_flops == pytest.approx(plain.chosen.training_flops)
    own = next(row for row in plain.sensitivity if row.constants == "besiroglu2024")
    assert (own.parameters, own.tokens) == (plain.chosen.parameters, plain.chosen.tokens)
    assert any("muennighoff2023 takes both" in words for words in plain.chosen.warnings)
    both = plan_training(Aim(flops=1e21, unique_tokens=1e10), means, law=published_law("muennighoff2023"))
    assert not any("muennighoff2023" in words and "takes both" in words for words in both.chosen.warnings)


def test_a_mixture_says_that_it_needs_fresh_tokens(means):
    few = plan_training(Aim(flops=1e20, unique_tokens=1e9), means, n_experts=8).mixture
    assert "fresh tokens" in few.warnings[0]
    many = plan_training(Aim(flops=1e20, unique_tokens=1e13), means, n_experts=8).mixture
    assert not any("fresh tokens" in words for words in many.warnings)


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
