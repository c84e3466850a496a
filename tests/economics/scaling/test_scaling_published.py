"""Published figures that need no data: they follow from constants, and must come out to the printed digit."""

import json
import math

import pytest

from understudy.economics.scaling.constants import constants, constants_names, scaling_law
from understudy.economics.scaling.data_constrained import data_constrained_law
from understudy.economics.scaling.inference_aware import (
    fixed_training_optimum,
    inference_optimum,
    inference_sensitivity,
    reference_loss,
    size_swap,
    total_budget_optimum,
)
from understudy.economics.scaling.kaplan import kaplan_loss, kaplan_optimal
from understudy.economics.scaling.mixture import mixture_law, total_parameters
from understudy.errors import ConfigError

ADDITIVE = constants_names("additive")

# Sardana et al. 2024: quality of (parameters), inference tokens; optimal parameters and data ratio as printed.
SARDANA = [(7e9, 1e11, "6.0", "1.18"), (30e9, 1e13, "13.6", "2.84")]

# Ludziejewski et al. 2025, table 4: experts, then A, alpha, B, beta of the law with so many experts.
MIXTURE_TABLE = [
    (1, 30.3640, 0.1817, 53.9838, 0.1965),
    (2, 27.7982, 0.1780, 66.8401, 0.2065),
    (4, 24.8462, 0.1731, 87.7022, 0.2192),
    (8, 21.8330, 0.1676, 119.9126, 0.2338),
    (16, 19.0159, 0.1617, 167.5073, 0.2494),
    (32, 16.5424, 0.1557, 234.6726, 0.2652),
]


def test_every_set_says_where_it_comes_from():
    assert len(constants_names()) == 7
    for name in constants_names():
        row = constants(name)
        assert "arXiv" in row.source
        assert row.notes
        assert 2020 <= row.year <= 2025
        assert 0 < row.range_parameters[0] < row.range_parameters[1]
        assert 0 < row.range_tokens[0] < row.range_tokens[1]
        assert all(math.isfinite(value) for value in row.values.values())
        json.dumps(row.to_dict())


def test_unknown_names_and_forms_list_what_there_is():
    with pytest.raises(ConfigError, match="besiroglu2024"):
        constants("chinchilla")
    with pytest.raises(ConfigError, match="another form"):
        scaling_law("kaplan2020")
    with pytest.raises(ConfigError, match="not of a mixture"):
        mixture_law("hoffmann2022")


def test_ranges_warn_outside_only():
    row = constants("besiroglu2024")
    assert row.range_warnings(1e9, 2e10) == ()
    warnings = row.range_warnings(1e12, 1e9)
    assert len(warnings) == 1
    assert "1e+12 parameters lie outside" in warnings[0]


def test_hoffmann_exponents_as_printed():
    # Table 2 of Hoffmann et al. 2022: a = .46, b = .54 for approach 3.
    law = scaling_law("hoffmann2022-tex")
    assert f"{law.parameters_exponent:.2f}" == "0.46"
    assert f"{law.tokens_exponent:.2f}" == "0.54"


def test_epoch_tokens_per_parameter():
    assert f"{scaling_law('besiroglu2024').compute_optimal(5.76e23).tokens_per_parameter:.1f}" == "18.4"


def test_chinchilla_beats_gpt3_under_every_set():
    for name in ADDITIVE:
        law = scaling_law(name)
        assert law.loss(70e9, 1.4e12) < law.loss(175e9, 300e9), name


@pytest.mark.parametrize(("quality", "served", "parameters", "ratio"), SARDANA)
def test_sardana_to_the_printed_digit(quality, served, parameters, ratio):
    law = scaling_law("sardana2024")
    found = inference_optimum(law, reference_loss(law, quality), served)
    assert f"{found.parameters / 1e9:.1f}" == parameters
    assert f"{found.data_ratio:.2f}" == ratio
    assert found.reference.parameters == pytest.approx(quality)
    assert float(law.loss(found.parameters, found.tokens)) == pytest.approx(found.loss)


def test_sardana_saves_28_per_cent():
    law = scaling_law("sardana2024")
    found = inference_optimum(law, reference_loss(law, 30e9), 1e13)
    assert f"{found.saved_share:.0%}" == "28%"


def test_sardana_7b_in_place_of_13b():
    # "an LLM developer seeking to train a 13B model who expects 2 trillion tokens of inference demand can
    # reduce their total compute by 1.7e22 FLOPs (17 %) by instead training a 7B model on more data"
    found = size_swap(scaling_law("sardana2024"), 13e9, 7e9, 2e12)
    assert f"{found.saved_flops:.1e}" == "1.7e+22"
    assert f"{found.saved_share:.0%}" == "17%"
    assert found.tokens > found.reference.tokens
    spent = found.extra_training_flops / (2 * 6e9)
    assert found.break_even_inference_tokens == pytest.approx(spent)


def test_the_same_question_under_other_constants_saves_18_to_43_per_cent():
    rows = inference_sensitivity(30e9, 1e13)
    assert [row.constants for row in rows] == list(ADDITIVE)
    saved = {row.constants: f"{row.optimum.saved_share:.1%}" for row in rows}
    assert saved == {
        "hoffmann2022": "18.2%", "hoffmann2022-tex": "26.5%", "sardana2024": "28.0%", "besiroglu2024": "42.7%",
    }  # fmt: skip
    json.dumps([row.to_dict() for row in rows])
    assert len(inference_sensitivity(30e9, 1e13, ["besiroglu2024"])) == 1


@pytest.mark.parametrize("name", ADDITIVE)
@pytest.mark.parametrize("served", [1e10, 1e12, 1e14])
def test_no_other_size_is_cheaper_over_its_life(name, served):
    law = scaling_law(name)
    found = inference_optimum(law, reference_loss(law, 10e9), served)
    for factor in (0.9, 0.99, 1.01, 1.1):
        size = found.parameters * factor
        tokens = law.tokens_for_loss(size, found.loss).value
        if tokens is not None:
            assert 6 * size * tokens + 2 * size * served >= found.total_flops * (1 - 1e-12)
    assert found.saved_flops >= 0


def test_more_inference_makes_models_smaller_and_longer():
    law = scaling_law()
    loss = reference_loss(law, 10e9)
    found = [inference_optimum(law, loss, served) for served in (0, 1e10, 1e12, 1e14, 1e18)]
    sizes = [one.parameters for one in found]
    assert sizes == sorted(sizes, reverse=True)
    assert found[0].parameters == found[0].reference.parameters
    assert found[0].saved_share == pytest.approx(0, abs=1e-12)
    assert [one.data_ratio for one in found] == sorted(one.data_ratio for one in found)
    dear = inference_optimum(law, loss, 1e12, inference_weight=4)
    assert dear.parameters == pytest.approx(inference_optimum(law, loss, 4e12).parameters)
    assert dear.inference_flops == 2 * dear.parameters * 1e12
    assert inference_optimum(law, loss, 1e12, inference_weight=0).parameters == found[0].parameters


def test_swaps_that_cannot_be_or_do_not_pay():
    law = scaling_law("sardana2024")
    tiny = size_swap(law, 13e9, 1e8, 1e12)
    assert tiny.tokens is None
    assert "stays above" in tiny.reason
    larger = size_swap(law, 7e9, 13e9, 1e12)
    assert larger.saved_flops < 0
    assert larger.break_even_inference_tokens is None
    assert "not smaller" in larger.reason
    json.dumps(larger.to_dict())


@pytest.mark.parametrize("served", [0, 1e10, 1e12, 1e14])
def test_a_total_budget_is_spent_and_no_other_split_is_better(served):
    law = scaling_law()
    found = total_budget_optimum(law, 1e23, served)
    assert found.training_flops + 2 * found.parameters * served == pytest.approx(1e23)
    for factor in (0.9, 1.1):
        size = found.parameters * factor
        tokens = (1e23 / size - 2 * served) / 6
        if tokens > 0:
            assert law.loss(size, tokens) >= found.loss - 1e-12


@pytest.mark.parametrize("served", [1e9, 1e12, 1e15])
def test_a_fixed_training_budget_is_spent_where_no_model_of_that_loss_is_cheaper_in_life(served):
    law = scaling_law()
    found = fixed_training_optimum(law, 1e21, served)
    assert found.training_flops == pytest.approx(1e21)
    best = inference_optimum(law, found.loss, served)
    assert best.parameters == pytest.approx(found.parameters, rel=1e-6)
    assert best.training_flops == pytest.approx(1e21, rel=1e-6)
    assert fixed_training_optimum(law, 1e21, 0) == law.compute_optimal(1e21)


def test_a_corpus_that_suffices_gives_the_same_answer_as_none():
    law = data_constrained_law()
    free = fixed_training_optimum(law.one_pass, 1e21, 1e12)
    found = law.optimum(1e21, 1e14, 1e12)
    assert found.parameters == pytest.approx(free.parameters, rel=1e-6)
    assert found.epochs == 1
    short = law.optimum(1e21, 5e9, 1e12)
    assert short.epochs > law.optimum(1e21, 5e9).epochs
    for size in (0.8, 1.25):
        # No size near it that reaches its loss costs less in life; smaller ones may need more than endless passes.
        parameters = short.parameters * size
        tries = (short.tokens * 1.002**step for step in range(-400, 4000))
        needed = next((one for one in tries if law.loss(parameters, one, 5e9) <= short.loss), math.inf)
        assert math.isfinite(needed) or size < 1
        life = parameters * (6 * needed + 2 * 1e12)
        assert life > short.parameters * (6 * short.tokens + 2 * 1e12)


def test_budgets_and_losses_out_of_reach():
    law = scaling_law()
    with pytest.raises(ConfigError, match="no model reaches this loss"):
        inference_optimum(law, 1.8, 1e12)
    with pytest.raises(ConfigError, match="does not pay for so much inference"):
        total_budget_optimum(law, 1e12, 1e15)
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="inference_tokens"):
            inference_optimum(law, 2.5, bad)
        with pytest.raises(ConfigError, match="inference_weight"):
            inference_optimum(law, 2.5, 1e9, inference_weight=bad)
        with pytest.raises(ConfigError, match="parameters"):
            size_swap(law, 1e9, bad, 1e9)
        with pytest.raises(ConfigError, match="total_flops"):
            total_budget_optimum(law, bad, 1e9)


def test_muennighoff_losses_and_optimum_as_the_authors_print_them():
    law = data_constrained_law()
    assert law.loss(6.34e9, 242e9, 25e9) == pytest.approx(2.2256440889984477, abs=1e-8)
    assert law.loss(8.67e9, 178e9, 25e9) == pytest.approx(2.2269634075087867, abs=1e-8)
    best = law.optimum(6 * 8.67e9 * 178e9, 25e9)
    assert f"{best.tokens / 1e9:.0f}B tokens, {best.parameters / 1e9:.1f}B" == "227B tokens, 6.8B"
    assert f"{best.epochs:.1f}" == "9.1"
    assert best.loss < law.loss(6.34e9, 242e9, 25e9)


def test_what_repeated_tokens_are_worth():
    law = data_constrained_law()
    # 1 + r (1 - exp(-3 / r)) with r = 15.387756: four passes are worth 93 % of fresh data, sixteen 66 %.
    assert law.effective_tokens(4e9, 1e9) / 4e9 == pytest.approx(0.931, abs=5e-4)
    assert law.effective_tokens(16e9, 1e9) / 16e9 == pytest.approx(0.661, abs=5e-4)
    assert law.effective_tokens(1e9, 1e9) == 1e9
    assert law.effective_tokens(1e9, 5e9) == 1e9
    # No number of passes is worth more than 1 + r fresh ones.
    assert law.effective_tokens(1e15, 1e9) == pytest.approx(16.387756e9)


def test_a_large_corpus_changes_nothing():
    law = data_constrained_law()
    best = law.optimum(1e21, 1e13)
    assert best.epochs == 1
    assert best.parameters == pytest.approx(best.unlimited.parameters)
    assert best.loss == pytest.approx(best.unlimited.loss)
    assert best.warnings == ()


@pytest.mark.parametrize("unique", [1e9, 1e10, 5e10])
def test_the_best_number_of_passes_is_the_best(unique):
    law = data_constrained_law()
    best = law.optimum(1e22, unique)
    assert best.epochs > 1
    assert best.loss > best.unlimited.loss
    assert best.parameters < best.unlimited.parameters
    for factor in (0.5, 0.9, 1.1, 2.0):
        size = best.parameters * factor
        assert law.loss(size, 1e22 / (6 * size), unique) >= best.loss - 1e-12


def test_less_data_more_passes_and_at_last_a_warning():
    law = data_constrained_law()
    found = [law.optimum(1e22, unique) for unique in (1e11, 1e10, 1e9, 1e8)]
    epochs = [one.epochs for one in found]
    assert epochs == sorted(epochs)
    assert found[0].warnings == ()
    assert "overfitting" in found[-1].warnings[0]
    json.dumps(found[-1].to_dict())


def test_data_constrained_bad_numbers():
    law = data_constrained_law()
    for bad in (0, -1.0, math.nan):
        with pytest.raises(ConfigError, match="unique_tokens"):
            law.optimum(1e21, bad)
        with pytest.raises(ConfigError, match="tokens"):
            law.loss(1e9, bad, 1e9)
    assert data_constrained_law("besiroglu2024").one_pass == scaling_law("besiroglu2024")


@pytest.mark.parametrize(("n_experts", "a", "alpha", "b", "beta"), MIXTURE_TABLE)
def test_mixture_reduces_to_the_published_table(n_experts, a, alpha, b, beta):
    law = mixture_law().with_experts(n_experts)
    # The joint constants are printed to four digits, so the reduced ones come out within .3 % and 2e-4.
    assert law.a == pytest.approx(a, rel=3e-3)
    assert law.b == pytest.approx(b, rel=3e-3)
    assert law.alpha == pytest.approx(alpha, abs=2e-4)
    assert law.beta == pytest.approx(beta, abs=2e-4)
    assert law.e == 1.3637


def test_more_experts_help_and_want_more_tokens_per_active_parameter():
    law = mixture_law()
    found = [law.with_experts(n).compute_optimal(1e21) for n in (1, 2, 4, 8, 16, 32)]
    losses = [one.loss for one in found]
    assert losses == sorted(losses, reverse=True)
    ratios = [one.tokens_per_parameter for one in found]
    assert ratios == sorted(ratios)
    assert law.loss(1e9, 2e10, 8) == float(law.with_experts(8).loss(1e9, 2e10))


def test_total_parameters_of_the_published_architecture():
    # Appendix E of Ludziejewski et al. 2025: active, experts, total.
    for active, n_experts, total in (
        (1.1e9, 4, "3.0"), (321e6, 32, "5.0"), (321e6, 16, "2.6"), (683e6, 8, "3.3"), (1.1e9, 1, "1.1"),
    ):  # fmt: skip
        assert f"{total_parameters(active, n_experts) / 1e9:.1f}" == total


@pytest.mark.parametrize("n_experts", [0, 33, 2.5, True])
def test_experts_outside_the_law(n_experts):
    with pytest.raises(ConfigError, match="n_experts"):
        mixture_law().with_experts(n_experts)


def test_totals_of_bad_experts():
    with pytest.raises(ConfigError, match="n_experts"):
        total_parameters(1e9, 0)


def test_kaplan_would_have_spent_on_size():
    # GPT-3's compute: by this frontier half a trillion parameters and under one token for each.
    theirs, ours = kaplan_optimal(3.15e23), scaling_law().compute_optimal(3.15e23)
    assert theirs.parameters > 5 * ours.parameters
    assert theirs.tokens_per_parameter < 1
    assert theirs.loss == kaplan_loss(theirs.parameters, theirs.tokens)
    # One petaFLOP-day is where the printed coefficients stand.
    assert kaplan_optimal(8.64e19).parameters == pytest.approx(1.3e9)
    assert kaplan_optimal(8.64e19).tokens == pytest.approx(2e10)
    # Without any limit of data: (6.4e13 / N)**.076.
    assert kaplan_loss(1e9, 1e30) == pytest.approx((6.4e13 / 1e9) ** 0.076, rel=1e-6)
