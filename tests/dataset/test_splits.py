"""Splits: no group straddles, brought splits are kept, the later side wins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.dataset.splits import DROPPED, HOLDOUT, SPLITS, plan_splits
from understudy.errors import ConfigError

names = st.sampled_from(
    [None, "train", "test", "valid", "validation", "dev", "certify", "all", "holdout", "weird"]
)
rows = st.lists(st.tuples(st.integers(0, 12), names, st.floats(0, 100)), min_size=1, max_size=80)


def straddles(codes: np.ndarray, groups: np.ndarray) -> bool:
    kept = codes != DROPPED
    return any(len(set(codes[kept & (groups == group)].tolist())) > 1 for group in set(groups.tolist()))


@settings(max_examples=200, deadline=None)
@given(rows, st.booleans(), st.booleans(), st.integers(0, 3))
def test_no_group_straddles_and_holdout_stays(
    given_rows: list, uses_split: bool, uses_time: bool, seed: int
) -> None:
    groups = np.array([group for group, _, _ in given_rows])
    brought = [name for _, name, _ in given_rows] if uses_split else None
    times = np.array([time for *_, time in given_rows]) if uses_time else None
    plan = plan_splits(groups, brought=brought, times=times, seed=seed)
    again = plan_splits(groups, brought=brought, times=times, seed=seed)
    assert (plan.codes == again.codes).all()
    assert not straddles(plan.codes, groups)
    assert sum(plan.counts().values()) == len(groups)
    assert ((plan.codes >= 0) & (plan.codes < len(SPLITS))).all()
    if brought is not None and plan.method == "brought":
        tests = np.array([name in ("test", "holdout") for name in brought])
        assert (plan.codes[tests] == HOLDOUT).all()


def test_random_shares() -> None:
    counts = plan_splits(np.arange(10_000)).counts()
    assert counts == {"train": 6400, "select": 1600, "certify": 2000, "holdout": 0, "dropped": 0}
    other = plan_splits(np.arange(10_000), seed=1)
    assert (other.codes != plan_splits(np.arange(10_000)).codes).any()


def test_shares_hold_with_uneven_groups() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(900), rng.integers(1, 60, 900))
    counts = plan_splits(groups).counts()
    for name, share in zip(SPLITS, (0.64, 0.16, 0.2), strict=False):
        assert counts[name] / len(groups) == pytest.approx(share, abs=0.01)


def test_by_time_the_latest_certify_and_groups_go_to_the_earliest() -> None:
    times = np.arange(100, dtype=float)
    groups = np.arange(100)
    groups[99] = 0
    plan = plan_splits(groups, times=times)
    assert plan.method == "time"
    assert plan.n_moved == 1
    assert SPLITS[plan.codes[99]] == "train"
    assert [SPLITS[code] for code in plan.codes[[0, 60, 70, 85, 98]]] == [
        "train",
        "train",
        "select",
        "certify",
        "certify",
    ]
    times[3] = np.nan
    assert plan_splits(groups, times=times).method == "random"
    assert plan_splits(groups, times=np.zeros(100)).method == "random"


def test_copies_are_dropped_from_the_earlier_side() -> None:
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 4])
    brought = ["train", "test", "train", "valid", "certify", "valid", "train", "train"]
    plan = plan_splits(groups, brought=brought)
    assert [SPLITS[code] for code in plan.codes] == [
        "dropped", "holdout", "dropped", "select", "certify", "dropped", "train", "train",
    ]  # fmt: skip
    assert plan.n_dropped == {"train": 2, "select": 1}


def test_missing_parts_are_carved_out() -> None:
    brought = ["train"] * 1000 + ["test"] * 100
    plan = plan_splits(np.arange(1100), brought=brought)
    assert plan.counts() == {"train": 640, "select": 160, "certify": 200, "holdout": 100, "dropped": 0}
    small = plan_splits(np.arange(1100), brought=["train"] * 1000 + ["dev"] * 100)
    assert small.counts()["select"] == 100
    assert small.counts()["certify"] == round(1000 * 0.2 / 0.84)
    large = plan_splits(np.arange(2000), brought=["train"] * 1000 + ["dev"] * 1000)
    assert large.counts() == {"train": 1000, "select": 500, "certify": 500, "holdout": 0, "dropped": 0}


def test_rows_without_a_split_and_data_without_training_rows() -> None:
    plan = plan_splits(np.arange(100), brought=["test"] * 20 + [None] * 80)
    assert plan.counts()["holdout"] == 20
    assert plan.counts()["train"] == 51
    only_test = plan_splits(np.arange(100), brought=["test"] * 100)
    assert only_test.counts()["holdout"] == 0
    assert "no training rows" in only_test.notes[0]


def test_shares_must_be_shares() -> None:
    for shares in ((0.5, 0.5, 0.5), (1.0, 0.0, 0.0)):
        with pytest.raises(ConfigError):
            plan_splits(np.arange(10), shares=shares)
