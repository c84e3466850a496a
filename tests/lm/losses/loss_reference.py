"""The losses' formulas in numpy and float64, written from the papers and not from the code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float64]


def softmax(logits: Array, temperature: float = 1.0) -> Array:
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    risen = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(risen / risen.sum(axis=-1, keepdims=True))


def kl(a: Array, b: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(a > 0, a * (np.log(a) - np.log(b)), 0.0)
    return np.asarray(terms.sum(axis=-1))


def divergence(name: str, p: Array, q: Array, weight: float | None = None) -> Array:
    """Per position; `p` is the teacher."""
    if name == "forward_kl":
        return kl(p, q)
    if name == "reverse_kl":
        return kl(q, p)
    assert weight is not None
    if name == "jensen_shannon":
        middle = weight * p + (1 - weight) * q
        return weight * kl(p, middle) + (1 - weight) * kl(q, middle)
    if name == "skewed_kl":
        return kl(p, weight * p + (1 - weight) * q)
    assert name == "skewed_reverse_kl"
    return kl(q, (1 - weight) * p + weight * q)


def draw(seed: int, *shape: int, scale: float = 3.0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    values = np.random.default_rng(seed).normal(size=shape) * scale
    return torch.from_numpy(values).to(dtype)
