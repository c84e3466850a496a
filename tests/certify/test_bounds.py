import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from understudy.certify.bounds import (
    binomial_cdf,
    binomial_p_value,
    calls_needed,
    clopper_pearson_interval,
    clopper_pearson_lower,
    clopper_pearson_upper,
    most_errors_allowed,
    smallest_testable_count,
    wilson_interval,
)
from understudy.certify.predictive import beta_binomial_cdf
from understudy.errors import ConfigError

counts = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
open_shares = st.floats(1e-6, 1 - 1e-6)


@given(counts, open_shares)
def test_cdf_equals_scipys(count, p):
    k, n = count
    assert binomial_cdf(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), abs=1e-10)


@pytest.mark.parametrize(
    ("k", "n", "p"), [(49_800, 1_000_000, 0.05), (999_000, 1_000_000, 0.9991), (0, 10**6, 1e-7)]
)
def test_cdf_at_a_million_calls(k, n, p):
    assert binomial_cdf(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-8)


def test_cdf_at_the_edges():
    assert binomial_cdf(-1, 5, 0.5) == 0
    assert binomial_cdf(5, 5, 0.5) == 1
    assert binomial_cdf(2, 5, 0.0) == 1
    assert binomial_cdf(2, 5, 1.0) == 0
    assert binomial_p_value(0, 0, 0.1) == 1


@given(counts, st.sampled_from([0.001, 0.05, 0.1, 0.5]))
def test_clopper_pearson_equals_scipys(count, delta):
    k, n = count
    upper = stats.beta.ppf(1 - delta, k + 1, n - k) if k < n else 1.0
    lower = stats.beta.ppf(delta, k, n - k + 1) if k else 0.0
    assert clopper_pearson_upper(k, n, delta) == pytest.approx(upper, abs=1e-10)
    assert clopper_pearson_lower(k, n, delta) == pytest.approx(lower, abs=1e-10)


@pytest.mark.parametrize(("k", "n"), [(0, 20), (3, 20), (20, 20), (469, 500)])
def test_two_sided_intervals_equal_scipys(k, n):
    found = stats.binomtest(k, n)
    exact, wilson = found.proportion_ci(method="exact"), found.proportion_ci(method="wilson")
    assert clopper_pearson_interval(k, n) == pytest.approx((exact.low, exact.high), abs=1e-10)
    assert wilson_interval(k, n) == pytest.approx((wilson.low, wilson.high), abs=1e-10)


def test_intervals_without_data_say_nothing():
    assert clopper_pearson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("target", "delta", "n"), [(0.95, 0.05, 59), (0.9, 0.05, 29), (0.99, 0.05, 299), (0.95, 0.01, 90)]
)
def test_smallest_testable_count(target, delta, n):
    assert smallest_testable_count(target, delta) == n


@given(st.integers(0, 3000), st.floats(0.01, 0.5), st.floats(0.001, 0.3))
def test_most_errors_allowed_is_the_last_that_rejects(n, risk, delta):
    most = most_errors_allowed(n, risk, delta)
    if most >= 0:
        assert binomial_p_value(most, n, risk) <= delta
    assert binomial_p_value(min(n, most + 1), n, risk) > delta


def test_calls_needed_gives_the_power_it_promises():
    n = calls_needed(0.03, 0.95, 0.05)
    assert n is not None
    assert stats.binom.cdf(most_errors_allowed(n, 0.05, 0.05), n, 0.03) >= 0.8
    assert calls_needed(0.0, 0.95, 0.05) == 59
    assert calls_needed(0.05, 0.95, 0.05) is None
    assert calls_needed(0.0499999, 0.95, 0.05, limit=10_000) is None


@settings(max_examples=40)
@given(
    st.integers(1, 1000).flatmap(lambda n: st.tuples(st.integers(-1, n), st.just(n))),
    st.floats(0.5, 300),
    st.floats(0.5, 300),
)
def test_beta_binomial_equals_scipys(count, a, b):
    k, n = count
    expected = stats.betabinom.cdf(k, n, a, b) if k >= 0 else 0.0
    assert beta_binomial_cdf(k, n, a, b)[0] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("share", [0, 1, -0.1, 95, float("nan")])
def test_shares_outside_are_refused(share):
    with pytest.raises(ConfigError, match=r"write 95 % as 0\.95"):
        smallest_testable_count(share, 0.05)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="errors must be"):
        clopper_pearson_upper(5, 4, 0.05)
