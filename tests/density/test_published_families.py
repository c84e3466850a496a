"""Published figures, from the points of the OLMo ladder and of ObsScaling where a machine has them."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from understudy.density.family import read_family
from understudy.density.fit import fit_ruler
from understudy.density.loss_law import named_law
from understudy.density.measure import measure
from understudy.density.release_dates import release_of
from understudy.density.ruler import Ruler
from understudy.density.table import read_densities
from understudy.density.trend import fit_trend

# Test models of arXiv 2412.04403, final checkpoints: parameters, tokens, MMLU.
LARGER = {"3B": (3169537280, 633939689472), "7B": (6887575552, 3945065873408), "13B": (13202396160, 5e12)}
MMLU = {"3B": 0.4079, "7B": 0.4901, "13B": 0.5141}
N_MMLU = 14042


@pytest.fixture(scope="module")
def ladder_ruler(shared_scaling: Path) -> Ruler:
    """The paper's ladder: 190M to 1.3B, each on 1, 2, 5 and 10 times 20 tokens per parameter; all else by default."""
    points = read_family(
        shared_scaling / "olmo_ladder_final_points.csv",
        loss_column="bpb_mmlu",
        score_column="acc_mmlu",
        keep=[("model", size) for size in ("190M", "370M", "760M", "1B")]
        + [("mult", at) for at in "1 2 5 10".split()],
    )
    assert len(points) == 16
    return fit_ruler(points, chance=0.25, score_name="MMLU", name="OLMo ladder", n_draws=100)


@pytest.mark.parametrize(("size", "published"), [("7B", 0.488), ("13B", 0.515)])
def test_the_small_ladder_predicts_mmlu_of_the_large(ladder_ruler, size, published):
    predicted = ladder_ruler.predict_score(*LARGER[size])
    assert predicted == pytest.approx(published, abs=0.01)
    assert predicted == pytest.approx(MMLU[size], abs=0.01)


@pytest.mark.parametrize(("size", "published"), [("3B", 0.82), ("7B", 1.05), ("13B", 0.98)])
def test_its_own_recipe_has_a_density_near_1(ladder_ruler, size, published):
    n, d = LARGER[size]
    found = measure(ladder_ruler, n_parameters=n, n_tokens=d, score=MMLU[size], n_items=N_MMLU).own
    assert 0.75 <= found.rho <= 1.1
    assert found.rho == pytest.approx(published, abs=0.06)
    assert found.rho_lower < 1
    assert found.rho_upper is None or found.rho_upper > 1


@pytest.mark.parametrize(("size", "published"), [("7B", 4.4), ("13B", 9.2)])
def test_a_fixed_reference_mostly_reports_training_on_more_tokens(ladder_ruler, size, published):
    n, d = LARGER[size]
    found = measure(ladder_ruler, n_parameters=n, n_tokens=d, score=MMLU[size]).reference
    # So far outside the ladder the third digit of an exponent moves it by a tenth; the interval is open above.
    assert found.rho == pytest.approx(published, rel=0.15)
    assert found.rho > 4
    assert found.rho_upper is None
    assert "extrapolated" in found.flags


RULERS = {
    "Llama and Llama-2, law of Hoffmann et al.": ("hoffmann", ("Llama", "Llama-2")),
    "Llama and Llama-2, law of Besiroglu et al.": ("epoch", ("Llama", "Llama-2")),
    "Llama, Llama-2, Pythia, OPT, BLOOM, law of Hoffmann et al.": (
        "hoffmann",
        ("Llama", "Llama-2", "Pythia", "OPT", "BLOOM"),
    ),
    "Qwen1.5, law of Besiroglu et al.": ("epoch", ("Qwen1.5",)),
}


@pytest.mark.parametrize("name", RULERS)
def test_density_on_mmlu_doubles_in_about_3_months(shared_scaling, name):
    law_name, families = RULERS[name]
    table = shared_scaling / "ObsScaling_base_llm_benchmark_eval.csv"
    law, source = named_law(law_name)
    points = read_family(
        table,
        n_column="Model Size (B)",
        d_column="Pretraining Data Size (T)",
        score_column="MMLU",
        n_scale=1e9,
        d_scale=1e12,
        keep=[("Model Family", family) for family in families],
    )
    ruler = fit_ruler(points, chance=0.25, law=law, law_source=source, lower=0.25, n_draws=40)
    models = read_densities(
        table,
        ruler=ruler,
        score_column="MMLU",
        n_column="Model Size (B)",
        n_scale=1e9,
        name_column="Model",
        family_column="Model Family",
    )
    found = fit_trend(models, max_parameters=15e9, break_day=date(2022, 11, 30), n_draws=200)
    assert 2.6 <= found.doubling_months <= 3.8
    assert found.fit.r_squared > 0.8
    assert found.fit.doubling_days_lower < 100 < found.fit.doubling_days_upper
    assert found.fit.n_given >= 40
    # Models of before ChatGPT are all within 5 % of guessing on this benchmark: nothing can be said of them.
    assert found.before is None


def test_release_dates_agree_with_epochs_table(shared_scaling):
    with (shared_scaling / "epoch_notable_models_trimmed.csv").open(encoding="utf-8") as stream:
        dates = {row["Model"]: row["Publication date"] for row in csv.DictReader(stream)}
    pairs = {
        "Llama 2-7B": "Llama-2-7b-hf", "LLaMA-65B": "llama-65b", "Llama 3-70B": "Meta-Llama-3-70B",
        "Llama 3.1-405B": "Meta-Llama-3.1-405B", "Qwen-72B": "Qwen-72B", "Qwen1.5-72B": "Qwen1.5-72B",
        "Qwen2-72B": "Qwen2-72B", "Mixtral 8x7B": "Mixtral-8x7B-v0.1", "Yi-34B": "Yi-34B",
        "Falcon-180B": "falcon-180B", "GPT-NeoX-20B": "gpt-neox-20b",
    }  # fmt: skip
    for theirs, ours in pairs.items():
        release = release_of(ours)
        assert release is not None
        assert abs((date.fromisoformat(dates[theirs]) - release.day).days) <= 3, theirs
