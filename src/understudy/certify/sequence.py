"""Certify a deferral threshold: fixed-sequence Learn-then-Test with exact binomial tests.

The order of the thresholds comes from the select split (:func:`grid_from_select`); the certify split is
then read once (:func:`certify_selective`). Thresholds are tested one after the other, each at the full
level, until the first that fails; the last that passed is certified. As the order was fixed beforehand, a
false certificate needs the first too loose threshold of the order to pass its own test, which happens with
probability at most delta.

Source: Angelopoulos, Bates, Candès, Jordan, Lei, "Learn then Test" (2021), section on fixed-sequence testing.

It knows nothing of where the confidences come from and cannot see dependence between rows; see
``docs/certificates.md`` for what is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.certify.bounds import (
    binomial_p_value,
    check_share,
    clopper_pearson_interval,
    clopper_pearson_lower,
    most_errors_allowed,
    smallest_testable_count,
)
from understudy.certify.certification import Certification, Reference, RiskKind, percent
from understudy.certify.predictive import beta_binomial_cdf
from understudy.errors import DataError

__all__ = ["certify_selective", "grid_from_select", "tested_prefix"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_COVERAGE_WEIGHT = 0.1
"""Start where (predicted power) x (coverage ** this) is highest; measured, see docs/decisions/0004."""
_SMOOTHING = 0.04
"""Predicted power is averaged over thresholds that answer up to this share of calls more or fewer."""

_METHOD = (
    "fixed-sequence Learn-then-Test, exact binomial tests at level {delta:g}; thresholds and their order"
    " from other data; {what}"
)
_WHAT = {
    "answered": "errors among the answered calls, given their number",
    "all": "calls answered and wrong among all calls",
}


class _Ranked:
    """Calls sorted by confidence, so that counts at any threshold are one look-up."""

    def __init__(self, confidence: npt.ArrayLike, is_correct: npt.ArrayLike) -> None:
        scores = np.asarray(confidence, dtype=np.float64)
        right = np.asarray(is_correct)
        if scores.ndim != 1 or scores.shape != right.shape:
            raise DataError(
                "confidence and is_correct must be two lists of one length",
                given=f"shapes {scores.shape} and {right.shape}",
            )
        if right.dtype != np.bool_ and not np.isin(right, (0, 1)).all():
            raise DataError("is_correct must hold booleans", given=f"values of type {right.dtype}")
        self.n = len(scores)
        known = ~np.isnan(scores)
        order = np.argsort(-scores[known], kind="stable")
        self.scores: FloatArray = scores[known][order]
        wrong = ~right[known][order].astype(np.bool_)
        self.errors_before: IntArray = np.concatenate([[0], np.cumsum(wrong, dtype=np.int64)])

    def counts(self, thresholds: FloatArray) -> tuple[IntArray, IntArray]:
        """Calls answered and errors among them at each threshold, shape (m,) each."""
        answered = np.searchsorted(-self.scores, -thresholds, side="right").astype(np.int64)
        return answered, self.errors_before[answered]


def grid_from_select(
    select_confidence: npt.ArrayLike,
    select_is_correct: npt.ArrayLike,
    *,
    target: float,
    delta: float,
    n_certify: int,
    of: RiskKind = "answered",
    most: int = 200,
) -> FloatArray:
    """Thresholds for :func:`certify_selective` from the select split alone, strict to loose.

    A fixed sequence stops at its first failure, so a start that is too strict (few calls answered, one error)
    loses everything. The start is where the select data predict the test to pass most likely, weighted
    slightly towards coverage; from there every distinct confidence that select holds follows, looser only.

    Parameters
    ----------
    select_confidence, select_is_correct
        Shape (n_select,), NaN confidence means deferred.
    target, delta
        As for :func:`certify_selective`.
    n_certify
        Number of calls in the certify split (its size only).
    of
        As for :func:`certify_selective`. For `all` the risk can only rise along the sequence, so it starts at
        the strictest threshold.
    most
        Candidates in all. Finer gains little past a hundred, and bounds that are split over the candidates
        (see ``gold``) lose.

    Returns
    -------
    FloatArray
        Shape (m,), strictly falling; empty where select has no confidence at all.
    """
    check_share("target", target)
    check_share("delta", delta)
    select = _Ranked(select_confidence, select_is_correct)
    grid = np.unique(select.scores[np.isfinite(select.scores)])[::-1]
    if not len(grid):
        return grid
    if grid[-1] > 0:
        grid = np.append(grid, 0.0)  # the last step answers every call
    if len(grid) > most:
        grid = grid[np.unique(np.linspace(0, len(grid) - 1, most).round().astype(np.int64))]
    start = 0 if of == "all" else _best_start(select, grid, target, delta, n_certify)
    return np.asarray(grid[start:], dtype=np.float64)


def _best_start(select: _Ranked, grid: FloatArray, target: float, delta: float, n_certify: int) -> int:
    answered, errors = select.counts(grid)
    expected = np.rint(answered / select.n * n_certify).astype(np.int64)
    allowed = np.array([most_errors_allowed(int(count), 1 - target, delta) for count in expected])
    if (allowed < 0).all():
        return len(grid) - 1
    power = beta_binomial_cdf(allowed, expected, errors + 0.5, answered - errors + 0.5)
    # The highest of many noisy predictions is an overestimate: average each with its neighbours.
    reach = _SMOOTHING * select.n
    first = np.searchsorted(answered, answered - reach, side="left")
    last = np.searchsorted(answered, answered + reach, side="right")
    total = np.concatenate([[0.0], np.cumsum(power)])
    smooth = (total[last] - total[first]) / (last - first)
    return int(np.argmax(smooth * (answered / select.n) ** _COVERAGE_WEIGHT))


def _as_sequence(thresholds: Sequence[float] | FloatArray) -> FloatArray:
    grid = np.asarray(thresholds, dtype=np.float64)
    if grid.ndim != 1 or np.isnan(grid).any() or (np.diff(grid) >= 0).any():
        raise DataError(
            "thresholds must fall strictly, from strict to loose",
            given=f"{grid.size} values of shape {grid.shape}",
            todo="take them from grid_from_select, on data that certifies nothing",
        )
    return grid


def tested_prefix(answered: IntArray, errors: IntArray, *, n: int, target: float, delta: float) -> int:
    """How many tests of the sequence pass before the first that fails.

    Parameters
    ----------
    answered, errors
        Shape (m,): trials and errors at each threshold, in order. `n` takes the place of `answered` where the
        risk is over all calls.
    """
    trials = answered if n < 0 else np.full_like(answered, n)
    for passed, (count, wrong) in enumerate(zip(trials.tolist(), errors.tolist(), strict=True)):
        if wrong > most_errors_allowed(count, 1 - target, delta):
            return passed
    return len(answered)


def certify_selective(
    confidence: npt.ArrayLike,
    is_correct: npt.ArrayLike,
    *,
    target: float,
    delta: float,
    thresholds: Sequence[float] | FloatArray,
    of: RiskKind = "answered",
    reference: Reference = "teacher",
) -> Certification:
    """Find the loosest threshold that the sequence certifies.

    Parameters
    ----------
    confidence
        Shape (n,), one per call of the certify split; NaN means deferred whatever the threshold.
    is_correct
        Shape (n,), booleans: whether the student's answer equals the reference's.
    target
        Share in (0, 1) that is to hold.
    delta
        Highest probability of a false certificate.
    thresholds
        Shape (m,), strictly falling. They MUST come from other data, as :func:`grid_from_select` makes them.
        One threshold alone tests just that one.
    of
        `answered`: P(right | answered) >= target. `all`: P(answered and wrong) <= 1 - target.
    reference
        Whose answers `is_correct` compared with; it changes the words only.

    Returns
    -------
    Certification
        With ``is_certified`` false and a reason where the first test fails.

    Raises
    ------
    ConfigError
        If `target` or `delta` is not in (0, 1).
    DataError
        If shapes differ or the thresholds do not fall.
    """
    check_share("target", target)
    check_share("delta", delta)
    ranked, grid = _Ranked(confidence, is_correct), _as_sequence(thresholds)
    answered, errors = ranked.counts(grid)
    passed = tested_prefix(answered, errors, n=ranked.n if of == "all" else -1, target=target, delta=delta)
    # A threshold that answers nothing can "hold" for `all`; it is no certificate of anything.
    is_certified = passed > 0 and bool(answered[passed - 1] > 0)
    at = passed - 1 if passed else 0
    base: dict[str, Any] = {
        "target": target,
        "delta": delta,
        "of": of,
        "n": ranked.n,
        "is_certified": is_certified,
        "reference": reference,
        "n_tests": min(passed + 1, len(grid)),
        "method": _METHOD.format(delta=delta, what=_WHAT[of]),
    }
    if not len(grid) or not ranked.n:
        return Certification(**base, **_NOTHING, reason=_why_nothing(ranked.n))
    k, wrong = int(answered[at]), int(errors[at])
    trials = ranked.n if of == "all" else k
    return Certification(
        **base,
        threshold=float(grid[at]) if is_certified else None,
        tested_threshold=float(grid[at]),
        n_answered=k,
        n_errors=wrong,
        coverage=k / ranked.n,
        coverage_interval=clopper_pearson_interval(k, ranked.n),
        agreement=1 - wrong / trials if trials else None,
        agreement_lower=_valid_lower(wrong, trials, target, delta, passed, len(grid)),
        p_value=binomial_p_value(wrong, trials, 1 - target),
        reason=None if is_certified else _why_not(trials, wrong, k, target, delta),
    )


_NOTHING: dict[str, Any] = {
    "threshold": None,
    "tested_threshold": None,
    "n_answered": 0,
    "n_errors": 0,
    "coverage": None,
    "coverage_interval": None,
    "agreement": None,
    "agreement_lower": None,
    "p_value": None,
}


def _valid_lower(
    errors: int, trials: int, target: float, delta: float, passed: int, n_thresholds: int
) -> float | None:
    """The lower bound that the sequence as a whole supports.

    Stopped inside: `target` and no more. Came to its end: the sequence goes on at the last threshold with
    ever higher targets, which is the exact limit there. Failed at once: the same at the first threshold with
    lower targets (a failure at `target` makes that limit at most `target`, so the cases share one delta).
    """
    if not trials:
        return None
    if 0 < passed < n_thresholds:
        return target
    return clopper_pearson_lower(trials - errors, trials, delta)


def _why_nothing(n: int) -> str:
    if n == 0:
        return "there are no calls to certify on"
    return "no threshold was given to test: the student was confident about no call of the select split"


def _why_not(trials: int, errors: int, answered: int, target: float, delta: float) -> str:
    least = smallest_testable_count(target, delta)
    if answered == 0:
        return "the student answers no call at the threshold tested"
    if trials < least:
        return (
            f"too few calls: {trials} to test on, and at least {least} without any error are needed to"
            f" certify {target:g} at confidence {1 - delta:g}"
        )
    allowed = most_errors_allowed(trials, 1 - target, delta)
    return (
        f"too many errors: {errors} in {trials} at the most promising threshold ({percent(errors, trials)}),"
        f" where at most {allowed} would pass"
    )
