"""Linear heads on fixed features, fitted to convergence: softmax, sigmoid and ridge.

Written here rather than taken from scikit-learn because its logistic regression takes no soft targets and no
starting point; the optimiser is scipy's L-BFGS. Features are centred while fitting (L-BFGS needs a third
fewer steps) and the centre goes into the bias.

Shapes: n rows, d features, k columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "ABSENT_LOGIT",
    "LinearHead",
    "choose_strength",
    "fit_linear_head",
    "fit_ridge_head",
    "heated_loss",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Link = Literal["softmax", "sigmoid"]

STRENGTHS = (1.0, 3.0, 10.0, 30.0)
"""Prior variances of a weight that are tried (scikit-learn's C), for features of length about 1."""
_MOST_TRIAL_ROWS = 4_000
ABSENT_LOGIT = -30.0
"""Bias of a column that no row asks for."""
_HEATS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)


@dataclass(frozen=True, slots=True)
class LinearHead:
    """`weights` (k, d) and `bias` (k,), float32."""

    weights: Float32
    bias: Float32

    def logits(self, features: Float32) -> Float64:
        """Shape (n, d) to (n, k)."""
        return np.asarray(features @ self.weights.T + self.bias, dtype=np.float64)


def fit_linear_head(
    features: Float32,
    targets: Float64,
    row_weights: Float64,
    *,
    link: Link,
    strength: float,
    start: LinearHead | None = None,
    most_steps: int = 300,
) -> LinearHead:
    """Minimise cross-entropy plus ``|weights|^2 / (2 strength)``.

    Parameters
    ----------
    features, row_weights
        Shapes (n, d) and (n,).
    targets
        Probabilities, shape (n, k): rows that sum to 1 for `softmax`, each in [0, 1] for `sigmoid`. A column
        that is never asked for keeps weight 0 and a bias that makes its probability vanish.
    link, strength
        Kind of head; prior variance of a weight.
    start
        Where to begin.
    most_steps
        Limit of L-BFGS steps; it converges in 40 to 120 on sentence embeddings.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    mass = (targets * row_weights[:, None]).sum(axis=0)
    used = np.flatnonzero(mass > 0)
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = features - centre
    wanted = targets[:, used].astype(np.float32)
    objective = _objective(centred, wanted, row_weights.astype(np.float32), link, strength)
    width = features.shape[1]
    first = np.zeros((len(used), width + 1))
    if start is not None:
        first[:, :width] = start.weights[used]
        first[:, width] = start.bias[used] + start.weights[used] @ centre
    elif link == "softmax":
        share = mass[used] / mass.sum()
        first[:, width] = np.log(np.maximum(share, 1e-12))
    options: Any = {"maxiter": most_steps, "maxcor": 12, "ftol": 1e-6, "gtol": 1e-6}
    # Thousands of small products: BLAS threads would wait for each other longer than they compute (ten times
    # slower on a busy machine).
    with threadpool_limits(1):
        found = minimize(objective, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    solved = found.x.reshape(len(used), width + 1).astype(np.float32)
    weights = np.zeros((targets.shape[1], width), dtype=np.float32)
    bias = np.full(targets.shape[1], ABSENT_LOGIT, dtype=np.float32)
    weights[used] = solved[:, :width]
    bias[used] = solved[:, width] - solved[:, :width] @ centre
    return LinearHead(weights, bias)


def _objective(
    features: Float32, targets: Float32, row_weights: Float32, link: Link, strength: float
) -> Callable[[Float64], tuple[float, Float64]]:
    total = float(row_weights.sum(dtype=np.float64))
    width = features.shape[1]
    # Rows whose targets sum to less than 1 (a class outside `used`) count for what they say.
    row_mass = targets.sum(axis=1)

    def value_and_slope(flat: Float64) -> tuple[float, Float64]:
        table = flat.reshape(-1, width + 1)
        weights = table[:, :width].astype(np.float32)
        logits = features @ weights.T
        logits += table[:, width].astype(np.float32)
        if link == "softmax":
            logits -= logits.max(axis=1, keepdims=True)
            grown = np.exp(logits)
            sums = grown.sum(axis=1)
            losses = np.log(sums) * row_mass - np.einsum("nk,nk->n", logits, targets)
            error = grown * (row_mass / sums)[:, None] - targets
        else:
            losses = (np.logaddexp(0.0, logits) - targets * logits).sum(axis=1)
            error = 1.0 / (1.0 + np.exp(-logits)) - targets
        error *= row_weights[:, None]
        slope = np.empty_like(table)
        slope[:, :width] = (error.T @ features) / total + table[:, :width] / (strength * total)
        slope[:, width] = error.sum(axis=0, dtype=np.float64) / total
        loss = float(np.dot(losses.astype(np.float64), row_weights)) / total
        loss += float(np.square(table[:, :width]).sum()) / (2 * strength * total)
        return loss, slope.ravel()

    return value_and_slope


def choose_strength(
    features: Float32,
    targets: Float64,
    row_weights: Float64,
    *,
    link: Link,
    seed: int,
    strengths: Sequence[float] = STRENGTHS,
) -> float:
    """The prior variance with the least log loss on a held-out quarter of (at most 4,000) rows.

    A prior's variance does not depend on how many rows there are, so a sample can choose it for all. The loss
    is taken at each one's best temperature: probabilities are calibrated later anyway, and without this the
    choice goes to the best calibrated head instead of the best one.
    """
    order = np.random.default_rng(seed).permutation(len(features))[:_MOST_TRIAL_ROWS]
    cut = len(order) // 4
    if cut < 5:
        return strengths[len(strengths) // 2]
    held, fit = order[:cut], order[cut:]
    best, best_loss, head = strengths[0], np.inf, None
    for strength in strengths:
        head = fit_linear_head(
            features[fit],
            targets[fit],
            row_weights[fit],
            link=link,
            strength=strength,
            start=head,
            most_steps=60,
        )
        loss = heated_loss(head.logits(features[held]), targets[held], row_weights[held], link)
        if loss >= 0.99 * best_loss:
            break  # the loss has one flat minimum along the path: the smaller variance is the safer
        best, best_loss = strength, loss
    return best


def heated_loss(logits: Float64, targets: Float64, row_weights: Float64, link: Link) -> float:
    """Mean log loss of `logits` (n, k) at the temperature that suits them best."""
    return min(_log_loss(logits * heat, targets, row_weights, link) for heat in _HEATS)


def _log_loss(logits: Float64, targets: Float64, row_weights: Float64, link: Link) -> float:
    if link == "softmax":
        # A class that the other rows do not hold costs the same under every strength: cap it.
        logits = np.maximum(logits, logits.max(axis=1, keepdims=True) - 20.0)
        top = logits.max(axis=1, keepdims=True)
        losses = (np.log(np.exp(logits - top).sum(axis=1, keepdims=True)) + top - logits) * targets
    else:
        losses = np.logaddexp(0.0, logits) - targets * logits
    return float((losses.sum(axis=1) * row_weights).sum() / row_weights.sum())


def fit_ridge_head(
    features: Float32, values: Float64, row_weights: Float64, *, seed: int
) -> tuple[LinearHead, Float64]:
    """Ridge regression of standardised `values` (n,): the head, and absolute errors on held-out fifths (n,).

    The penalty is chosen on those fifths.
    """
    from sklearn.linear_model import Ridge

    folds = np.random.default_rng(seed).permutation(len(values)) % 5

    def fitted(rows: npt.NDArray[Any], penalty: float) -> Ridge:
        return Ridge(alpha=penalty).fit(features[rows], values[rows], sample_weight=row_weights[rows])

    best_errors, best_penalty, best_loss = np.abs(values - values.mean()), 1.0, np.inf
    for penalty in (0.01, 0.1, 1.0, 10.0) if len(values) >= 10 else ():
        errors = np.empty(len(values))
        for fold in range(5):
            held = folds == fold
            errors[held] = np.abs(fitted(~held, penalty).predict(features[held]) - values[held])
        loss = float(np.average(errors**2, weights=row_weights))
        if loss < best_loss:
            best_errors, best_penalty, best_loss = errors, penalty, loss
    model = fitted(np.ones(len(values), dtype=np.bool_), best_penalty)
    weights = np.asarray(model.coef_, dtype=np.float32)[None]
    return LinearHead(weights, np.array([model.intercept_], dtype=np.float32)), best_errors
