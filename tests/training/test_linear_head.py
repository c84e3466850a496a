from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from understudy.training.linear_head import choose_strength, fit_linear_head, fit_ridge_head


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    codes = random.integers(0, 3, 300)
    features = random.normal(size=(300, 6)) + 1.2 * np.eye(6)[codes] + 5.0
    return features.astype(np.float32), codes


def test_the_head_is_the_one_scikit_learn_finds(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    features, codes = blobs
    weights = np.random.default_rng(1).uniform(0.5, 2, 300)
    head = fit_linear_head(features, np.eye(3)[codes], weights, link="softmax", strength=3.0)
    # In float64: on some processors the peer stops early, off by .01, when it is given float32.
    peer = LogisticRegression(C=3.0, tol=1e-10, max_iter=50_000)
    peer.fit(features.astype(np.float64), codes, sample_weight=weights)
    grown = np.exp(head.logits(features))
    ours = grown / grown.sum(axis=1, keepdims=True)
    assert np.abs(ours - peer.predict_proba(features)).max() < 3e-3


def test_a_class_that_is_never_asked_for_is_never_answered(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    features, codes = blobs
    targets = np.eye(5)[codes * 2]
    head = fit_linear_head(features, targets, np.ones(300), link="softmax", strength=3.0)
    logits = head.logits(features)
    assert set(logits.argmax(axis=1)) <= {0, 2, 4}
    assert (logits[:, [1, 3]].max(axis=1) < logits.max(axis=1) - 10).all()


def test_soft_targets_are_matched(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    features, codes = blobs
    soft = 0.6 * np.eye(3)[codes] + 0.4 / 3
    head = fit_linear_head(features, soft, np.ones(300), link="softmax", strength=3.0)
    grown = np.exp(head.logits(features))
    assert (grown / grown.sum(axis=1, keepdims=True)).max() < 0.9


def test_one_row_and_one_class() -> None:
    features = np.ones((1, 4), dtype=np.float32)
    head = fit_linear_head(features, np.array([[0.0, 1.0]]), np.ones(1), link="softmax", strength=1.0)
    assert head.logits(features).argmax() == 1
    assert choose_strength(features, np.array([[0.0, 1.0]]), np.ones(1), link="softmax", seed=0) > 0


def test_labels_are_fitted_apart(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    features, codes = blobs
    targets = np.stack([codes == 0, codes != 2, np.zeros(300)], axis=1).astype(float)
    head = fit_linear_head(features, targets, np.ones(300), link="sigmoid", strength=3.0)
    said = head.logits(features) > 0
    assert (said[:, 0] == (codes == 0)).mean() > 0.75
    assert not said[:, 2].any()


def test_ridge_reports_errors_on_rows_it_did_not_see() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(200, 5)).astype(np.float32)
    values = features[:, 0] + 0.1 * random.normal(size=200)
    head, errors = fit_ridge_head(features, values, np.ones(200), seed=0)
    assert head.weights[0, 0] == pytest.approx(1.0, abs=0.05)
    assert 0.05 < errors.mean() < 0.12
