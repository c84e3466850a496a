"""Texts to sets of hashed shingles, a batch at a time, in numpy.

A shingle is 4 characters of the normalised text, or 2 where it starts with a character of an unspaced
script (a Chinese character carries about as much as a word). A text shorter than that is one shingle. Sets
of more than MAX_SHINGLES keep those with the smallest hashes (a bottom-k sketch): the Jaccard similarity of
two such sets is then estimated, with a standard error below sqrt(1/4k) = 1.6 points.

It does not see meaning: paraphrases share few shingles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_SHINGLES", "ShingleSets", "jaccard", "shingle_sets"]

MAX_SHINGLES = 1024
MAX_CHARS = 20_000
"""Characters of a text that are read."""

_SPACED, _UNSPACED = 4, 2
_UNSPACED_RANGES = (
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)

U32 = npt.NDArray[np.uint32]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """Sets end to end.

    Attributes
    ----------
    hashes
        Ascending within a set, shape (m,).
    starts
        Where each set starts, shape (n + 1,).
    """

    hashes: U32
    starts: I64

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> I64:
        """Shingles per set, shape (n,)."""
        return np.diff(self.starts)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)), dtype=np.uint64)


def shingle_sets(texts: Sequence[str]) -> ShingleSets:
    """The shingle sets of normalised texts (see ``understudy.text.normalise.normalise_text``)."""
    clipped = [text[:MAX_CHARS] for text in texts]
    lengths = np.fromiter((len(text) for text in clipped), dtype=np.int64, count=len(clipped))
    codes = np.frombuffer("".join(clipped).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(
        np.uint64
    )
    owner = np.repeat(np.arange(len(clipped), dtype=np.int64), lengths)
    ends = np.cumsum(lengths)
    room = np.repeat(ends, lengths) - np.arange(len(codes))  # characters left in the text, this one included
    is_unspaced = np.zeros(len(codes), dtype=bool)
    for first, last in _UNSPACED_RANGES:
        is_unspaced |= (codes >= first) & (codes <= last)
    size = np.where(is_unspaced, _UNSPACED, _SPACED)
    padded = np.concatenate((codes, np.zeros(_SPACED, dtype=np.uint64)))
    # 21 bits a character: two of them, and four, are packed without loss before they are mixed.
    two = codes | (padded[1 : len(codes) + 1] << np.uint64(21))
    four = two | (padded[2 : len(codes) + 2] << np.uint64(42))
    fourth = padded[3 : len(codes) + 3] * np.uint64(0x9E3779B97F4A7C15)
    mixed = np.where(is_unspaced, _mix(two + np.uint64(1)), _mix(four ^ fourth))
    is_first = np.zeros(len(codes), dtype=bool)
    is_first[ends[lengths > 0] - lengths[lengths > 0]] = True
    # A text too short for one shingle stands as one, hashed with its neighbours cut off.
    is_short_text = is_first & (room < size)
    keep = np.flatnonzero((room >= size) | is_short_text)
    hashes = (mixed >> np.uint64(32))[keep]
    for at in np.flatnonzero(is_short_text[keep]):
        text = clipped[int(owner[keep[at]])]
        hashes[at] = int(_mix(np.array([hash_short(text)], dtype=np.uint64))[0]) >> 32
    # A short text may also have begun shingles further in (mixed scripts): they stay, which does no harm.
    return _as_sets(owner[keep], hashes, len(clipped))


def hash_short(text: str) -> int:
    """A number for a text of up to three characters."""
    value = 7
    for char in text:
        value = (value * 0x110000 + ord(char)) % 2**64
    return value


def _as_sets(owner: I64, hashes: npt.NDArray[np.uint64], n_texts: int) -> ShingleSets:
    keys = np.sort((owner.astype(np.uint64) << np.uint64(32)) | hashes)
    if len(keys):
        keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
    owners = (keys >> np.uint64(32)).astype(np.int64)
    starts = np.searchsorted(owners, np.arange(n_texts + 1))
    rank = np.arange(len(keys)) - starts[owners]
    is_kept = rank < MAX_SHINGLES
    if not is_kept.all():
        keys, owners = keys[is_kept], owners[is_kept]
        starts = np.searchsorted(owners, np.arange(n_texts + 1))
    return ShingleSets((keys & np.uint64(0xFFFFFFFF)).astype(np.uint32), starts)


def jaccard(sets: ShingleSets, left: I64, right: I64) -> npt.NDArray[np.float64]:
    """Jaccard similarity of pairs of sets, shape (p,); exact up to MAX_SHINGLES shingles, estimated beyond.

    Two empty sets are alike (1).
    """
    out = np.empty(len(left), dtype=np.float64)
    sizes = sets.sizes
    budget = 4_000_000
    bounds = np.concatenate(([0], np.cumsum(sizes[left] + sizes[right])))
    at = 0
    while at < len(left):
        end = max(at + 1, int(np.searchsorted(bounds, bounds[at] + budget)) - 1)
        out[at:end] = _jaccard_chunk(sets, left[at:end], right[at:end])
        at = end
    return out


def _gather(sets: ShingleSets, which: I64) -> tuple[I64, npt.NDArray[np.uint64]]:
    sizes = sets.sizes[which]
    pair = np.repeat(np.arange(len(which)), sizes)
    offset = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    hashes = sets.hashes[np.repeat(sets.starts[:-1][which], sizes) + offset].astype(np.uint64)
    return pair, (pair.astype(np.uint64) << np.uint64(32)) | hashes


def _jaccard_chunk(sets: ShingleSets, left: I64, right: I64) -> npt.NDArray[np.float64]:
    _, left_keys = _gather(sets, left)
    _, right_keys = _gather(sets, right)
    keys = np.concatenate((left_keys, right_keys))
    keys.sort(kind="stable")
    is_second = np.concatenate((keys[1:] == keys[:-1], [False]))[: len(keys)]
    is_union = np.concatenate(([True], keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, dtype=bool)
    owner = (keys >> np.uint64(32)).astype(np.int64)
    n_left, n_right = sets.sizes[left], sets.sizes[right]
    is_cut = (n_left >= MAX_SHINGLES) | (n_right >= MAX_SHINGLES)
    if is_cut.any():
        # Of the two sketches only the smallest k of the union are a fair sample of it.
        firsts = np.searchsorted(owner, np.arange(len(left)))
        rank = np.cumsum(is_union) - 1
        rank = rank - rank[np.minimum(firsts, max(0, len(keys) - 1))][owner]
        fair = ~is_cut[owner] | (rank < MAX_SHINGLES)
        is_union &= fair
        is_second &= fair
    union = np.bincount(owner[is_union], minlength=len(left))
    both = np.bincount(owner[is_second], minlength=len(left))
    return np.where(union > 0, both / np.maximum(union, 1), 1.0)
