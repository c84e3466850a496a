"""Which inputs are most worth a teacher's answer: those that the student is least sure of, unlike one another.

One rule: of the 4 N inputs with the lowest confidence (of all, where there is no student yet) N are taken one
after another, each the farthest from those taken before (farthest-first: Gonzalez 1985; uncertain candidates
first, diverse ones among them: Zhdanov 2019, "Diverse mini-batch active learning"). Distance is the angle between
counts of hashed n-grams, folded to 256 dimensions; copies are never taken twice.

What is picked is no fair sample of the traffic: it trains, it must not certify. The rule sees words, not meaning,
and likes odd texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.errors import ConfigError, DataError
from understudy.text.ngrams import count_ngrams

__all__ = ["pick_rows", "student_confidence"]

_CANDIDATES_PER_PICK = 4
_MOST_CANDIDATES = 50_000
"""Where there is no student, a seeded sample of so many stands for all: time grows with candidates times picks."""
_DIMENSIONS = 256
_BATCH = 1024
_SAME = 1e-4
"""Squared chord length below which two inputs count as copies."""

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def student_confidence(folder: Path, inputs: Sequence[str | Mapping[str, Any]]) -> F64:
    """How sure an artefact is of each input, shape (n,), in [0, 1].

    Raises
    ------
    ConfigError
        If the artefact is for inputs of another form.
    """
    from understudy.runtime.answer import load

    model = load(folder)
    out: list[float] = []
    try:
        for at in range(0, len(inputs), _BATCH):
            out += [answer.confidence for answer in model.answer_batch(inputs[at : at + _BATCH])]
    except DataError as error:
        raise ConfigError(
            "the artefact is for inputs of another form",
            given=f"{folder}: {error.what}",
            todo="give the artefact of this task, or pick without --artefact",
        ) from error
    return np.array(out, dtype=np.float64)


def pick_rows(
    inputs: Sequence[InputParts], count: int, *, confidence: F64 | None = None, seed: int = 0
) -> list[int]:
    """Rows of the inputs to label, ascending.

    Parameters
    ----------
    inputs
        `n` inputs.
    count
        How many to pick; fewer come back where there are fewer different ones.
    confidence
        The student's, shape (n,), or ``None`` where there is no student.
    seed
        Decides between equals, and where to begin without a student.
    """
    order = np.array([_draw(parts, seed) for parts in inputs], dtype=np.uint64)
    if confidence is None:
        rows = np.argsort(order, kind="stable")[: max(_MOST_CANDIDATES, _CANDIDATES_PER_PICK * count)]
    else:
        rows = np.lexsort((order, confidence))[: _CANDIDATES_PER_PICK * count]
    if not len(rows):
        return []
    vectors = _vectors([inputs[int(row)] for row in rows])
    return sorted(int(rows[at]) for at in _farthest_first(vectors, count))


def _draw(parts: InputParts, seed: int) -> int:
    """64 bits by input and seed: the same wherever the input stands in the file."""
    text = "\x1f".join((str(seed), *parts))
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )


def _vectors(inputs: Sequence[InputParts]) -> F32:
    """Unit vectors of folded n-gram counts, shape (n, dimensions)."""
    out = np.zeros((len(inputs), _DIMENSIONS), dtype=np.float32)
    for at in range(0, len(inputs), _BATCH):
        counted = count_ngrams(inputs[at : at + _BATCH])
        mixed = counted.buckets.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        column = (mixed >> np.uint64(56)).astype(np.int64)  # 8 bits: one of 256
        sign = np.where((mixed >> np.uint64(55)) & np.uint64(1), 1.0, -1.0)
        np.add.at(out, (at + counted.texts, column), (sign * np.log1p(counted.counts)).astype(np.float32))
    norms = np.linalg.norm(out, axis=1, keepdims=True)
    return np.asarray(out / np.maximum(norms, 1e-12), dtype=np.float32)


def _farthest_first(vectors: F32, count: int) -> list[int]:
    """Indices of up to `count` vectors, the first one first; stops where only copies are left."""
    taken = [0]
    distance = 2.0 - 2.0 * (vectors @ vectors[0])
    while len(taken) < count:
        farthest = int(np.argmax(distance))
        if distance[farthest] < _SAME:
            break
        taken.append(farthest)
        np.minimum(distance, 2.0 - 2.0 * (vectors @ vectors[farthest]), out=distance)
    return taken
