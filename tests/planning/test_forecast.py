import math
from datetime import date, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.trends import NAMED_TRENDS, fit_exponential
from understudy.errors import ConfigError, DataError
from understudy.planning.ability_pairs import ABILITY_PAIRS
from understudy.planning.forecast import (
    Doubling,
    Range,
    cost_reaches,
    forecast_fit,
    gpt4_class_forecast,
    size_after,
    useful_until,
)

DAY = date(2023, 7, 18)
HUNDRED = Doubling(Range.fixed(100.0))


def test_a_year_takes_750b_to_under_60b():
    assert size_after(750e9, 365, 100) == pytest.approx(59.8e9, rel=0.002)
    assert size_after(1.0, 365, 100) == pytest.approx(
        1 / 12, rel=0.06
    )  # and its training compute, data held fixed


@given(st.floats(0.1, 8))
def test_the_crossing_is_where_the_sizes_meet(n_doublings):
    capacity = 70e9 / 2**n_doublings
    found = forecast_fit(
        n_parameters=Range.fixed(70e9), on=DAY, capacity=Range.fixed(capacity), density=HUNDRED
    )
    assert (found.day - DAY).days == pytest.approx(100 * n_doublings, abs=1)
    assert found.lower == found.day == found.upper
    assert size_after(70e9, (found.day - DAY).days, 100) == pytest.approx(capacity, rel=0.01)


def test_doubt_in_time_and_size_widens_the_interval():
    sure = {"n_parameters": Range.fixed(70e9), "on": DAY, "capacity": Range.fixed(8e9)}
    one = forecast_fit(**sure, density=Doubling(Range(100, 80, 150)))
    both = forecast_fit(
        **{**sure, "n_parameters": Range(70e9, 40e9, 140e9)}, density=Doubling(Range(100, 80, 150))
    )
    assert one.lower < one.day < one.upper
    assert both.upper - both.lower > one.upper - one.lower
    assert one.day == both.day


def test_a_growing_device_is_met_sooner():
    chips = Doubling(Range.fixed(NAMED_TRENDS["chips"].doubling_days))
    fixed = forecast_fit(n_parameters=Range.fixed(70e9), on=DAY, capacity=Range.fixed(8e9), density=HUNDRED)
    grows = forecast_fit(
        n_parameters=Range.fixed(70e9), on=DAY, capacity=Range.fixed(8e9), density=HUNDRED, device=chips
    )
    assert grows.doubling_days == pytest.approx(88, abs=0.5)
    assert grows.day < fixed.day


def test_what_fits_already_and_what_is_too_far_say_so():
    already = forecast_fit(n_parameters=Range.fixed(1e9), on=DAY, capacity=Range.fixed(8e9), density=HUNDRED)
    assert already.is_already
    assert already.day == DAY
    slow = Doubling(Range.fixed(5000.0))
    far = forecast_fit(n_parameters=Range.fixed(1e12), on=DAY, capacity=Range.fixed(1e9), density=slow)
    assert far.day is None
    assert "too far" in far.reason
    assert far.to_dict()["day"] is None


def test_the_draws_of_a_fit_carry_over():
    days = [DAY + timedelta(days=30 * at) for at in range(12)]
    values = [2 ** (30 * at / 100) * (1.3 if at % 3 else 0.8) for at in range(12)]
    fit = fit_exponential(days, values, n_draws=200)
    found = forecast_fit(
        n_parameters=Range.fixed(70e9), on=DAY, capacity=Range.fixed(8e9), density=Doubling.fitted(fit)
    )
    assert found.lower < found.day < found.upper
    falling = fit_exponential(days, [1 / one for one in values], n_draws=50)
    with pytest.raises(DataError, match="does not rise"):
        Doubling.fitted(falling)


def test_a_model_is_worth_its_size_for_one_doubling():
    assert useful_until(DAY, HUNDRED).day == DAY + timedelta(days=100)


def runs(n_typical=0):
    """Records that double every year from 1e5 dollars in 2012, and a typical run of a tenth beside each."""
    days = [date(2012 + at, 1, 1) for at in range(10)]
    values = [1e5 * 2**at * (1.2 if at % 2 else 0.9) for at in range(10)]
    return days + days[-n_typical:] * bool(n_typical), values + [
        one / 10 for one in values[-n_typical:]
    ] * bool(n_typical)


def test_a_cost_is_reached_on_the_line_of_the_records():
    days, values = runs(n_typical=6)
    records = fit_exponential(days, values, keep="highest", n_draws=300)
    found = cost_reaches(records, 1e9)
    assert found.lower < found.day < found.upper
    assert found.lower < found.median < found.upper
    # The line passes the target on that day, and its value on the last day is near the last record.
    assert records.value_on(found.day) == pytest.approx(1e9, rel=0.01)
    assert records.value_on(date(2021, 1, 1)) == pytest.approx(max(values), rel=0.3)
    typical = cost_reaches(fit_exponential(days, values, n_draws=300), 1e9)
    assert typical.day > found.day
    assert cost_reaches(records, max(values)).is_already
    with pytest.raises(ConfigError, match="above 0"):
        cost_reaches(records, 0)
    with pytest.raises(DataError, match="does not rise"):
        cost_reaches(fit_exponential(days[:10], values[9::-1], n_draws=10), 1e9)


def test_each_drawn_line_is_crossed_with_its_own_level():
    days, values = runs()
    fit = fit_exponential(days, values, n_draws=200)
    found = cost_reaches(fit, 1e9)
    at = [(math.log(1e9) - level) / rate for rate, level in zip(fit.rates, fit.log_levels, strict=True)]
    assert (found.median - fit.origin).days == pytest.approx(median(at), abs=25)
    # Pivoting all draws at the last day knows nothing of the level, and its interval is another.
    pivot = [(math.log(1e9) - math.log(fit.value_on(days[-1]))) / rate for rate in fit.rates]
    assert max(at) - min(at) != pytest.approx(max(pivot) - min(pivot), rel=0.01)


def test_gpt4_class_ability_fits_a_phone_by_2025_to_2026():
    early, late = gpt4_class_forecast(capacity=8e9), gpt4_class_forecast(capacity=4e9)
    assert date(2024, 1, 1) < early.day < late.day
    assert late.day.year == 2025
    # The pace by which the day is given is at the fast end of its range, so the middle of the draws is later.
    assert early.day < early.median < early.upper
    assert early.median.year == late.median.year == 2025
    assert early.upper.year in (2025, 2026)
    assert late.upper.year in (2025, 2026)
    sure = gpt4_class_forecast(capacity=8e9, density=HUNDRED)
    assert sure.upper < early.upper


def test_pairs_of_equal_ability_imply_their_density_ratio():
    ratios = {(one.small, one.large): one.density_ratio for one in ABILITY_PAIRS}
    assert ratios["Mistral-7B", "Llama-2-13B"] == pytest.approx(13 / 7.3)
    assert ratios["Phi-2", "Llama-2-70B"] == pytest.approx(25.9, abs=0.1)
    assert ratios["MiniCPM-2.4B", "GPT-3 175B"] == pytest.approx(72.9, abs=0.1)
    times = [one.doubling_days for one in ABILITY_PAIRS]
    assert times[-1] is None
    assert all(time is None or 20 < time < 400 for time in times)


@pytest.mark.parametrize("ends", [(1, 2, 3), (0, 0, 1), (1, 0.5, float("inf"))])
def test_impossible_ranges_are_refused(ends):
    with pytest.raises(DataError):
        Range(*ends)
    with pytest.raises(ConfigError):
        useful_until(DAY, HUNDRED, confidence=1.0)
