"""Published fits, found again in the published points. Needs the data beside the project."""

import csv

import numpy as np
import pytest

from understudy.economics.scaling.bootstrap import bootstrap_fit
from understudy.economics.scaling.envelope import fit_envelope
from understudy.economics.scaling.identify import fit_warnings
from understudy.economics.scaling.isoflop import fit_isoflops
from understudy.economics.scaling.outliers import drop_outliers
from understudy.economics.scaling.parametric import fit_parametric, huber_objective
from understudy.economics.scaling.power import fit_power_law
from understudy.economics.scaling.runs import TrainingRuns

pytestmark = pytest.mark.shared

CHINCHILLA_FLOPS = 5.76e23
EPOCH_ERRORS = {"A": 124.5, "B": 1293.0, "E": 0.026, "alpha": 0.015, "beta": 0.021}


@pytest.fixture(scope="module")
def epoch_fit(chinchilla_runs):
    return fit_parametric(chinchilla_runs, outliers="highest-loss:5")


def test_epoch_refit(epoch_fit):
    law = epoch_fit.law
    assert abs(law.a - 482.01) < 20
    assert abs(law.b - 2085.43) < 200
    assert abs(law.e - 1.8172) < 0.003
    assert abs(law.alpha - 0.3478) < 0.003
    assert abs(law.beta - 0.3658) < 0.003
    assert abs(law.compute_optimal(CHINCHILLA_FLOPS).tokens_per_parameter - 18.4) < 1
    assert fit_warnings(epoch_fit) == ()


def test_the_objective_is_the_published_sum(epoch_fit):
    assert epoch_fit.objective == pytest.approx(0.001018274, abs=5e-10)
    printed = np.array([np.log(482.01), np.log(2085.43), np.log(1.8172), 0.3478, 0.3658])
    assert huber_objective(printed, epoch_fit.runs)[0] > epoch_fit.objective


def test_the_dropped_rows_are_named_and_a_second_rule_finds_the_same(epoch_fit, chinchilla_runs):
    assert epoch_fit.dropped.rows == (0, 1, 2, 3, 4)
    kept, dropped = drop_outliers(chinchilla_runs, "tokens-per-parameter:0.45")
    assert dropped.rows == epoch_fit.dropped.rows
    assert len(kept) == 240


def test_five_points_change_everything(chinchilla_runs):
    found = fit_parametric(chinchilla_runs)
    assert found.dropped.rows == ()
    assert found.law.b == pytest.approx(12_800, abs=200)
    assert found.law.compute_optimal(CHINCHILLA_FLOPS).tokens_per_parameter == pytest.approx(6.8, abs=0.1)


def test_epoch_standard_errors(epoch_fit):
    draws = bootstrap_fit(epoch_fit, n_draws=400)
    for name, figure in draws.constants().items():
        assert figure.standard_error == pytest.approx(EPOCH_ERRORS[name], rel=0.25), name
    ratio = draws.tokens_per_parameter(CHINCHILLA_FLOPS)
    assert ratio.lower < 18.4 < ratio.upper


def test_the_three_approaches_agree_on_the_exponent(epoch_fit):
    by_bins = fit_envelope(epoch_fit.runs).parameters_law.exponent
    budgets = [6e18, 1e19, 3e19, 6e19, 1e20, 3e20, 6e20, 1e21, 3e21]  # section 3.2 of Hoffmann et al. 2022
    by_parabolas = fit_isoflops(epoch_fit.runs, budgets=budgets, tolerance=0.2).parameters_law.exponent
    for found in (by_bins, by_parabolas):
        assert found.lower < epoch_fit.law.parameters_exponent < found.upper
        assert found.lower < 0.5 < found.upper


def test_porian_optimal_pairs_move_from_kaplan_to_chinchilla(scaling_data):
    with (scaling_data / "porian_optimal_pairs.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["n"]]
    exponents = []
    for setting in dict.fromkeys(row["setting"] for row in rows):
        part = [row for row in rows if row["setting"] == setting]
        flops, sizes = ([float(row[name]) for row in part] for name in ("flops", "n"))
        exponents.append(
            fit_power_law(flops, sizes, log_std=[float(row["n_star_std"]) for row in part]).exponent
        )
    values = [exponent.value for exponent in exponents]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.8
    assert exponents[-1].lower < 0.5 < exponents[-1].upper


@pytest.mark.parametrize("dataset", ["c4_original", "rpj", "rw_original"])
def test_losses_of_overtrained_models_from_the_others(scaling_data, dataset):
    """The runs of Gadre et al. 2024: fitted at up to 80 tokens per parameter, asked at 160 to 640."""
    with (scaling_data / "gadre_openlm_104.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] == dataset]
    columns = [np.array([float(row[name]) for row in rows]) for name in ("params", "tokens", "loss_c4_val")]
    runs = TrainingRuns(*columns)
    is_long = runs.tokens_per_parameter > 100
    long = runs.take(is_long)
    assert len(long) >= 10
    law = fit_parametric(runs.take(~is_long), n_starts=60).law
    error = np.abs(law.loss(long.parameters, long.tokens) / long.loss - 1)
    assert np.median(error) < 0.05
    assert error.max() < 0.08
