"""Many small robust least-squares problems at once: Levenberg-Marquardt with Huber weights and bounds.

A ruler is fitted from tens of points, but hundreds of times: from many starts, and once per bootstrap draw. All
of these run side by side as one batch of numpy operations, so that no further package is needed. It knows nothing
of what is fitted.

Shapes: m problems, n points, p parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["FloatArray", "Model", "huber_objective", "minimise_huber"]

FloatArray = npt.NDArray[np.float64]
Model = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Parameters (m, p) to predictions (m, n) and their Jacobian (m, n, p)."""

_FIRST_DAMPING = 1e-2
_DAMPING_STEPS = (0.3, 4.0)
_LEAST_WEIGHT = 1e-3
"""Of a residual under delta / 1000 nothing more is asked: near 0 the weights of absolute values would run away."""


def huber_objective(residuals: FloatArray, delta: float) -> FloatArray:
    """Sum over the last axis of Huber's function: ``r**2 / 2`` within `delta`, ``delta * (|r| - delta / 2)`` beyond.

    Source: Huber, "Robust estimation of a location parameter" (1964).
    """
    size = np.abs(residuals)
    return np.asarray(
        np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)).sum(axis=-1), dtype=np.float64
    )


def minimise_huber(
    model: Model,
    targets: FloatArray,
    start: FloatArray,
    *,
    delta: float,
    lower: FloatArray,
    upper: FloatArray,
    n_steps: int = 120,
) -> tuple[FloatArray, FloatArray]:
    """Minimise Huber's function of ``targets - model(parameters)``, each problem by itself.

    Parameters
    ----------
    model
        Predictions and Jacobian.
    targets
        Shape (m, n) or (n,).
    start
        Shape (m, p), inside the bounds.
    delta
        Where squares turn into absolute values; ``inf`` for plain least squares.
    lower, upper
        Bounds, shape (p,); equal bounds hold a parameter fixed.
    n_steps
        Steps at most; a step is only taken where it improves.

    Returns
    -------
    tuple
        Parameters (m, p) and objectives (m,).
    """
    at = np.clip(start, lower, upper)
    is_free = lower < upper
    predicted, jacobian = model(at)
    residuals = targets - predicted
    value = huber_objective(residuals, delta)
    damping = np.full(len(at), _FIRST_DAMPING)
    for _ in range(n_steps):
        weights = np.minimum(1.0, delta / np.maximum(np.abs(residuals), _LEAST_WEIGHT * delta))
        step = _step(jacobian, residuals, weights, damping, is_free)
        trial = np.clip(at + step, lower, upper)
        new_predicted, new_jacobian = model(trial)
        new_residuals = targets - new_predicted
        new_value = huber_objective(new_residuals, delta)
        is_better = new_value < value
        moved = np.abs(trial - at).max(initial=0.0, where=is_better[:, None])
        at = np.where(is_better[:, None], trial, at)
        value = np.where(is_better, new_value, value)
        residuals = np.where(is_better[:, None], new_residuals, residuals)
        jacobian = np.where(is_better[:, None, None], new_jacobian, jacobian)
        damping = np.clip(damping * np.where(is_better, *_DAMPING_STEPS), 1e-9, 1e9)
        if moved < 1e-10 and damping.min() > 1e6:
            break
    return at, value


def _step(
    jacobian: FloatArray,
    residuals: FloatArray,
    weights: FloatArray,
    damping: FloatArray,
    is_free: npt.NDArray[np.bool_],
) -> FloatArray:
    weighted = jacobian * weights[..., None]
    turned = weighted.transpose(0, 2, 1)
    normal = turned @ jacobian
    gradient = (turned @ residuals[..., None])[..., 0]
    diagonal = np.einsum("mpp->mp", normal)
    extra = damping[:, None] * np.maximum(diagonal, 1e-12 * diagonal.max(axis=1, keepdims=True)) + 1e-14
    normal = normal + extra[:, :, None] * np.eye(normal.shape[-1])
    fixed = ~is_free
    normal[:, fixed, :] = 0.0
    normal[:, :, fixed] = 0.0
    normal[:, fixed, fixed] = 1.0
    gradient[:, fixed] = 0.0
    return np.asarray(np.linalg.solve(normal, gradient[..., None])[..., 0], dtype=np.float64)
