"""Groups of near-duplicate inputs, so that none straddles a split.

Inputs equal after normalisation are one. Among the rest, pairs that share a band of MinHash values (Broder
1997; banding: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3) are verified by the
Jaccard similarity of their shingle sets; verified pairs are joined, and groups are the transitive closure.

A pair of similarity s shares none of the b bands of r values with probability (1 - s**r)**b: below .2 % at
the default threshold of .8, less above; the filter before verification adds .05 %. In a band that more than
BIG_BUCKET inputs share not all pairs are verified (each is compared to leaders and to neighbours), as such
a crowd is joined through its members.

It does not find paraphrases: see ``shingles``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.dataset.shingles import ShingleSets, jaccard, shingle_sets
from understudy.text.normalise import normalise_text

__all__ = ["BIG_BUCKET", "group_near_duplicates", "miss_probability"]

BIG_BUCKET = 24
_N_BANDS = 12
_ROWS = 4
_BATCH_CHARS = 4_000_000
_N_LEADERS = 6
_WINDOW = 3
_SIGNATURE_SLACK = 3.3
"""Standard errors below the threshold at which a signature still counts as alike: at .8, 29 of 48 values,
which a pair of similarity .8 misses with probability .0005."""
MAX_KEPT_SHINGLES = 150_000_000
"""Shingles kept in memory (600 MB); logs with more text recompute them for verification."""
_CHUNK_PAIRS = 100_000

I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]


def miss_probability(similarity: float) -> float:
    """Chance that a pair of this Jaccard similarity shares no band (and is missed unless joined through
    others).
    """
    return float((1.0 - similarity**_ROWS) ** _N_BANDS)


def group_near_duplicates(
    inputs: Sequence[InputParts],
    *,
    threshold: float = 0.8,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> tuple[I64, I64]:
    """Group inputs that are the same or nearly so.

    Parameters
    ----------
    inputs
        `n` inputs.
    threshold
        Jaccard similarity of shingle sets from which two inputs are near-duplicates, in (0, 1].
    seed
        Of the hash functions.
    progress
        Called with a phase and the share done.

    Returns
    -------
    exact, near
        Shape (n,) each: the index of the first input that is the same after normalisation, and the smallest
        index in the near-duplicate group.
    """
    texts, first_of, exact = _distinct(inputs)
    n_texts = len(texts)
    if n_texts < 2:
        return exact, exact.copy()
    search = _Search.of(texts, threshold, seed, progress)
    for band in range(_N_BANDS):
        search.join_band(band)
        if progress is not None:
            progress("near-duplicates", 0.5 + 0.5 * (band + 1) / _N_BANDS)
    smallest = np.full(n_texts, len(inputs), dtype=np.int64)
    np.minimum.at(smallest, search.component, first_of)
    index_of = np.searchsorted(first_of, exact)
    return exact, smallest[search.component][index_of]


def _distinct(inputs: Sequence[InputParts]) -> tuple[list[str], I64, I64]:
    """Distinct normalised texts in order of first sight, where each was seen first, and that per input."""
    import hashlib

    seen: dict[int, int] = {}
    texts: list[str] = []
    first_of: list[int] = []
    exact = np.empty(len(inputs), dtype=np.int64)
    for row, parts in enumerate(inputs):
        text = normalise_text(parts[0]) if len(parts) == 1 else "\x1f".join(map(normalise_text, parts))
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        key = int.from_bytes(digest, "little")
        first = seen.get(key)
        if first is None:
            first = seen[key] = row
            texts.append(text)
            first_of.append(row)
        exact[row] = first
    return texts, np.array(first_of, dtype=np.int64), exact


class _Sets:
    """Shingle sets of all texts: kept where they fit MAX_KEPT_SHINGLES, else recomputed when asked for."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._kept: list[ShingleSets] | None = []
        self._all: ShingleSets | None = None

    def keep(self, sets: ShingleSets) -> None:
        """Offer the sets of the next batch of texts."""
        if self._kept is None:
            return
        self._kept.append(sets)
        if sum(len(kept.hashes) for kept in self._kept) > MAX_KEPT_SHINGLES:
            self._kept = None

    def close(self) -> None:
        """After the last batch."""
        if self._kept is not None:
            self._all = _joined(self._kept)
            self._kept = None

    def jaccard(self, left: I64, right: I64) -> npt.NDArray[np.float64]:
        """Similarity of pairs of texts, shape (p,)."""
        if self._all is not None:
            return jaccard(self._all, left, right)
        out = np.empty(len(left), dtype=np.float64)
        for at in range(0, len(left), _CHUNK_PAIRS):
            here = slice(at, at + _CHUNK_PAIRS)
            which, inverse = np.unique(np.concatenate((left[here], right[here])), return_inverse=True)
            texts = [self._texts[int(index)] for index in which]
            sets = _joined([shingle_sets(batch) for batch in _batches(texts)])
            half = len(left[here])
            out[here] = jaccard(sets, inverse[:half], inverse[half:])
        return out


def _joined(parts: Sequence[ShingleSets]) -> ShingleSets:
    sizes = np.concatenate([part.sizes for part in parts])
    return ShingleSets(
        np.concatenate([part.hashes for part in parts]), np.concatenate(([0], np.cumsum(sizes)))
    )


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    batches, at, room = [], 0, 0
    for index, text in enumerate(texts):
        room += min(len(text), 20_000)
        if room > _BATCH_CHARS:
            batches.append(texts[at : index + 1])
            at, room = index + 1, 0
    if at < len(texts):
        batches.append(texts[at:])
    return batches


class _Search:
    """The state of one search.

    Attributes
    ----------
    signature
        MinHash values, shape (n, bands * rows).
    sets
        For verification.
    component
        Per text the number of its group so far, shape (n,).
    is_crowded
        Per text and band whether more than BIG_BUCKET texts share that band, shape (n, bands).
    """

    def __init__(self, signature: U32, sets: _Sets, threshold: float) -> None:
        self.signature, self.sets, self.threshold = signature, sets, threshold
        self.component = np.arange(len(signature), dtype=np.int64)
        self.is_crowded = np.zeros((len(signature), _N_BANDS), dtype=bool)

    @classmethod
    def of(
        cls, texts: Sequence[str], threshold: float, seed: int, progress: Callable[[str, float], None] | None
    ) -> _Search:
        """Compute signatures and, where they fit, keep the sets."""
        rng = np.random.default_rng(seed)
        n_hashes = _N_BANDS * _ROWS
        salts = rng.integers(0, 2**32, n_hashes, dtype=np.uint32)
        odds = rng.integers(0, 2**31, n_hashes, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
        signature = np.full((len(texts), n_hashes), np.uint32(0xFFFFFFFF))
        kept = _Sets(texts)
        done = 0
        for batch in _batches(texts):
            sets = shingle_sets(batch)
            kept.keep(sets)
            rows = np.flatnonzero(sets.sizes > 0)
            starts = sets.starts[:-1][rows]
            for at in range(n_hashes if len(rows) else 0):
                mixed = (sets.hashes ^ salts[at]) * odds[at]
                # Multiplication leaves low bits weak: fold high bits down before the minimum is taken.
                mixed ^= mixed >> np.uint32(15)
                mixed *= np.uint32(0x2C1B3C6D)
                signature[done + rows, at] = np.minimum.reduceat(mixed, starts)
            done += len(batch)
            if progress is not None:
                progress("near-duplicates", 0.5 * done / len(texts))
        kept.close()
        return cls(signature, kept, threshold)

    def join_band(self, band: int) -> None:
        """Verify and join what shares this band."""
        bands = self.signature[:, band * _ROWS : (band + 1) * _ROWS]
        key = np.zeros(len(bands), dtype=np.uint64)
        for column in range(bands.shape[1]):
            key = (key ^ bands[:, column]) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        edges = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
        starts, sizes = edges[:-1], np.diff(edges)
        is_big = sizes > BIG_BUCKET
        self.is_crowded[order, band] = np.repeat(is_big, sizes)
        for left, right in _all_pairs(order, starts, sizes):
            self._verify(left, right, band)
        self._join_big(order, starts[is_big], sizes[is_big])

    def _verify(self, left: I64, right: I64, band: int) -> None:
        """Join the pairs that are near-duplicates.

        Pairs already joined, or verified in an earlier band, cost next to nothing.
        """
        apart = self.component[left] != self.component[right]
        left, right = left[apart], right[apart]
        likely = np.empty(len(left), dtype=bool)
        for at in range(0, len(left), _CHUNK_PAIRS):
            here = slice(at, at + _CHUNK_PAIRS)
            likely[here] = self._is_likely(left[here], right[here], band)
        left, right = left[likely], right[likely]
        if not len(left):
            return
        is_near = self.sets.jaccard(left, right) >= self.threshold - 1e-12
        self._union(left[is_near], right[is_near])

    def _is_likely(self, left: I64, right: I64, band: int) -> npt.NDArray[np.bool_]:
        """Whether signatures are alike enough to count shingles, and no earlier band had the pair."""
        alike = self.signature[left] == self.signature[right]
        floor = (
            self.threshold
            - _SIGNATURE_SLACK * (self.threshold * (1 - self.threshold) / alike.shape[1]) ** 0.5
        )
        likely = alike.sum(axis=1) >= floor * alike.shape[1]
        if band:
            shared = alike.reshape(len(alike), _N_BANDS, _ROWS).all(axis=2)[:, :band]
            likely &= ~(shared & ~self.is_crowded[left, :band]).any(axis=1)
        return np.asarray(likely)

    def _union(self, left: I64, right: I64) -> None:
        if not len(left):
            return
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        size = len(self.component)
        ends = (self.component[left], self.component[right])
        graph = coo_matrix((np.ones(len(left), dtype=np.int8), ends), shape=(size, size))
        _, label = connected_components(graph, directed=False)
        self.component = np.asarray(label[self.component], dtype=np.int64)

    def _join_big(self, order: I64, starts: I64, sizes: I64) -> None:
        """Crowded buckets: each member against some leaders, then against its neighbours."""
        if not len(starts):
            return
        bucket = np.repeat(np.arange(len(starts)), sizes)
        offset = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        members = order[np.repeat(starts, sizes) + offset]
        is_open = np.ones(len(members), dtype=bool)
        for _ in range(_N_LEADERS):
            rows = np.flatnonzero(is_open)
            if not len(rows):
                return
            heads, first = np.unique(bucket[rows], return_index=True)
            leader = np.full(len(starts), -1, dtype=np.int64)
            leader[heads] = members[rows[first]]
            active = np.flatnonzero(leader[bucket] >= 0)
            self._verify(leader[bucket[active]], members[active], 0)
            is_led = np.zeros(len(members), dtype=bool)
            is_led[active] = self.component[members[active]] == self.component[leader[bucket[active]]]
            is_open &= ~is_led
        for step in range(1, _WINDOW + 1):
            same = bucket[step:] == bucket[:-step]
            self._verify(members[:-step][same], members[step:][same], 0)


def _all_pairs(order: I64, starts: I64, sizes: I64) -> Iterator[tuple[I64, I64]]:
    """Every pair within buckets of 2 to BIG_BUCKET members, in chunks."""
    for size in range(2, BIG_BUCKET + 1):
        heads = starts[sizes == size]
        one, two = np.triu_indices(size, k=1)
        step = max(1, 2_000_000 // len(one))
        for at in range(0, len(heads), step):
            members = order[heads[at : at + step, None] + np.arange(size)]
            yield members[:, one].ravel(), members[:, two].ravel()
