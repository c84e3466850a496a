from datetime import date, timedelta

import numpy as np
import pytest

from understudy.density.release_dates import known_releases, release_of
from understudy.density.table import read_densities
from understudy.density.trend import DatedDensity, fit_trend
from understudy.errors import ConfigError, DataError

START = date(2023, 1, 1)


def models(doubling_days=100.0, n=40, noise=0.5, seed=0):
    """Densities below an exponential frontier."""
    rng = np.random.default_rng(seed)
    out = []
    for at in range(n):
        days = int(rng.integers(0, 600))
        rho = 2 ** (days / doubling_days) * float(np.exp(-noise * rng.exponential()))
        size = float(rng.choice([1e9, 7e9, 13e9, 70e9]))
        out.append(DatedDensity(f"m{at}", START + timedelta(days=days), rho, size, f"f{at % 4}"))
    return out


def test_it_finds_the_doubling_time_of_the_frontier():
    found = fit_trend(models(noise=0.2, n=80), break_day=None)
    assert found.fit.doubling_days == pytest.approx(100, rel=0.1)
    assert found.doubling_months == pytest.approx(100 / 30.4375, rel=0.1)
    assert found.fit.doubling_days_lower < 100 < found.fit.doubling_days_upper
    assert found.fit.r_squared > 0.95
    assert found.before is None
    assert found.after is None
    assert len(found.records) == found.fit.n_used


def test_records_rise():
    found = fit_trend(models())
    values = [value for _, value in found.fit.used]
    assert values == sorted(values)
    assert found.fit.n_used < found.fit.n_given


def test_the_subset_is_told():
    given = models()
    found = fit_trend(given, max_parameters=15e9, without_families=["f1"])
    assert "up to 1.5e+10 parameters" in found.fit.chosen
    assert "without f1" in found.fit.chosen
    reasons = dict(found.left_out)
    assert len(reasons) + found.fit.n_given == len(given)
    assert any("larger than" in why for why in reasons.values())
    only = fit_trend(given, families=["f0", "f2"], min_parameters=2e9)
    assert "families f0, f2" in only.fit.chosen


def test_unmeasured_models_are_left_out_with_their_reason():
    extra = DatedDensity("blind", START, None, 1e9, reason="its score is too near an end")
    found = fit_trend([*models(), extra, DatedDensity("large", START, 1.0)], max_parameters=1e12)
    assert ("blind", "its score is too near an end") in found.left_out
    assert ("large", "its size is unknown") in found.left_out


def test_a_break_parts_the_records():
    slow = [DatedDensity(f"a{at}", START + timedelta(days=100 * at), 2 ** (at / 2)) for at in range(5)]
    turn = START + timedelta(days=450)
    fast = [DatedDensity(f"b{at}", turn + timedelta(days=50 * at), 8.0 * 2**at) for at in range(6)]
    found = fit_trend([*slow, *fast], break_day=turn)
    assert found.before.doubling_days == pytest.approx(200, rel=0.01)
    assert found.after.doubling_days == pytest.approx(50, rel=0.01)
    assert found.to_dict()["break_day"] == turn.isoformat()


def test_the_rulers_draws_widen_the_interval():
    rng = np.random.default_rng(1)
    plain = models(noise=0.1)
    # Every draw stretches all logarithms alike, as a ruler with another exponent does.
    stretch = np.exp(0.3 * rng.normal(size=100))
    drawn = [
        DatedDensity(one.name, one.day, one.rho, one.n_parameters, one.family, tuple(one.rho**stretch))
        for one in plain
    ]
    narrow, wide = fit_trend(plain).fit, fit_trend(drawn).fit
    assert wide.doubling_days == narrow.doubling_days
    assert wide.doubling_days_upper - wide.doubling_days_lower > 1.5 * (
        narrow.doubling_days_upper - narrow.doubling_days_lower
    )


def test_uneven_draws_and_nothing_left_are_refused():
    with pytest.raises(DataError, match="same number of draws"):
        fit_trend([DatedDensity("a", START, 1.0, draws=(1.0,)), DatedDensity("b", START, 2.0)])
    with pytest.raises(DataError, match="no model is left"):
        fit_trend(models(), families=["none"])
    with pytest.raises(DataError, match="at least two days"):
        fit_trend(models()[:1])


def test_release_dates_are_well_formed_and_found_by_name():
    releases = known_releases()
    assert len({one.pattern for one in releases}) == len(releases) > 60
    assert all(one.source and one.precision in ("day", "month") for one in releases)
    assert all(one.day.day == 15 for one in releases if one.precision == "month")
    assert all(date(2019, 1, 1) < one.day < date(2026, 1, 1) for one in releases)
    assert release_of("meta-llama/Llama-2-7b-hf").day == date(2023, 7, 18)
    assert release_of("Qwen/Qwen1.5-110B").day > release_of("Qwen/Qwen1.5-7B").day
    assert release_of("01-ai/Yi-1.5-9B").day > release_of("01-ai/Yi-6B").day
    assert release_of("somebody/own-model") is None


def test_tables_become_dated_densities(noisy_ruler, tmp_path):
    table = tmp_path / "models.csv"
    table.write_text(
        "model,day,N,acc,rho\n"
        "a,2023-01-01,1,0.40,1.5\n"
        "b,2023-06-01,2,0.26,\n"
        "c,2023-07-01,2,,2\n"
        "d,,2,0.5,2\n"
        "e,2023-08-01,,0.5,2\n"
        "f,2023-09-01,2,0.2,2\n"
    )
    found = read_densities(table, ruler=noisy_ruler, score_column="acc", n_scale=1e9, date_column="day")
    assert [one.name for one in found] == ["a", "b", "c", "f"]
    assert found[0].rho > 0
    assert len(found[0].draws) == len(found[1].draws) == 60
    assert "near an end" in found[1].reason or "no density" in found[1].reason
    assert found[2].reason == "it has no score"
    assert "below_chance" in found[3].reason
    plain = read_densities(table, rho_column="rho", n_scale=1e9, date_column="day")
    assert [one.rho for one in plain] == [1.5, None, 2.0, 2.0]
    with pytest.raises(ConfigError, match="no column 'release'"):
        read_densities(table, rho_column="rho", date_column="release")
    with pytest.raises(DataError, match="release date and a size"):
        read_densities(table, rho_column="rho")  # no name is known
    table.write_text("model,day,N,rho\na,yesterday,1,1\n")
    with pytest.raises(DataError, match="line 2 of the table: day is no date"):
        read_densities(table, rho_column="rho", date_column="day")


def test_scores_near_an_end_can_be_kept(noisy_ruler, tmp_path):
    table = tmp_path / "models.csv"
    table.write_text("model,day,N,acc\na,2023-01-01,1e9,0.275\n")
    options = {"ruler": noisy_ruler, "score_column": "acc", "date_column": "day"}
    assert read_densities(table, **options)[0].rho is None
    assert read_densities(table, **options, keeps_near_ends=True)[0].rho is not None
