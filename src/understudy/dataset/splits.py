"""Which calls are learnt from, which choose the model, which certify it: train, select, certify.

A split that the data brings is kept; parts it lacks are carved out. Else calls are ordered by time where
all carry one, else drawn by a seed. In all cases whole near-duplicate groups move together, and where
brought splits share a group, the copies are dropped from the side that must not have seen the other (train
before select before certify before holdout), never the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.errors import ConfigError

__all__ = ["DEFAULT_SHARES", "DROPPED", "SPLITS", "SplitPlan", "plan_splits"]

SPLITS: tuple[str, ...] = ("train", "select", "certify", "holdout", "dropped")
"""Names by code. `holdout` is a test set that the data brings: kept out of all learning and certification.
`dropped` rows are near-duplicates of rows on a later side."""
TRAIN, SELECT, CERTIFY, HOLDOUT, DROPPED = range(5)
DEFAULT_SHARES: tuple[float, float, float] = (0.64, 0.16, 0.20)

_NAMES = {
    "train": TRAIN, "training": TRAIN,
    "select": SELECT, "validation": SELECT, "valid": SELECT, "val": SELECT, "dev": SELECT,
    "certify": CERTIFY, "certification": CERTIFY, "calibration": CERTIFY,
    "test": HOLDOUT, "holdout": HOLDOUT, "heldout": HOLDOUT,
}  # fmt: skip
_MIN_HALF_OF_SELECT = 300

I8 = npt.NDArray[np.int8]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """A split and how it came about.

    Attributes
    ----------
    codes
        Per row an index into :data:`SPLITS`, shape (n,).
    method
        ``brought``, ``time`` or ``random``.
    n_moved
        By time: rows on an earlier side than their own time says, because their group is there.
    n_dropped
        Per split name, rows dropped from it as near-duplicates of a later side.
    notes
        What was done with a brought split, one sentence each.
    """

    codes: I8
    method: str
    n_moved: int = 0
    n_dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Rows per split name."""
        counts = np.bincount(self.codes, minlength=len(SPLITS))
        return {name: int(count) for name, count in zip(SPLITS, counts, strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the rows."""
        return {
            "method": self.method, "rows": self.counts(), "moved": self.n_moved,
            "dropped": dict(self.n_dropped), "notes": list(self.notes),
        }  # fmt: skip


def plan_splits(
    groups: I64,
    *,
    brought: Sequence[str | None] | None = None,
    times: npt.NDArray[np.float64] | None = None,
    shares: tuple[float, float, float] = DEFAULT_SHARES,
    seed: int = 0,
) -> SplitPlan:
    """Plan the split of `n` rows.

    Parameters
    ----------
    groups
        Near-duplicate group per row, shape (n,).
    brought
        The split name that the data brings per row, or ``None``.
    times
        Seconds since 1970 per row, NaN where unknown. Used only if all rows to be split have one.
    shares
        Of train, select and certify; they add up to 1.
    seed
        Of the random draw.

    Raises
    ------
    ConfigError
        If the shares are no shares.
    """
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ConfigError(
            "the shares of train, select and certify must be above 0 and add up to 1", given=str(shares)
        )
    n_rows = len(groups)
    codes = np.full(n_rows, -1, dtype=np.int8)
    if brought is not None:
        for row, name in enumerate(brought):
            if name is not None:
                codes[row] = _NAMES.get(name, -1)
    notes: list[str] = []
    if n_rows and not (codes == TRAIN).any() and not (codes == -1).any():
        notes.append("the data brings no training rows: its split is set aside and all rows are split anew")
        codes[:] = -1
    if (codes == -1).all():
        fresh, n_moved, method = _fresh(groups, times, shares, seed)
        plan = SplitPlan(fresh, method, n_moved, {}, tuple(notes))
    else:
        plan = _complete(codes, groups, times, shares, seed, notes)
    _assert_no_straddling(plan.codes, groups)
    return plan


def _assert_no_straddling(codes: I8, groups: I64) -> None:
    kept = codes != DROPPED
    pairs = np.unique(groups[kept] * len(SPLITS) + codes[kept])
    owners = pairs // len(SPLITS)
    assert len(np.unique(owners)) == len(owners), "a near-duplicate group straddles a split"


def _fresh(
    groups: I64, times: npt.NDArray[np.float64] | None, shares: Sequence[float], seed: int
) -> tuple[I8, int, str]:
    """Split rows into len(shares) parts, coded 0, 1, ...: by time if all have one, else at random."""
    has_times = times is not None and len(times) > 0 and not np.isnan(times).any()
    if has_times and times is not None and np.ptp(times) > 0:
        codes, n_moved = _by_time(groups, times, shares)
        return codes, n_moved, "time"
    return _by_seed(groups, shares, seed), 0, "random"


def _by_time(groups: I64, times: npt.NDArray[np.float64], shares: Sequence[float]) -> tuple[I8, int]:
    _, member = np.unique(groups, return_inverse=True)
    earliest = np.full(member.max() + 1, np.inf)
    np.minimum.at(earliest, member, times)
    # A boundary is a moment, so that rows of one moment stay together.
    bounds = [np.quantile(times, share, method="higher") for share in np.cumsum(shares)[:-1]]
    own = np.searchsorted(bounds, times, side="right").astype(np.int8)
    codes = np.searchsorted(bounds, earliest[member], side="right").astype(np.int8)
    return codes, int((codes != own).sum())


def _by_seed(groups: I64, shares: Sequence[float], seed: int) -> I8:
    """Whole groups in random order; a group goes to the part that is furthest below its share.

    Groups larger than the smallest part would not fit it: they come first, and so land where there is room.
    """
    ids, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n_rows, n_parts = len(groups), len(shares)
    code_of = np.zeros(len(ids), dtype=np.int8)
    wanted = np.array(shares) * n_rows
    filled = np.zeros(n_parts)
    order = np.random.default_rng(seed).permutation(len(ids))
    is_large = sizes[order] > max(1.0, 0.02 * wanted.min())
    for group in order[is_large][np.argsort(-sizes[order][is_large], kind="stable")]:
        part = int(np.argmax(wanted - filled))
        code_of[group] = part
        filled[part] += sizes[group]
    small = order[~is_large]
    ends = np.cumsum(sizes[small])
    total = float(ends[-1]) if len(ends) else 0.0
    rest = np.maximum(wanted - filled, 0)
    bounds = np.cumsum(rest / max(rest.sum(), 1e-9)) * total
    code_of[small] = np.minimum(np.searchsorted(bounds, ends - 0.5), n_parts - 1).astype(np.int8)
    return code_of[member]


def _complete(
    codes: I8,
    groups: I64,
    times: npt.NDArray[np.float64] | None,
    shares: tuple[float, float, float],
    seed: int,
    notes: list[str],
) -> SplitPlan:
    """Place rows without a brought split, drop copies across sides, carve out missing parts."""
    codes = codes.copy()
    method, n_moved = "brought", 0
    loose = np.flatnonzero(codes == -1)
    if len(loose):
        # Learning rows of no stated side join the training side before anything is carved out of it.
        codes[loose] = TRAIN
        notes.append(f"{len(loose):,} rows of no known split count as training rows")
    codes, n_dropped = _drop_copies(codes, groups)
    has_select, has_certify = bool((codes == SELECT).any()), bool((codes == CERTIFY).any())
    if has_select and not has_certify and (codes == SELECT).sum() >= 2 * _MIN_HALF_OF_SELECT:
        rows = np.flatnonzero(codes == SELECT)
        halves, _, _ = _fresh(groups[rows], _at(times, rows), (0.5, 0.5), seed)
        codes[rows[halves == 1]] = CERTIFY
        notes.append("certify is half of the select rows that the data brings")
        has_certify = True
    missing = [part for part, has in ((SELECT, has_select), (CERTIFY, has_certify)) if not has]
    if missing:
        rows = np.flatnonzero(codes == TRAIN)
        parts = [TRAIN, *missing]
        total = sum(shares[part] for part in parts)
        fresh, n_moved, how = _fresh(
            groups[rows], _at(times, rows), [shares[part] / total for part in parts], seed
        )
        codes[rows] = np.array(parts, dtype=np.int8)[fresh]
        names = " and ".join(SPLITS[part] for part in missing)
        notes.append(
            f"{names} carved out of the training rows, {'by time' if how == 'time' else 'at random'}"
        )
    return SplitPlan(codes, method, n_moved, n_dropped, tuple(notes))


def _at(times: npt.NDArray[np.float64] | None, rows: I64) -> npt.NDArray[np.float64] | None:
    return None if times is None else times[rows]


def _drop_copies(codes: I8, groups: I64) -> tuple[I8, dict[str, int]]:
    """Of a group on several sides only the rows on the last side stay."""
    _, member = np.unique(groups, return_inverse=True)
    last = np.zeros(member.max() + 1, dtype=np.int8)
    np.maximum.at(last, member, codes)
    is_copy = codes < last[member]
    n_dropped = {
        SPLITS[part]: int((is_copy & (codes == part)).sum())
        for part in (TRAIN, SELECT, CERTIFY)
        if (is_copy & (codes == part)).any()
    }
    return np.where(is_copy, np.int8(DROPPED), codes), n_dropped
