import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from understudy.certify.bounds import clopper_pearson_lower
from understudy.certify.gold import bound_accuracy, certify_gold
from understudy.certify.paired import difference_lower, noninferiority_p_value
from understudy.certify.sequence import certify_selective, grid_from_select
from understudy.errors import DataError


def brute_force_tail(at_most, n, mean, discordant):
    up, down = (discordant + mean) / 2, (discordant - mean) / 2
    wins = np.arange(n + 1)
    return (stats.binom.pmf(wins, n, down) * stats.binom.cdf(at_most + wins, n - wins, up / (1 - down))).sum()


@pytest.mark.parametrize(
    ("losses", "wins", "n", "margin"), [(3, 4, 100, 0.05), (10, 2, 300, 0.06), (0, 9, 60, 0.1)]
)
def test_the_p_value_is_the_largest_over_the_nuisance(losses, wins, n, margin):
    delta = 0.05
    found = noninferiority_p_value(losses, wins, n, margin=margin, delta=delta)
    highest = stats.beta.ppf(1 - 0.1 * delta, losses + wins + 1, n - losses - wins)
    grid = np.linspace(margin, highest, 2001)
    worst = max(brute_force_tail(losses - wins, n, margin, share) for share in grid[:: 20 if n > 100 else 10])
    assert found == pytest.approx(worst + 0.1 * delta, abs=1e-6)


def test_without_discordant_calls_or_calls():
    # Nothing lost in 200: a loss of 2 points and no wins would hide with probability .98 ** 200.
    assert 0.98**200 < noninferiority_p_value(0, 0, 200, margin=0.02, delta=0.05) < 0.06
    assert difference_lower(0, 0, 0, delta=0.05) == -1
    assert noninferiority_p_value(0, 0, 0, margin=0.02, delta=0.05) == 1


@settings(max_examples=40)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(100, 2000))
def test_bound_and_test_tell_the_same(losses, wins, n):
    lower = difference_lower(losses, wins, n, delta=0.05)
    assert -1 <= lower <= (wins - losses) / n
    assert noninferiority_p_value(losses, wins, n, margin=min(0.999, -lower + 1e-6), delta=0.05) <= 0.0501
    assert difference_lower(losses + 1, wins, n, delta=0.05) <= lower + 1e-4


@pytest.mark.parametrize(("n", "p_loss"), [(200, 0.05), (800, 0.04)])
def test_at_a_true_loss_of_the_margin_it_fails_no_more_often_than_delta(n, p_loss):
    rng, margin, draws = np.random.default_rng(1), 0.02, 1000
    sample = rng.multinomial(n, [p_loss, p_loss - margin, 1 - 2 * p_loss + margin], size=draws)
    false = sum(
        noninferiority_p_value(lost, won, n, margin=margin, delta=0.05) <= 0.05
        for lost, won, _ in sample.tolist()
    )
    assert stats.binom.sf(false - 1, draws, 0.05) > 1e-3
    # The usual normal bound is convicted by the same count at small n.
    gap = (sample[:, 0] - sample[:, 1]) / n
    spread = np.sqrt((sample[:, 0] + sample[:, 1]) / n - gap**2) / np.sqrt(n)
    normal = int((gap + 1.2 * spread < margin).sum())
    assert stats.binom.sf(normal - 1, draws, 0.05) < 1e-3


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="must fit"):
        noninferiority_p_value(5, 6, 10, margin=0.02, delta=0.05)
    with pytest.raises(ValueError, match="margin"):
        noninferiority_p_value(5, 4, 10, margin=1.0, delta=0.05)


def test_accuracy_is_bounded_exactly_and_split_over_candidates():
    right = [True] * 95 + [False] * 5
    assert bound_accuracy(right, delta=0.05).lower == clopper_pearson_lower(95, 100, 0.05)
    assert bound_accuracy(right, delta=0.05, n_candidates=10).lower == clopper_pearson_lower(95, 100, 0.005)
    nothing = bound_accuracy([], delta=0.05)
    assert (nothing.share, nothing.lower, nothing.interval) == (None, None, None)


def recorded(n=1000, seed=0):
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    teacher = rng.random(n) < 0.8
    agrees = rng.random(n) < np.where(confidence > 0.3, 0.985, 0.6)
    student = np.where(agrees, teacher, ~teacher & (rng.random(n) < 0.3))
    return confidence, student, teacher, agrees


def test_each_statement_counts_what_it_says():
    confidence, student, teacher, _ = recorded()
    found = certify_gold(confidence, student, teacher, threshold=0.3, delta=0.05, margin=0.03)
    answered = confidence >= 0.3
    together = np.where(answered, student, teacher)
    assert found.answered.n == answered.sum()
    assert found.answered.n_right == student[answered].sum()
    assert found.system.n_right == together.sum()
    assert found.teacher.n_right == teacher.sum()
    assert found.noninferiority.difference == pytest.approx(together.mean() - teacher.mean())
    assert found.noninferiority.is_noninferior
    assert found.noninferiority.difference_lower > -0.03
    json.dumps(found.to_dict())
    served, system, against = found.sentences()
    assert "right by the gold answers" in served
    assert "student and teacher together are right" in system
    assert "less than 3 points below the teacher's own accuracy by the gold answers" in against
    assert all("equal the teacher's" not in line for line in found.sentences())


def test_a_worse_system_is_not_called_noninferior():
    confidence, student, teacher, _ = recorded()
    found = certify_gold(
        confidence, student & (confidence < 0.8), teacher, threshold=0.3, delta=0.05, margin=0.03
    )
    assert not found.noninferiority.is_noninferior
    assert found.sentences()[-1].startswith("Not certified: ")


def test_a_choice_on_the_same_rows_costs_a_split_level_and_a_passed_sequence():
    confidence, student, teacher, _ = recorded()
    fixed = certify_gold(confidence, student, teacher, threshold=0.3, delta=0.05)
    chosen = certify_gold(
        confidence, student, teacher, threshold=0.3, delta=0.05, thresholds=[0.9, 0.6, 0.3, 0.1]
    )
    assert chosen.answered.lower < fixed.answered.lower
    assert chosen.n_candidates == 4
    # One stricter threshold that fails forbids the claim at the chosen one.
    spoilt = student.copy()
    spoilt[confidence >= 0.9] = False
    spoilt[confidence < 0.9] = True
    alone = certify_gold(confidence, spoilt, teacher, threshold=0.1, delta=0.05)
    after = certify_gold(confidence, spoilt, teacher, threshold=0.1, delta=0.05, thresholds=[0.9, 0.1])
    assert alone.noninferiority.is_noninferior
    assert not after.noninferiority.is_noninferior


def test_calls_without_gold_are_left_out_and_counted():
    confidence, student, teacher, _ = recorded(100)
    found = certify_gold(
        confidence, student, teacher, threshold=0.3, delta=0.05, has_gold=[True] * 60 + [False] * 40
    )
    assert (found.n, found.n_without_gold) == (60, 40)


def test_without_the_teacher_only_served_answers_are_judged():
    confidence, student, _, _ = recorded(100)
    found = certify_gold(confidence, student, threshold=0.3, delta=0.05)
    assert (found.system, found.teacher, found.noninferiority) == (None, None, None)
    assert len(found.sentences()) == 1


def test_wrong_shapes_and_foreign_thresholds_are_refused():
    with pytest.raises(DataError, match="one length"):
        certify_gold([0.5], [True, False], threshold=0.3, delta=0.05)
    with pytest.raises(DataError, match="not in the sequence"):
        certify_gold([0.5], [True], threshold=0.3, delta=0.05, thresholds=[0.5])


def test_bounds_hold_after_a_choice_on_the_same_rows():
    rng = np.random.default_rng(4)
    confidence, student, teacher, agrees = recorded(200_000, 7)
    draws, false_bound, false_claim = 150, 0, 0
    for _ in range(draws):
        select, rows = rng.integers(0, 200_000, 300), rng.integers(0, 200_000, 300)
        grid = grid_from_select(
            confidence[select], agrees[select], target=0.95, delta=0.05, n_certify=300, most=50
        )
        chosen = certify_selective(confidence[rows], agrees[rows], target=0.95, delta=0.05, thresholds=grid)
        if chosen.threshold is None:
            continue
        found = certify_gold(
            confidence[rows],
            student[rows],
            teacher[rows],
            threshold=chosen.threshold,
            delta=0.05,
            thresholds=grid,
        )
        answered = confidence >= chosen.threshold
        false_bound += found.answered.lower > student[answered].mean()
        loss = (np.where(answered, student, teacher) - teacher.astype(float)).mean()
        false_claim += found.noninferiority.is_noninferior and loss <= -0.02
    assert stats.binom.sf(false_bound - 1, draws, 0.05) > 1e-3
    assert stats.binom.sf(false_claim - 1, draws, 0.05) > 1e-3
