import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.certify.bounds import binomial_p_value, clopper_pearson_lower, most_errors_allowed
from understudy.certify.certification import Certification, percent, percent_at_least, percent_at_most
from understudy.certify.sequence import certify_selective, grid_from_select
from understudy.errors import ConfigError, DataError

PLAN = {"target": 0.9, "delta": 0.1}

rows = st.lists(
    st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9, 0.95, float("nan")]), st.booleans()),
    min_size=1,
    max_size=300,
)
GRID = [0.95, 0.9, 0.7, 0.5, 0.3, 0.1]


def certify(data, of="answered", **changes):
    confidence, right = zip(*data, strict=True)
    return certify_selective(confidence, right, thresholds=GRID, of=of, **{**PLAN, **changes})


@given(rows, st.sampled_from(["answered", "all"]), st.randoms())
def test_the_order_of_rows_changes_nothing(data, of, random):
    mixed = list(data)
    random.shuffle(mixed)
    assert certify(mixed, of) == certify(data, of)


@given(rows, st.sampled_from(["answered", "all"]), st.integers(0, 10**6))
def test_one_more_error_never_enlarges_coverage(data, of, pick):
    worse = list(data)
    at = pick % len(worse)
    worse[at] = (worse[at][0], False)
    before, after = certify(data, of), certify(worse, of)
    assert before.is_certified or not after.is_certified
    if before.is_certified and after.is_certified:
        assert after.coverage <= before.coverage


@given(rows, st.sampled_from(["answered", "all"]))
def test_every_number_is_what_a_plain_count_gives(data, of):
    found = certify(data, of)
    confidence, right = (np.array(column) for column in zip(*data, strict=True))
    answered = confidence >= found.tested_threshold
    assert found.n == len(data)
    assert found.n_answered == answered.sum()
    assert found.n_errors == (answered & ~right).sum()
    trials = found.n_answered if of == "answered" else found.n
    assert found.p_value == binomial_p_value(found.n_errors, trials, 1 - found.target)
    if found.is_certified:
        assert found.p_value <= found.delta
        assert found.agreement_lower >= found.target
        assert found.threshold == found.tested_threshold
    else:
        assert found.threshold is None
        assert found.reason
    assert Certification.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_it_stops_at_the_first_failure_even_if_a_later_test_would_pass():
    confidence = np.repeat([0.9, 0.5, 0.1], [40, 20, 400])
    right = np.ones(460, dtype=bool)
    right[40:50] = False  # ten errors in the middle group
    for threshold, passes in ((0.9, True), (0.5, False), (0.1, True)):
        alone = certify_selective(confidence, right, thresholds=[threshold], **PLAN)
        assert alone.is_certified == passes
    found = certify_selective(confidence, right, thresholds=[0.9, 0.5, 0.1], **PLAN)
    assert (found.threshold, found.n_tests, found.agreement_lower) == (0.9, 2, 0.9)


def test_ties_are_answered_together_and_nan_is_deferred():
    found = certify_selective(
        [0.5] * 60 + [np.nan] * 40, [True] * 60 + [False] * 40, thresholds=[0.5], **PLAN
    )
    assert (found.n, found.n_answered, found.n_errors, found.coverage) == (100, 60, 0, 0.6)
    everything = certify_selective([0.5] * 60 + [np.nan] * 40, [True] * 100, thresholds=[0.5, -1.0], **PLAN)
    assert everything.n_answered == 60


def test_the_lower_bound_is_exact_where_the_sequence_ends_by_itself_or_fails_at_once():
    ended = certify_selective([0.9] * 100, [True] * 100, thresholds=[0.9, 0.5], **PLAN)
    assert ended.agreement_lower == clopper_pearson_lower(100, 100, 0.1)
    failed = certify_selective([0.9] * 100, [False] * 20 + [True] * 80, thresholds=[0.9, 0.5], **PLAN)
    assert failed.agreement_lower == clopper_pearson_lower(80, 100, 0.1)
    assert failed.agreement_lower < failed.target


def test_a_sequence_that_answers_nothing_is_no_certificate():
    found = certify_selective([0.1] * 100, [True] * 100, thresholds=[0.9], of="all", **PLAN)
    assert not found.is_certified
    assert found.reason == "the student answers no call at the threshold tested"


def test_reasons():
    few = certify_selective([0.9] * 10, [True] * 10, thresholds=[0.5], target=0.95, delta=0.05)
    assert few.sentence() == (
        "Not certified: too few calls: 10 to test on, and at least 59 without any error are needed to"
        " certify 0.95 at confidence 0.95."
    )
    wrong = certify_selective(
        [0.9] * 100, [False] * 9 + [True] * 91, thresholds=[0.5], target=0.95, delta=0.05
    )
    assert wrong.reason == (
        "too many errors: 9 in 100 at the most promising threshold (9 %), where at most 1 would pass"
    )
    assert most_errors_allowed(100, 0.05, 0.05) == 1
    none = certify_selective([0.9], [True], thresholds=[], **PLAN)
    assert none.tested_threshold is None
    assert none.coverage is None
    assert "no threshold" in none.sentence()
    assert "no calls" in certify_selective([], [], thresholds=[0.5], **PLAN).sentence()


def example(of="answered", reference="teacher", n_answered=469):
    confidence = [0.9] * n_answered + [0.1] * (500 - n_answered)
    right = [False] * 14 + [True] * 486
    thresholds = [0.9, 0.1] if n_answered < 500 else [0.9]
    right[n_answered:] = [False] * (500 - n_answered)
    return certify_selective(
        confidence, right, thresholds=thresholds, target=0.95, delta=0.05, of=of, reference=reference
    )


def test_the_sentence_word_for_word():
    assert example().sentence() == (
        "With 95 % confidence, at least 95 % of the answers it gives equal the teacher's."
        " It answers 93.8 % of calls (469 of 500 in the test); the rest go to the teacher."
    )
    gold = example(reference="gold").sentence()
    assert gold.startswith(
        "With 95 % confidence, at least 95 % of the answers it gives are right by the gold answers."
    )
    assert "equal the teacher's" not in gold
    whole = example(of="all").sentence()
    assert whole.startswith(
        "With 95 % confidence, at most 5 % of all calls get an answer that differs from the teacher's."
    )
    assert "wrong by the gold answers" in example(of="all", reference="gold").sentence()
    everything = example(n_answered=500)
    # The exact limit is 0.95657: said as 95.6, never as 95.7.
    assert 0.9565 < everything.agreement_lower < 0.9566
    assert "at least 95.6 %" in everything.sentence()
    assert everything.sentence().endswith("It answers every call (500 of 500 in the test).")


def test_percentages_keep_the_side_that_is_true():
    assert percent_at_least(0.95) == "95 %"
    assert percent_at_least(0.9579) == "95.7 %"
    assert percent_at_most(0.05) == "5 %"
    assert percent_at_most(1 - 0.95) == "5 %"
    assert percent_at_most(0.0421) == "4.3 %"
    assert percent_at_least(1 - 0.001, digits=3) == "99.9 %"
    assert percent(9999, 10_000) == "99.9 %"
    assert percent(1, 100_000) == "0.1 %"
    assert percent(5, 5) == "100 %"
    assert percent(0, 0) == "unknown"


@pytest.mark.parametrize("thresholds", [[0.5, 0.9], [0.5, 0.5], [[0.5]], [0.5, float("nan")]])
def test_thresholds_in_the_wrong_order_are_refused(thresholds):
    with pytest.raises(DataError, match="fall strictly"):
        certify_selective([0.9], [True], thresholds=thresholds, **PLAN)


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="one length"):
        certify_selective([0.9], [True, False], thresholds=[0.5], **PLAN)
    with pytest.raises(DataError, match="booleans"):
        certify_selective([0.9], [0.5], thresholds=[0.5], **PLAN)
    with pytest.raises(ConfigError, match="target"):
        certify_selective([0.9], [True], thresholds=[0.5], target=95, delta=0.05)
    with pytest.raises(DataError, match="missing or unknown"):
        Certification.from_dict({"target": 0.9})


@settings(max_examples=50)
@given(rows, st.sampled_from(["answered", "all"]), st.integers(1, 2000))
def test_a_grid_falls_and_ends_in_answering_all(data, of, n_certify):
    confidence, right = zip(*data, strict=True)
    grid = grid_from_select(confidence, right, n_certify=n_certify, of=of, **PLAN)
    assert (np.diff(grid) < 0).all()
    if not np.isnan(confidence).all():
        assert grid[-1] == 0.0


def test_the_grid_starts_where_select_predicts_success():
    rng = np.random.default_rng(0)
    confidence = rng.random(2000)
    # The most confident are bad, the middle is good: a start at the top would lose everything.
    right = rng.random(2000) > np.where(confidence > 0.97, 0.3, np.where(confidence > 0.3, 0.01, 0.5))
    grid = grid_from_select(confidence, right, target=0.95, delta=0.05, n_certify=1000)
    assert grid[0] < 0.9
    strict = grid_from_select(confidence, right, target=0.95, delta=0.05, n_certify=1000, of="all")
    assert strict[0] > 0.99
    assert len(grid_from_select(confidence, right, target=0.95, delta=0.05, n_certify=1000, most=50)) <= 50


def test_too_few_calls_to_certify_still_gives_a_threshold_to_test():
    assert grid_from_select([0.2, 0.8], [True, True], target=0.95, delta=0.05, n_certify=10).tolist() == [0.0]
    assert len(grid_from_select([np.nan], [True], target=0.95, delta=0.05, n_certify=10)) == 0
