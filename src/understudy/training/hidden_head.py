"""A head with one hidden layer on fixed features, shared by all fields that pick from a list.

A linear head sees each feature apart; one hidden layer sees them together, which pays once there are rows enough
to learn it from (:func:`prefers_hidden` asks held-out rows). It does not know `regress`: numbers keep their ridge
regression.

Shapes: n rows, d features, h hidden units, k columns of a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.training.linear_head import (
    ABSENT_LOGIT,
    Float32,
    Float64,
    LinearHead,
    Link,
    choose_strength,
    fit_linear_head,
    heated_loss,
)

__all__ = ["HeadTargets", "HiddenHead", "fit_hidden_head", "prefers_hidden"]

WIDTH = 384
_LEAST_ROWS = 4_000
_MOST_TRIAL_ROWS = 20_000
_BATCH = (16, 256)
_EPOCHS = 20
_STEPS = (400, 4_000)
_RATE, _DECAY = 3e-3, 0.01
_INPUT_DROPOUT, _HIDDEN_DROPOUT = 0.3, 0.5
_SMOOTHING = 0.05


@dataclass(frozen=True, slots=True)
class HeadTargets:
    """What one field teaches.

    Attributes
    ----------
    rows
        Known rows, shape (m,).
    wanted
        Probabilities, shape (m, k); see :func:`~understudy.training.linear_head.fit_linear_head`.
    link
        ``softmax`` or ``sigmoid``.
    """

    rows: npt.NDArray[np.int64]
    wanted: Float64
    link: Link

    def within(self, chosen: npt.NDArray[np.bool_]) -> HeadTargets:
        """The known rows among `chosen` (n,)."""
        kept = chosen[self.rows]
        return HeadTargets(self.rows[kept], self.wanted[kept], self.link)


@dataclass(frozen=True, slots=True)
class HiddenHead:
    """``outer`` (all fields' columns, h) on the GELU of ``inner`` (h, d)."""

    inner: LinearHead
    outer: LinearHead

    def hidden(self, features: Float32) -> Float32:
        """Shape (n, d) to (n, h)."""
        from scipy.special import erf

        logits = self.inner.logits(features)
        return np.asarray(0.5 * logits * (1.0 + erf(logits / np.sqrt(2.0))), dtype=np.float32)

    def logits(self, features: Float32) -> Float64:
        """Shape (n, d) to (n, all k)."""
        return self.outer.logits(self.hidden(features))


def fit_hidden_head(
    features: Float32, fields: Sequence[HeadTargets], row_weights: Float64, *, seed: int
) -> HiddenHead:
    """Train the head: AdamW, one cycle of the learning rate, dropout, smoothed targets.

    Parameters
    ----------
    features, row_weights
        Shapes (n, d) and (n,).
    fields
        One per field; a column that no row asks for keeps a bias that makes its probability vanish.
    seed
        Of weights, order and dropout.
    """
    import torch

    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    # One scale for all features: scaling each by its own spread was no better, and rounds worse to int8.
    spread = float(np.sqrt(np.square(features - centre, dtype=np.float64).mean())) or 1.0
    given = torch.from_numpy((features - centre) / np.float32(spread))
    losses = [_FieldLoss(field, row_weights, len(features)) for field in fields]
    n_columns = sum(field.wanted.shape[1] for field in fields)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = torch.nn.Sequential(
            torch.nn.Dropout(_INPUT_DROPOUT),
            torch.nn.Linear(features.shape[1], WIDTH),
            torch.nn.GELU(),
            torch.nn.Dropout(_HIDDEN_DROPOUT),
            torch.nn.Linear(WIDTH, n_columns),
        )
        _train(network, given, losses)
    state = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    inner, outer = (LinearHead(state[f"{at}.weight"], state[f"{at}.bias"]) for at in (1, 4))
    weights = inner.weights / np.float32(spread)
    inner = LinearHead(weights, inner.bias - weights @ centre)
    # A classify column without mass would else be as likely as training noise left it.
    empty = np.concatenate(
        [
            (field.wanted.sum(axis=0) <= 0)
            if field.link == "softmax"
            else np.zeros(field.wanted.shape[1], bool)
            for field in fields
        ]
    )
    outer.weights[empty], outer.bias[empty] = 0.0, ABSENT_LOGIT
    return HiddenHead(inner, outer)


def _train(network: Any, given: Any, losses: Sequence[_FieldLoss]) -> None:
    import torch

    count = len(given)
    batch = int(np.clip(count // 16, *_BATCH))
    steps = int(np.clip(_EPOCHS * count // batch, *_STEPS))
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps, pct_start=0.1)
    order, at = torch.randperm(count), 0
    for _ in range(steps):
        if at + batch > count:
            order, at = torch.randperm(count), 0
        rows = order[at : at + batch]
        at += batch
        columns, first = network(given[rows]), 0
        total = columns.new_zeros(())
        for loss in losses:
            total = total + loss(columns[:, first : first + loss.width], rows)
            first += loss.width
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()
        schedule.step()
    network.eval()


class _FieldLoss:
    """Mean cross-entropy of one field over the rows of a batch that know it."""

    def __init__(self, field: HeadTargets, row_weights: Float64, count: int) -> None:
        import torch

        self.width = field.wanted.shape[1]
        self._is_softmax = field.link == "softmax"
        wanted = np.zeros((count, self.width), dtype=np.float32)
        smooth = field.wanted
        if self._is_softmax:
            used = field.wanted.sum(axis=0) > 0
            smooth = (1 - _SMOOTHING) * smooth + _SMOOTHING * used / max(int(used.sum()), 1)
        wanted[field.rows] = smooth
        weights = np.zeros(count, dtype=np.float32)
        weights[field.rows] = row_weights[field.rows]
        self._wanted, self._weights = torch.from_numpy(wanted), torch.from_numpy(weights)

    def __call__(self, logits: Any, rows: Any) -> Any:
        from torch.nn import functional

        wanted, weights = self._wanted[rows], self._weights[rows]
        if self._is_softmax:
            losses = -(wanted * functional.log_softmax(logits, dim=1)).sum(dim=1)
        else:
            losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=1)
        return (losses * weights).sum() / weights.sum().clamp_min(1e-9)


def prefers_hidden(
    features: Float32, fields: Sequence[HeadTargets], row_weights: Float64, *, seed: int
) -> bool:
    """Whether a hidden layer loses less than linear heads on a held-out quarter of (at most 20,000) rows.

    Below 4,000 rows it is not asked: on four data sets neither was clearly better there
    (docs/decisions/0003-encoder-students.md). Losses are
    taken at each head's best temperature, as probabilities are calibrated later anyway.
    """
    if len(features) < _LEAST_ROWS:
        return False
    order = np.random.default_rng(seed).permutation(len(features))[:_MOST_TRIAL_ROWS]
    held, learnt = (np.zeros(len(features), dtype=np.bool_) for _ in range(2))
    held[order[: len(order) // 4]], learnt[order[len(order) // 4 :]] = True, True
    fit, judge = [field.within(learnt) for field in fields], [field.within(held) for field in fields]
    if any(not len(one.rows) for one in (*fit, *judge)):
        return False
    linear = 0.0
    for one, other in zip(fit, judge, strict=True):
        own, weights = features[one.rows], row_weights[one.rows]
        strength = choose_strength(own, one.wanted, weights, link=one.link, seed=seed)
        head = fit_linear_head(own, one.wanted, weights, link=one.link, strength=strength)
        linear += heated_loss(
            head.logits(features[other.rows]), other.wanted, row_weights[other.rows], one.link
        )
    rows = np.flatnonzero(learnt)
    place = np.cumsum(learnt) - 1
    moved = [HeadTargets(place[one.rows], one.wanted, one.link) for one in fit]
    both = fit_hidden_head(features[rows], moved, row_weights[rows], seed=seed)
    hidden, first = 0.0, 0
    for other in judge:
        last = first + other.wanted.shape[1]
        logits = both.logits(features[other.rows])[:, first:last]
        hidden += heated_loss(logits, other.wanted, row_weights[other.rows], other.link)
        first = last
    return hidden < linear
