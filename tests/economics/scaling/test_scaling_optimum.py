import json
import math

import pytest

from understudy.economics.scaling.bootstrap import bootstrap_fit
from understudy.economics.scaling.constants import scaling_law
from understudy.economics.scaling.estimate import NO_COVARIANCE
from understudy.economics.scaling.inference_aware import inference_optimum, reference_loss
from understudy.economics.scaling.optimum import fitted_law, plan_training, published_law
from understudy.economics.scaling.parametric import fit_parametric
from understudy.errors import ConfigError

QUESTIONS = [
    {"flops": 1e21},
    {"loss": 2.4},
    {"loss": 2.4, "inference_tokens": 1e12},
    {"like_parameters": 3e9, "inference_tokens": 1e12},
    {"total_flops": 1e21, "inference_tokens": 1e11},
]


@pytest.fixture(scope="module")
def fit(noisy_runs):
    return fit_parametric(noisy_runs, n_starts=20)


@pytest.fixture(scope="module")
def drawn(fit):
    return fitted_law(fit, bootstrap_fit(fit, n_draws=60))


def test_published_constants_give_a_plan_without_intervals():
    plan = plan_training(published_law(), flops=5.76e23)
    assert f"{plan.tokens_per_parameter.value:.1f}" == "18.4"
    assert plan.parameters.lower is None
    assert plan.parameters.reason == NO_COVARIANCE
    assert plan.law == "besiroglu2024"
    assert "arXiv" in plan.source
    assert len(plan.warnings) == 2  # 72e9 parameters and 1.3e12 tokens are beyond the runs behind it
    assert plan.inference_flops is None


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: "-".join(question))
def test_a_fit_with_draws_gives_intervals(drawn, question):
    plan = plan_training(drawn, **question)
    for name in ("parameters", "tokens", "tokens_per_parameter"):
        figure = getattr(plan, name)
        assert figure.lower < figure.value < figure.upper, name
    assert plan.warnings == ()
    assert plan.source == "fitted to 36 runs, no run is left out"
    assert json.loads(json.dumps(plan.to_dict()))["question"] == plan.question


def test_what_is_asked_for_has_no_spread(drawn):
    by_flops = plan_training(drawn, flops=1e21)
    assert by_flops.training_flops.upper == pytest.approx(1e21)
    assert by_flops.loss.lower < by_flops.loss.value < by_flops.loss.upper
    by_loss = plan_training(drawn, loss=2.4)
    assert by_loss.loss.lower == by_loss.loss.upper == 2.4
    assert by_loss.training_flops.lower < by_loss.training_flops.upper


def test_a_fit_without_draws_says_so(fit):
    plan = plan_training(fitted_law(fit), flops=1e21)
    assert plan.loss.reason == "no bootstrap of the fit was given"


def test_a_loss_that_some_draws_do_not_reach(fit, drawn):
    near = fit.law.e + 0.01
    plan = plan_training(drawn, loss=near)
    assert plan.parameters.lower is None
    assert "exists in only" in plan.parameters.reason


def test_plans_agree_with_the_functions_below():
    law = scaling_law("sardana2024")
    plan = plan_training(published_law("sardana2024"), like_parameters=30e9, inference_tokens=1e13)
    best = inference_optimum(law, reference_loss(law, 30e9), 1e13)
    assert plan.parameters.value == best.parameters
    assert plan.tokens.value == best.tokens
    assert plan.inference_flops.value == best.inference_flops
    alone = plan_training(published_law("sardana2024"), like_parameters=30e9)
    assert alone.parameters.value == pytest.approx(30e9)
    served = plan_training(published_law(), flops=1e21, inference_tokens=1e9)
    assert served.inference_flops.value == 2 * served.parameters.value * 1e9
    assert "training and 1e+13 tokens of inference" in plan.question


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({}, "exactly one question"),
        ({"inference_tokens": 1e9}, "none beside inference_tokens"),
        ({"flops": 1e21, "loss": 2.4}, "flops, loss"),
        ({"total_flops": 1e21}, "needs inference_tokens"),
        ({"flops": -1.0}, "flops must be"),
        ({"loss": math.nan}, "loss must be"),
        ({"loss": 2.4, "inference_tokens": -1.0}, "inference_tokens must be"),
        ({"loss": 1.5}, "no model reaches"),
    ],
)
def test_questions_that_cannot_be_answered(question, message):
    with pytest.raises(ConfigError) as caught:
        plan_training(published_law(), **question)
    assert message in str(caught.value)


def test_unknown_constants():
    with pytest.raises(ConfigError, match="hoffmann2022"):
        published_law("gpt-4")
