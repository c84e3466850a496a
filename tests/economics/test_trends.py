import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.epoch_table import COST_COLUMN, FLOP_COLUMN, leading_run_trend, subset_trends
from understudy.economics.trends import (
    DAYS_PER_MONTH,
    NAMED_TRENDS,
    combined_doubling_days,
    doubling_days_between,
    fit_exponential,
    records_of,
)
from understudy.errors import ConfigError, DataError

START = date(2020, 1, 1)


def days_of(offsets):
    return [START + timedelta(days=int(one)) for one in offsets]


@given(st.floats(20, 2000), st.sampled_from([1, -1]))
def test_a_clean_line_is_found(doubling, sign):
    offsets = [0, 40, 90, 200, 400]
    values = [3 * 2 ** (sign * at / doubling) for at in offsets]
    found = fit_exponential(days_of(offsets), values, n_draws=30)
    assert found.doubling_days == pytest.approx(sign * doubling, rel=1e-6)
    assert found.r_squared == pytest.approx(1)
    assert found.value_on(START) == pytest.approx(3)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(60):
        offsets = np.sort(rng.integers(0, 1000, size=40))
        values = 2 ** (offsets / 200) * np.exp(0.5 * rng.normal(size=40))
        found = fit_exponential(days_of(offsets), values, n_draws=150, seed=seed)
        hits += found.doubling_days_lower <= 200 <= found.doubling_days_upper
    assert hits >= 45  # 54 expected; fewer has a chance of 0.03 %


def test_records_are_better_than_all_before():
    days = np.array([3.0, 0, 1, 1, 2])
    values = np.array([4.0, 2, 1, 3, 3])
    assert records_of(days, values, "highest").tolist() == [1, 3, 0]
    assert records_of(days, values, "lowest").tolist() == [1, 2]
    assert len(records_of(days, values, "all")) == 5


def test_falling_values_have_negative_doubling_times_in_order():
    rng = np.random.default_rng(1)
    offsets = np.arange(0, 600, 20)
    values = 2 ** (-offsets / 75) * np.exp(0.2 * rng.normal(size=30))
    found = fit_exponential(days_of(offsets), values, keep="lowest")
    assert found.doubling_days == pytest.approx(-75, rel=0.15)
    assert found.doubling_days_upper < found.doubling_days < found.doubling_days_lower < 0


def test_a_flat_trend_has_an_open_interval():
    rng = np.random.default_rng(2)
    found = fit_exponential(days_of(range(30)), np.exp(0.3 * rng.normal(size=30)))
    assert found.doubling_days_upper is None
    assert fit_exponential(days_of([0, 10, 20]), [2.0, 2.0, 2.0]).doubling_days is None


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(DataError, match="above 0"):
        fit_exponential(days_of([0, 1]), [1.0, 0.0])
    with pytest.raises(DataError, match="at least two days"):
        fit_exponential(days_of([0, 0]), [1.0, 2.0])
    with pytest.raises(DataError, match="as many days"):
        fit_exponential(days_of([0]), [])
    with pytest.raises(DataError, match="at least two days"):
        fit_exponential(days_of([0, 1, 2]), [1.0, 2.0, 3.0], since=date(2030, 1, 1))


def test_two_points_are_a_line_without_r_squared_or_interval():
    found = fit_exponential(days_of([0, 100]), [1.0, 2.0], n_draws=10)
    assert found.doubling_days == pytest.approx(100)
    assert found.r_squared is None
    assert found.doubling_days_lower is None


def test_price_of_one_ability_halves_every_two_and_a_half_months():
    # $20 to $0.075 per million tokens in 20 months: 266.7 times.
    found = doubling_days_between(20, 0.075, 20 * DAYS_PER_MONTH)
    assert -found / DAYS_PER_MONTH == pytest.approx(2.48, abs=0.01)


def test_density_and_chips_together_double_in_88_days():
    chips = NAMED_TRENDS["chips"].doubling_days
    assert combined_doubling_days(100, chips) == pytest.approx(88, abs=0.5)
    assert combined_doubling_days(100) == 100
    assert combined_doubling_days(100, 100) == 50


@pytest.mark.parametrize("times", [(), (0.0,), (math.inf,), (100.0, -100.0)])
def test_rates_that_say_nothing_are_refused(times):
    with pytest.raises(DataError):
        combined_doubling_days(*times)


@pytest.mark.parametrize("values", [(1, 1, 10), (0, 1, 10), (1, 2, 0)])
def test_doubling_between_equal_or_impossible_values_is_refused(values):
    with pytest.raises(DataError):
        doubling_days_between(*values)


def test_named_trends_carry_their_range_and_source():
    for trend in NAMED_TRENDS.values():
        assert 0 < trend.low_days <= trend.doubling_days <= trend.high_days
        assert trend.source
        assert trend.what
    # ln(rho_max) = A t + B with A about 0.007 per day.
    assert math.log(2) / NAMED_TRENDS["density"].doubling_days == pytest.approx(0.007, abs=1e-4)


def table(tmp_path, rows):
    path = tmp_path / "models.csv"
    head = f"Model,Publication date,Domain,Frontier model,{COST_COLUMN},{FLOP_COLUMN}\n"
    path.write_text(head + "".join(f"m,{row}\n" for row in rows), encoding="utf-8")
    return path


def test_leading_runs_are_read_from_a_table(tmp_path):
    rows = [f"20{10 + at}-01-01,Language,True,{1e5 * 2**at},{10 ** (20 + at)}" for at in range(8)]
    rows += ["2015-01-01,Vision,,5,5", "unknown,Language,True,1,1", "2016-01-01,Language,True,,"]
    path = table(tmp_path, rows)
    found = leading_run_trend(path)
    assert found.n_used == 8
    assert found.doubling_days == pytest.approx(365.25, rel=0.01)
    assert "frontier" in found.chosen
    assert leading_run_trend(path, subset="all").n_used == 9
    assert leading_run_trend(path, subset="language", since=date(2012, 6, 1)).n_used == 5
    records = leading_run_trend(path, subset="all", keep="highest")
    assert records.n_used == 8
    assert records.chosen.startswith("the 8 records of 9 rows: all")
    assert len(records.rates) == len(records.log_levels) > 100
    with pytest.raises(DataError, match="too few rows"):
        leading_run_trend(path, since=date(2016, 1, 1))


def test_other_tables_are_refused(tmp_path):
    path = tmp_path / "models.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="lacks a column"):
        leading_run_trend(path)
    path.write_text("")
    with pytest.raises(ConfigError, match="no rows"):
        leading_run_trend(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        leading_run_trend(tmp_path / "none.csv")


def test_epochs_table_gives_5_and_a_half_months_of_compute():
    path = (
        Path(__file__).resolve().parents[2].parent
        / "shared"
        / "data"
        / "scaling"
        / "epoch_notable_models_trimmed.csv"
    )
    if not path.is_file():
        pytest.skip("published points (shared/data/scaling) are not beside the project on this machine")
    compute = leading_run_trend(path, column=FLOP_COLUMN)
    assert compute.doubling_days / DAYS_PER_MONTH == pytest.approx(5.5, abs=0.2)
    subsets = [one.doubling_days / DAYS_PER_MONTH for one in subset_trends(path).values()]
    assert len(subsets) == 30
    assert min(subsets) == pytest.approx(3.74, abs=0.01)
    assert max(subsets) == pytest.approx(5.94, abs=0.01)
    # Cost is another column and another pace.
    assert 6 <= leading_run_trend(path).doubling_days / DAYS_PER_MONTH <= 10
