"""Certificates hold, in simulation: failures are counted against an exact binomial bound, so this can fail.

The same count is made for procedures that look alike and are not valid, and must convict them.
"""

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController, precision
from mapie.risk_control.fwer_control import control_fwer
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
from scipy import stats

from understudy.certify.bounds import binomial_p_value, most_errors_allowed
from understudy.certify.sequence import certify_selective, grid_from_select

TARGET, DELTA, DRAWS = 0.95, 0.05, 300
PLAN = {"target": TARGET, "delta": DELTA}


def is_convicted(failures, draws=DRAWS):
    """Whether so many failures would come with probability below 1 in 1,000 if each came with delta."""
    return stats.binom.sf(failures - 1, draws, DELTA) < 1e-3


def p_right(family, confidence):
    if family == "calibrated":
        return confidence
    if family == "overconfident":
        return confidence**1.5
    if family == "near target":
        return np.full_like(confidence, 0.9499)
    return np.where(confidence > 0.85, 0.975, 0.9)


def draw(family, n, rng):
    confidence = rng.random(n) if family in ("near target", "tied") else rng.beta(6, 0.45, n)
    if family == "tied":
        confidence = np.round(confidence, 1)
    return confidence, rng.random(n) < p_right(family, confidence)


def truth(family):
    confidence, _ = draw(family, 400_000, np.random.default_rng(9))
    order = np.argsort(-confidence)
    ranked, cumulated = confidence[order], np.cumsum(p_right(family, confidence[order]))

    def of_threshold(threshold):
        k = np.searchsorted(-ranked, -threshold, side="right")
        return cumulated[k - 1] / k if k else 1.0, (k - cumulated[k - 1]) / len(ranked) if k else 0.0

    return of_threshold


@pytest.mark.parametrize("family", ["calibrated", "overconfident", "near target", "tied"])
def test_certificates_are_false_no_more_often_than_delta(family):
    rng, true_at = np.random.default_rng(3), truth(family)
    false_answered = false_all = false_bound = 0
    for _ in range(DRAWS):
        select, certify = draw(family, 300, rng), draw(family, 300, rng)
        found = certify_selective(
            *certify, thresholds=grid_from_select(*select, n_certify=300, **PLAN), **PLAN
        )
        agreement, _ = true_at(found.tested_threshold)
        false_answered += found.is_certified and agreement < TARGET
        false_bound += found.agreement_lower is not None and agreement < found.agreement_lower
        grid = grid_from_select(*select, n_certify=300, of="all", **PLAN)
        whole = certify_selective(*certify, thresholds=grid, of="all", **PLAN)
        false_all += whole.is_certified and true_at(whole.threshold)[1] > 1 - TARGET
    assert not is_convicted(false_answered)
    assert not is_convicted(false_all)
    assert not is_convicted(false_bound)


def best_of_all_tests(confidence, right):
    """A mutant: every threshold is tested at the full level and the loosest that passes is taken."""
    order = np.argsort(-confidence)
    errors = np.cumsum(~right[order])
    passing = [k for k in range(len(order)) if errors[k] <= most_errors_allowed(k + 1, 1 - TARGET, DELTA)]
    return confidence[order][passing[-1]] if passing else None


def observed_share(confidence, right):
    """A mutant: the loosest threshold whose observed agreement is the target."""
    order = np.argsort(-confidence)
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    passing = np.flatnonzero(share >= TARGET)
    return confidence[order][passing[-1]] if len(passing) else None


def start_from_certify(confidence, right):
    """A mutant: the right sequence, started where the certify split itself looks best."""
    grid = np.sort(confidence)[::-1]
    _, errors, _ = mapie_p_values(confidence, right, grid)
    p_values = [binomial_p_value(int(wrong), k + 1, 1 - TARGET) for k, wrong in enumerate(errors)]
    return certify_selective(confidence, right, thresholds=grid[int(np.argmin(p_values)) :], **PLAN).threshold


@pytest.mark.parametrize("mutant", [best_of_all_tests, observed_share, start_from_certify])
def test_the_same_count_convicts_procedures_that_are_not_valid(mutant):
    rng, true_at, false = np.random.default_rng(3), truth("near target"), 0
    for _ in range(DRAWS):
        threshold = mutant(*draw("near target", 300, rng))
        false += threshold is not None and true_at(threshold)[0] < TARGET
    assert is_convicted(false)


def mapie_p_values(confidence, right, grid):
    answered = (confidence >= grid[:, None]).sum(axis=1)
    errors = ((confidence >= grid[:, None]) & ~right).sum(axis=1)
    rate = np.where(answered > 0, errors / np.maximum(answered, 1), 1.0)
    return answered, errors, compute_hoeffding_bentkus_p_value(rate, answered, 1 - TARGET, binary=True)[:, 0]


@pytest.mark.parametrize("seed", range(12))
def test_mapie_finds_the_same_thresholds_valid_for_the_same_order(seed):
    rng = np.random.default_rng(seed)
    select, (confidence, right) = draw("calibrated", 400, rng), draw("calibrated", 400, rng)
    grid = grid_from_select(*select, n_certify=400, **PLAN)
    grid = grid[grid >= confidence.min()]
    ours = certify_selective(confidence, right, thresholds=grid, **PLAN)
    # Like with like: the same exact p-values through MAPIE's own fixed-sequence procedure.
    answered, errors, theirs = mapie_p_values(confidence, right, grid)
    exact = np.array(
        [binomial_p_value(int(e), int(k), 1 - TARGET) for e, k in zip(errors, answered, strict=True)]
    )
    valid = control_fwer(exact, DELTA, "fixed_sequence")
    assert valid.tolist() == list(range(len(valid)))
    assert (grid[valid[-1]] if len(valid) else None) == ours.threshold
    # MAPIE's own p-value for binary losses is the exact one, but for its ceil(n * (errors / n)), which can
    # count an error too many in floating point: never smaller than ours.
    assert (theirs >= exact - 1e-12).all()
    is_rounded_up = np.ceil(answered * (errors / answered)) > errors
    assert theirs[~is_rounded_up] == pytest.approx(exact[~is_rounded_up], abs=1e-9)


# It notes that the risk is not monotone in the threshold; the sequence does not need it to be.
@pytest.mark.filterwarnings("ignore:Fixed sequence testing requires a monotonic risk")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mapies_controller_agrees_on_precision(seed):
    rng = np.random.default_rng(seed)
    select, (confidence, right) = draw("calibrated", 800, rng), draw("calibrated", 800, rng)
    grid = grid_from_select(*select, n_certify=800, **PLAN)
    grid = grid[grid >= confidence.min()]
    # Precision of "answer" at a threshold is the agreement among the answered.
    controller = BinaryClassificationController(
        predict_function=lambda x: np.stack([1 - x[:, 0], x[:, 0]], axis=1),
        risk=precision,
        target_level=TARGET,
        confidence_level=1 - DELTA,
        list_predict_params=grid,
        fwer_method="fixed_sequence",
    )
    controller.calibrate(confidence[:, None], right.astype(int))
    valid = np.asarray(controller.valid_predict_params)
    ours = certify_selective(confidence, right, thresholds=grid, **PLAN)
    answered, errors, _ = mapie_p_values(confidence, right, grid)
    theirs = np.asarray(controller.p_values).ravel()
    exact = np.array(
        [binomial_p_value(int(e), int(k), 1 - TARGET) for e, k in zip(errors, answered, strict=True)]
    )
    one_more = [
        binomial_p_value(int(e) + 1, int(k), 1 - TARGET) for e, k in zip(errors, answered, strict=True)
    ]
    # Its p-values are the exact ones, some with up to one error too many by rounding up (see above).
    assert ((theirs >= exact - 1e-9) & (theirs <= np.array(one_more) + 1e-9)).all()
    stop = int(np.argmax(theirs > DELTA)) if (theirs > DELTA).any() else len(grid)
    assert sorted(valid) == sorted(grid[:stop])
    assert ours.n_tests >= stop
    assert ours.threshold <= valid.min()
