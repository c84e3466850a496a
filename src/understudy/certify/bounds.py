"""Exact binomial bounds: p-values, Clopper-Pearson limits, sample sizes. Pure arithmetic, no scipy.

Every bound here holds at every sample size; none is an approximation except :func:`wilson_interval`, which
is for display. All of them assume independent draws from one distribution; this module cannot know whether
the calls are (near-duplicates in one split, drift over time), see ``docs/certificates.md``.
"""

from __future__ import annotations

import math
from functools import lru_cache

from understudy.errors import ConfigError

__all__ = [
    "Interval",
    "binomial_cdf",
    "binomial_p_value",
    "calls_needed",
    "check_share",
    "clopper_pearson_interval",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "most_errors_allowed",
    "smallest_testable_count",
    "wilson_interval",
]

Interval = tuple[float, float]
"""Lower and upper limit."""

_LOG_2PI = math.log(2 * math.pi)
# log(n!) minus Stirling's formula, for n = 0..15, where the series below is not yet accurate.
_STIRLING_ERROR = [
    0.0 if n == 0 else math.lgamma(n + 1) - ((n + 0.5) * math.log(n) - n + 0.5 * _LOG_2PI) for n in range(16)
]


def check_share(name: str, value: float, *, is_open: bool = True) -> float:
    """`value` if it is a number in (0, 1), or in [0, 1] where not `is_open`.

    Raises
    ------
    ConfigError
        Otherwise.
    """
    if (0 < value < 1) or (not is_open and value in (0, 1)):
        return value
    limits = "above 0 and below 1" if is_open else "from 0 to 1"
    raise ConfigError(f"{name} must be {limits}", given=repr(value), todo="write 95 % as 0.95")


def _check_counts(errors: int, n: int) -> None:
    if not 0 <= errors <= n:
        raise ValueError(f"errors must be from 0 to n, given errors={errors}, n={n}")


def _stirling_error(n: int) -> float:
    """log(n!) - log(sqrt(2 pi n) (n/e)^n), to double precision."""
    if n < len(_STIRLING_ERROR):
        return _STIRLING_ERROR[n]
    s = 1.0 / (n * n)
    return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / n


def _deviance(x: float, mean: float) -> float:
    """``x log(x / mean) + mean - x`` without the cancellation near ``x = mean``."""
    if abs(x - mean) < 0.1 * (x + mean):
        v = (x - mean) / (x + mean)
        total, power, step = (x - mean) * v, 2 * x * v, 1
        while True:
            power *= v * v
            grown = total + power / (2 * step + 1)
            if grown == total:
                return total
            total, step = grown, step + 1
    return x * math.log(x / mean) + mean - x


def _pmf(k: int, n: int, p: float) -> float:
    """P(X = k) for X ~ Binomial(n, p), 0 < p < 1, by Loader's saddle-point form.

    Plain sums of ``lgamma`` lose nine digits at n = 1e6; this form keeps them.
    Source: C. Loader, "Fast and accurate computation of binomial probabilities" (2000).
    """
    if k == 0:
        return math.exp(n * math.log1p(-p))
    if k == n:
        return math.exp(n * math.log(p))
    log_core = (
        _stirling_error(n)
        - _stirling_error(k)
        - _stirling_error(n - k)
        - _deviance(k, n * p)
        - _deviance(n - k, n * (1 - p))
    )
    return math.exp(log_core - 0.5 * (_LOG_2PI + math.log(k) + math.log1p(-k / n)))


def _lower_tail(k: int, n: int, p: float) -> float:
    """P(X <= k) as ``pmf(k) * (1 + r_k + r_k r_(k-1) + ...)``; the ratios fall, so the sum ends early."""
    odds = (1 - p) / p
    total = term = 1.0
    for j in range(k, 0, -1):
        term *= j / (n - j + 1) * odds
        total += term
        if term < 1e-18 * total:
            break
    return _pmf(k, n, p) * total


@lru_cache(maxsize=1 << 16)
def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p), 0 <= p <= 1. Relative error about 1e-12 up to n = 1e6."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    if k <= n * p:
        return min(1.0, _lower_tail(k, n, p))
    return max(0.0, 1.0 - _lower_tail(n - k - 1, n, 1 - p))


def binomial_p_value(errors: int, n: int, risk: float) -> float:
    """Exact p-value of H0 "the true risk is above `risk`" given `errors` in `n` independent trials.

    P(Binomial(n, risk) <= errors): under H0 it is at most ``u`` with probability at most ``u``, at every n.
    No trial, no evidence: 1 for ``n = 0``.
    """
    _check_counts(errors, n)
    return binomial_cdf(errors, n, check_share("risk", risk)) if n else 1.0


@lru_cache(maxsize=1 << 16)
def most_errors_allowed(n: int, risk: float, delta: float) -> int:
    """Most errors in `n` at which H0 "risk is above `risk`" is rejected at level `delta`; -1 if none is."""
    if n == 0 or binomial_cdf(0, n, risk) > delta:
        return -1
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binomial_cdf(middle, n, risk) <= delta else (low, middle)
    return low


def smallest_testable_count(target: float, delta: float) -> int:
    """Fewest answers, all right, that can certify `target` at confidence ``1 - delta``.

    59 for .95 at 95 %: the smallest n with ``target ** n <= delta``.
    """
    check_share("target", target)
    check_share("delta", delta)
    guess = max(1, math.floor(math.log(delta) / math.log(target)) - 1)
    while binomial_cdf(0, guess, 1 - target) > delta:
        guess += 1
    return guess


def calls_needed(
    error_rate: float, target: float, delta: float, *, power: float = 0.8, limit: int = 10_000_000
) -> int | None:
    """Answers needed so that `target` is certified with probability `power`, if errors come at `error_rate`.

    Returns ``None`` where no number up to `limit` is enough, as where ``error_rate >= 1 - target``. Exact
    powers saw-tooth in n; what is returned is the end of a doubling and bisection search and can lie a
    few per cent above the very first n that would do.
    """
    check_share("error_rate", error_rate, is_open=False)
    check_share("power", power)
    n = smallest_testable_count(target, delta)
    if error_rate >= 1 - target or n > limit:
        return None

    def is_enough(count: int) -> bool:
        allowed = most_errors_allowed(count, 1 - target, delta)
        return allowed >= 0 and binomial_cdf(allowed, count, error_rate) >= power

    if is_enough(n):
        return n
    low, high = n, 2 * n
    while not is_enough(high):
        if high >= limit:
            return None
        low, high = high, min(2 * high, limit)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def clopper_pearson_upper(errors: int, n: int, delta: float) -> float:
    """One-sided exact upper limit of a rate: it lies above the truth with probability >= ``1 - delta``."""
    _check_counts(errors, n)
    check_share("delta", delta)
    if n == 0 or errors == n:
        return 1.0
    low, high = errors / n, 1.0
    while (middle := (low + high) / 2) not in (low, high) and high - low > 1e-15:
        low, high = (middle, high) if binomial_cdf(errors, n, middle) > delta else (low, middle)
    return high  # the side that errs towards a wider limit


def clopper_pearson_lower(errors: int, n: int, delta: float) -> float:
    """One-sided exact lower limit of a rate, the mirror of :func:`clopper_pearson_upper`."""
    return 1.0 - clopper_pearson_upper(n - errors, n, delta) if n else 0.0


def clopper_pearson_interval(count: int, n: int, delta: float = 0.05) -> Interval:
    """Two-sided exact interval of a rate at confidence ``1 - delta``. Source: Clopper and Pearson (1934)."""
    return clopper_pearson_lower(count, n, delta / 2), clopper_pearson_upper(count, n, delta / 2)


def wilson_interval(count: int, n: int, *, z: float = 1.959963984540054) -> Interval:
    """Wilson's score interval, for display only: about 95 % (`z` = 1.96), not guaranteed at finite n."""
    _check_counts(count, n)
    if n == 0:
        return 0.0, 1.0
    share, spread = count / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return (
        0.0 if count == 0 else max(0.0, centre - half),
        1.0 if count == n else min(1.0, centre + half),
    )
