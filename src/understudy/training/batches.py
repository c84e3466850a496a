"""Batches of rows of similar length, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from understudy.runtime.tokens import Tokenised

__all__ = ["epoch_batches", "pad_batch"]

_POOL_BATCHES = 50


def epoch_batches(
    lengths: npt.NDArray[np.int64], batch_size: int, seed: int, epoch: int
) -> list[npt.NDArray[np.int64]]:
    """Row numbers of each batch of an epoch.

    Rows are shuffled, sorted by length within pools of 50 batches (so that little is padding), and the
    batches shuffled again.
    """
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(len(lengths))
    pool = batch_size * _POOL_BATCHES
    batches: list[npt.NDArray[np.int64]] = []
    for at in range(0, len(order), pool):
        rows = order[at : at + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [batches[at] for at in random.permutation(len(batches))]


def pad_batch(
    tokens: Sequence[Tokenised], pad_id: int, device: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, types and mask of a batch, shape (b, longest) each, int64."""
    longest = max(len(one.ids) for one in tokens)
    ids = np.full((len(tokens), longest), pad_id, dtype=np.int64)
    types = np.zeros_like(ids)
    mask = np.zeros_like(ids)
    for at, one in enumerate(tokens):
        count = len(one.ids)
        ids[at, :count], types[at, :count], mask[at, :count] = one.ids, one.types, 1
    made = [torch.from_numpy(array).to(device) for array in (ids, types, mask)]
    return made[0], made[1], made[2]
