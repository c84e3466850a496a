"""Texts to hashed n-gram counts, for a whole batch at once, in numpy alone.

Word 1- and 2-grams and character 3- to 5-grams (inside white-space-delimited words, with a space on either side) are
hashed into 2**BUCKET_BITS buckets. Scripts without spaces work: each Chinese, Japanese or Korean character counts
as a word. All arithmetic is on integers, so that a text's features do not depend on its batch or the machine.

It does not know labels, weights or which buckets matter.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["BUCKET_BITS", "NgramCounts", "count_ngrams", "fold_text"]

BUCKET_BITS = 20
MAX_CHARS = 20_000
"""Characters of a part that are read; the rest of a longer text adds nothing to a bag of n-grams."""

_PRIME = 0x9E3779B97F4A7C15  # odd, hence invertible modulo 2**64
_INVERSE = pow(_PRIME, -1, 2**64)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SPACE, _WORD, _SINGLE, _OTHER = 0, 1, 2, 3
_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF))

InputParts = tuple[str, ...]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NgramCounts:
    """Sparse counts of a batch, sorted by text, then by bucket.

    Attributes
    ----------
    texts
        Row (text) index per entry, shape (m,), ascending.
    buckets
        Bucket per entry, shape (m,), ascending within a text.
    counts
        How often, shape (m,).
    n_texts
        Number of texts.
    """

    texts: I64
    buckets: I64
    counts: I64
    n_texts: int


def fold_text(text: str) -> str:
    """NFKC, case folding, white space folded to single spaces: the form that n-grams are taken from."""
    return " ".join(unicodedata.normalize("NFKC", text[:MAX_CHARS]).casefold().split())


@lru_cache(maxsize=1)
def _classes() -> npt.NDArray[np.uint8]:
    """Class per code point of the basic plane; one more entry stands for all beyond it."""
    table = np.full(0x10001, _OTHER, dtype=np.uint8)
    for code in range(0x10000):
        char = chr(code)
        if char.isalnum():
            table[code] = _WORD
        elif char.isspace() or code == 0:
            table[code] = _SPACE
    for first, last in _UNSPACED:
        table[first : last + 1] = _SINGLE
    return table


@lru_cache(maxsize=4)
def _powers(length: int) -> tuple[U64, U64]:
    """PRIME**i and PRIME**-i modulo 2**64 for i < length."""
    forward = np.full(length, _PRIME, dtype=np.uint64)
    back = np.full(length, _INVERSE, dtype=np.uint64)
    forward[0] = back[0] = 1
    return np.cumprod(forward, dtype=np.uint64), np.cumprod(back, dtype=np.uint64)


def _salt(kind: int) -> np.uint64:
    return np.uint64((kind * 0xD6E8FEB86659FD93) % 2**64)


def _mix(hashes: U64) -> U64:
    """Finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    mixed = (hashes ^ (hashes >> _SHIFTS[0])) * _FACTORS[0]
    mixed = (mixed ^ (mixed >> _SHIFTS[1])) * _FACTORS[1]
    return np.asarray(mixed ^ (mixed >> _SHIFTS[2]), dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch of texts laid end to end, each with a space before and after."""

    codes: U64
    classes: npt.NDArray[np.uint8]
    owner: I64  # text index per character
    prefix: U64  # polynomial prefix sums: prefix[i] = sum of codes[j] * PRIME**j for j < i
    back: U64

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Batch:
        padded = [f" {fold_text(text)} " for text in texts]
        joined = "".join(padded)
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        lengths = np.fromiter((len(text) for text in padded), dtype=np.int64, count=len(padded))
        classes = _classes()[np.minimum(codes, 0x10000)]
        # Powers are cached by rounded length: a fresh table per batch would cost more than the hashing.
        room = 1 << max(10, len(codes).bit_length())
        forward, back = _powers(room)
        wide = codes.astype(np.uint64) + np.uint64(1)
        prefix = np.zeros(len(codes) + 1, dtype=np.uint64)
        np.cumsum(wide * forward[: len(codes)], out=prefix[1:])
        return cls(wide, classes, np.repeat(np.arange(len(padded)), lengths), prefix, back)

    def substring(self, starts: I64, ends: I64) -> U64:
        """Hash of the characters [start, end), the same wherever the text stands in the batch."""
        return np.asarray((self.prefix[ends] - self.prefix[starts]) * self.back[starts], dtype=np.uint64)

    def words(self) -> tuple[I64, U64]:
        """Owner and hash of each word, in order."""
        is_word = self.classes == _WORD
        is_single = self.classes == _SINGLE
        before = np.empty_like(is_word)
        before[0], before[1:] = False, is_word[:-1]
        after = np.empty_like(is_word)
        after[-1], after[:-1] = False, is_word[1:]
        starts = ((is_word & ~before) | is_single).nonzero()[0]
        ends = ((is_word & ~after) | is_single).nonzero()[0] + 1
        return self.owner[starts], self.substring(starts, ends)


Hashed = tuple[I64, U64]
"""Owner and salted hash per n-gram, not yet mixed."""


def _char_ngrams(batch: _Batch) -> list[Hashed]:
    out = []
    spaces = np.zeros(len(batch.codes) + 1, dtype=np.int64)
    np.cumsum(batch.classes == _SPACE, out=spaces[1:])
    for size in (3, 4, 5):
        last = len(batch.codes) - size + 1
        if last <= 0:
            continue
        # No space strictly inside: an n-gram may start or end with one but never span two words.
        is_inside = spaces[size - 1 : last + size - 1] == spaces[1 : last + 1]
        hashes = (batch.prefix[size : last + size] - batch.prefix[:last]) * batch.back[:last]
        out.append((batch.owner[:last][is_inside], hashes[is_inside] ^ _salt(size)))
    return out


def _word_ngrams(owner: I64, words: U64) -> list[Hashed]:
    pairs = (owner[:-1] == owner[1:]).nonzero()[0]
    twos = words[pairs] * np.uint64(_PRIME) + words[pairs + 1]
    return [(owner, words ^ _salt(1)), (owner[pairs], twos ^ _salt(2))]


def _shared_words(first: Hashed, second: Hashed) -> list[Hashed]:
    """Words of the second part marked by whether the first part of the same input holds them too."""
    left = _mix(first[1] ^ _mix(first[0].astype(np.uint64) ^ _salt(11)))
    right = _mix(second[1] ^ _mix(second[0].astype(np.uint64) ^ _salt(11)))
    is_shared = np.isin(right, left).astype(np.uint64)
    return [(second[0], _mix(second[1] ^ _salt(13)) + is_shared), (second[0], is_shared ^ _salt(14))]


def count_ngrams(inputs: Sequence[InputParts]) -> NgramCounts:
    """Count the hashed n-grams of a batch.

    Parameters
    ----------
    inputs
        `n` tuples of texts, all of the same length. Parts after the first get features of their own, plus, for
        pairs, which words the second shares with the first.

    Returns
    -------
    NgramCounts
        Sparse counts; a text's entries are the same in every batch.
    """
    found: list[Hashed] = []
    words: list[Hashed] = []
    for part in range(len(inputs[0]) if inputs else 0):
        batch = _Batch.of([texts[part] for texts in inputs])
        words.append(batch.words())
        own = [*_char_ngrams(batch), *_word_ngrams(*words[-1])]
        found += [(owner, _mix(hashes ^ _salt(100 + part))) for owner, hashes in own] if part else own
    if len(words) == 2:
        found += _shared_words(words[0], words[1])
    if not found:
        empty = np.empty(0, dtype=np.int64)
        return NgramCounts(empty, empty, empty, len(inputs))
    hashes = _mix(np.concatenate([one for _, one in found]))
    buckets = (hashes >> np.uint64(64 - BUCKET_BITS)).view(np.int64)
    keys = (
        buckets
        if len(inputs) == 1
        else (np.concatenate([owner for owner, _ in found]) << BUCKET_BITS) | buckets
    )
    keys.sort()
    is_first = np.empty(len(keys), dtype=np.bool_)
    is_first[:1], is_first[1:] = True, keys[1:] != keys[:-1]
    firsts = is_first.nonzero()[0]
    counts = np.empty(len(firsts), dtype=np.int64)
    counts[:-1], counts[-1:] = firsts[1:] - firsts[:-1], len(keys) - firsts[-1:]
    unique = keys[firsts]
    return NgramCounts(unique >> BUCKET_BITS, unique & ((1 << BUCKET_BITS) - 1), counts, len(inputs))
