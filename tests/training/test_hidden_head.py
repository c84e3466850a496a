from __future__ import annotations

import numpy as np
import pytest

from understudy.training import hidden_head
from understudy.training.hidden_head import HeadTargets, fit_hidden_head, prefers_hidden


def corners(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Exclusive or of two signs: nothing that a linear head can tell apart."""
    random = np.random.default_rng(seed)
    signs = random.integers(0, 2, (count, 2))
    features = (
        np.hstack((2.0 * signs - 1.0, np.zeros((count, 4)))) + 0.2 * random.normal(size=(count, 6)) + 3.0
    )
    return features.astype(np.float32), signs[:, 0] ^ signs[:, 1]


def as_field(codes: np.ndarray, n_classes: int = 2) -> HeadTargets:
    return HeadTargets(np.arange(len(codes)), np.eye(n_classes)[codes], "softmax")


def test_it_learns_what_no_linear_head_can() -> None:
    features, codes = corners(600)
    head = fit_hidden_head(features, [as_field(codes)], np.ones(600), seed=0)
    other, truth = corners(400, seed=1)
    assert (head.logits(other).argmax(axis=1) == truth).mean() > 0.95


def test_equal_seeds_give_equal_bits_and_leave_the_global_seed_alone() -> None:
    import torch

    features, codes = corners(200)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, two = (fit_hidden_head(features, [as_field(codes)], np.ones(200), seed=3) for _ in range(2))
    assert (one.inner.weights == two.inner.weights).all()
    assert (one.outer.bias == two.outer.bias).all()
    assert (torch.rand(3) == expected).all()


def test_fields_share_the_layer_and_unknown_rows_do_not_teach() -> None:
    features, codes = corners(600)
    known = np.arange(0, 600, 2)
    labels = HeadTargets(known, np.stack((codes, 1 - codes), axis=1)[known].astype(float), "sigmoid")
    head = fit_hidden_head(features, [as_field(codes * 2, 4), labels], np.ones(600), seed=0)
    said = head.logits(features)
    assert said.shape == (600, 6)
    assert (said[:, :4].argmax(axis=1) == codes * 2).mean() > 0.95
    assert ((said[:, 4] > 0) == (codes == 1)).mean() > 0.95
    # Classes that no row asks for are never answered.
    assert said[:, [1, 3]].max() < said[:, [0, 2]].max(axis=1).min() - 10


def test_rows_without_weight_do_not_teach() -> None:
    features, codes = corners(600)
    lies = np.concatenate((codes, 1 - codes))
    weights = np.concatenate((np.ones(600), np.zeros(600)))
    head = fit_hidden_head(np.concatenate((features, features)), [as_field(lies)], weights, seed=0)
    assert (head.logits(features).argmax(axis=1) == codes).mean() > 0.95


def test_held_out_rows_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    features, codes = corners(600)
    assert not prefers_hidden(features, [as_field(codes)], np.ones(600), seed=0)  # too few rows to ask
    monkeypatch.setattr(hidden_head, "_LEAST_ROWS", 500)
    assert prefers_hidden(features, [as_field(codes)], np.ones(600), seed=0)
    # Where the truth is linear and noisy, a hidden layer has nothing to add but noise of its own.
    random = np.random.default_rng(2)
    plain = random.normal(size=(600, 6)).astype(np.float32)
    noisy = (plain[:, 0] + 1.5 * random.normal(size=600) > 0).astype(int)
    assert not prefers_hidden(plain, [as_field(noisy)], np.ones(600), seed=0)
