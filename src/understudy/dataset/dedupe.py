"""Groups of near-duplicate inputs, so that none straddles a split.

Inputs equal after normalisation are one. Among the rest, pairs that share a band of MinHash values (Broder 1997;
banding: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3) are verified by the Jaccard
similarity of their shingle sets; verified pairs are joined, and groups are the transitive closure.

A pair of similarity s shares none of the b bands of r values with probability (1 - s**r)**b: below .2 % at the
default threshold of .8, less above. In a band that more than BIG_BUCKET inputs share not all pairs are verified
(each is compared to leaders and to neighbours), as such a crowd is joined through its members.

It does not find paraphrases: see ``shingles``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
_SIGNATURE_SLACK = 4.0  # standard errors of the signature's estimate below the threshold

I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]


def miss_probability(similarity: float) -> float:
    """Chance that a pair of this Jaccard similarity shares no band (and is missed unless joined through others)."""
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
    signature, sets_of = _signatures(texts, seed, progress)
    component = np.arange(n_texts, dtype=np.int64)
    for band in range(_N_BANDS):
        bands = signature[:, band * _ROWS : (band + 1) * _ROWS]
        component = _join_band(bands, signature, sets_of, component, threshold)
        if progress is not None:
            progress("near-duplicates", 0.5 + 0.5 * (band + 1) / _N_BANDS)
    smallest = np.full(n_texts, len(inputs), dtype=np.int64)
    np.minimum.at(smallest, component, first_of)
    index_of = np.searchsorted(first_of, exact)
    return exact, smallest[component][index_of]


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


class _SetsOnDemand:
    """Shingle sets of some texts: recomputed when asked for, which bounds memory by the batch."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def jaccard(self, left: I64, right: I64) -> npt.NDArray[np.float64]:
        out = np.empty(len(left), dtype=np.float64)
        chunk = 50_000
        for at in range(0, len(left), chunk):
            here = slice(at, at + chunk)
            which, inverse = np.unique(np.concatenate((left[here], right[here])), return_inverse=True)
            sets = _sets([self._texts[int(index)] for index in which])
            half = len(left[here])
            out[here] = jaccard(sets, inverse[:half], inverse[half:])
        return out


def _sets(texts: Sequence[str]) -> ShingleSets:
    """Shingle sets of any number of texts, built in batches of bounded length."""
    hashes, sizes = [], []
    for batch in _batches(texts):
        sets = shingle_sets(batch)
        hashes.append(sets.hashes)
        sizes.append(sets.sizes)
    starts = np.concatenate(([0], np.cumsum(np.concatenate(sizes))))
    return ShingleSets(np.concatenate(hashes), starts)


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


def _signatures(
    texts: Sequence[str], seed: int, progress: Callable[[str, float], None] | None
) -> tuple[U32, _SetsOnDemand]:
    """MinHash values, shape (n, bands * rows)."""
    rng = np.random.default_rng(seed)
    n_hashes = _N_BANDS * _ROWS
    salts = rng.integers(0, 2**32, n_hashes, dtype=np.uint32)
    odds = rng.integers(0, 2**31, n_hashes, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    signature = np.full((len(texts), n_hashes), np.uint32(0xFFFFFFFF))
    done = 0
    for batch in _batches(texts):
        sets = shingle_sets(batch)
        rows = np.flatnonzero(sets.sizes > 0)
        starts = sets.starts[:-1][rows]
        for at in range(n_hashes):
            mixed = (sets.hashes ^ salts[at]) * odds[at]
            # Multiplication leaves low bits weak; the fold brings high bits down before the minimum is taken.
            mixed ^= mixed >> np.uint32(15)
            mixed *= np.uint32(0x2C1B3C6D)
            if len(rows):
                signature[done + rows, at] = np.minimum.reduceat(mixed, starts)
        done += len(batch)
        if progress is not None:
            progress("near-duplicates", 0.5 * done / len(texts))
    return signature, _SetsOnDemand(texts)


def _join_band(
    bands: U32, signature: U32, sets_of: _SetsOnDemand, component: I64, threshold: float
) -> I64:
    """Components after verifying what shares this band."""
    key = np.zeros(len(bands), dtype=np.uint64)
    for column in range(bands.shape[1]):
        key = (key ^ bands[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    edges = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
    starts, sizes = edges[:-1], np.diff(edges)
    left, right = _all_pairs(order, starts, sizes)
    component = _verify(left, right, signature, sets_of, component, threshold)
    is_big = sizes > BIG_BUCKET
    return _join_big(order, starts[is_big], sizes[is_big], signature, sets_of, component, threshold)


def _all_pairs(order: I64, starts: I64, sizes: I64) -> tuple[I64, I64]:
    """Every pair within buckets of 2 to BIG_BUCKET members."""
    lefts, rights = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for size in range(2, BIG_BUCKET + 1):
        heads = starts[sizes == size]
        if not len(heads):
            continue
        members = order[heads[:, None] + np.arange(size)]
        one, two = np.triu_indices(size, k=1)
        lefts.append(members[:, one].ravel())
        rights.append(members[:, two].ravel())
    return np.concatenate(lefts), np.concatenate(rights)


def _verify(
    left: I64, right: I64, signature: U32, sets_of: _SetsOnDemand, component: I64, threshold: float
) -> I64:
    """Join the pairs that are near-duplicates; pairs already joined cost nothing."""
    apart = component[left] != component[right]
    left, right = left[apart], right[apart]
    if not len(left):
        return component
    n_hashes = signature.shape[1]
    error = (threshold * (1 - threshold) / n_hashes) ** 0.5
    floor = (threshold - _SIGNATURE_SLACK * error) * n_hashes
    likely = np.empty(len(left), dtype=bool)
    for at in range(0, len(left), 100_000):
        here = slice(at, at + 100_000)
        likely[here] = (signature[left[here]] == signature[right[here]]).sum(axis=1) >= floor
    left, right = left[likely], right[likely]
    is_near = sets_of.jaccard(left, right) >= threshold - 1e-12
    return _union(component, left[is_near], right[is_near])


def _union(component: I64, left: I64, right: I64) -> I64:
    if not len(left):
        return component
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(component)
    graph = coo_matrix(
        (np.ones(len(left), dtype=np.int8), (component[left], component[right])), shape=(size, size)
    )
    _, label = connected_components(graph, directed=False)
    return np.asarray(label[component], dtype=np.int64)


def _join_big(
    order: I64,
    starts: I64,
    sizes: I64,
    signature: U32,
    sets_of: _SetsOnDemand,
    component: I64,
    threshold: float,
) -> I64:
    """Crowded buckets: each member against some leaders, then against its neighbours."""
    if not len(starts):
        return component
    bucket = np.repeat(np.arange(len(starts)), sizes)
    offset = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    members = order[np.repeat(starts, sizes) + offset]
    is_open = np.ones(len(members), dtype=bool)
    for _ in range(_N_LEADERS):
        rows = np.flatnonzero(is_open)
        if not len(rows):
            return component
        heads, first = np.unique(bucket[rows], return_index=True)
        leader = np.full(len(starts), -1, dtype=np.int64)
        leader[heads] = members[rows[first]]
        active = np.flatnonzero(leader[bucket] >= 0)
        component = _verify(leader[bucket[active]], members[active], signature, sets_of, component, threshold)
        is_led = np.zeros(len(members), dtype=bool)
        is_led[active] = component[members[active]] == component[leader[bucket[active]]]
        is_open &= ~is_led
    for step in range(1, _WINDOW + 1):
        same = bucket[step:] == bucket[:-step]
        component = _verify(
            members[:-step][same], members[step:][same], signature, sets_of, component, threshold
        )
    return component
