"""Minimise many small problems at once: BFGS with a weak-Wolfe line search, one row per problem, numpy alone.

A scaling-law fit needs hundreds of starts and a bootstrap a thousand refits, each of five numbers. One call of
a general optimiser per fit spends its time in Python; here every step moves all rows that are not done yet.
The line search is that of Lewis and Overton, "Nonsmooth optimization via quasi-Newton methods" (2013): it also
copes with the Huber loss of a small delta, which is nearly an absolute value. It finds local minima: whether
the best of them is the global one is for the caller's starts to decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Minima", "Objective", "minimise_many"]

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]
Objective = Callable[[FloatArray, IndexArray], tuple[FloatArray, FloatArray]]
"""Points (m, k) and the numbers of their problems (m,) to values (m,) and gradients (m, k)."""

_DECREASE, _CURVATURE = 1e-4, 0.5
_LONGEST_SEARCH = 40
_SMALLEST_STEP = 1e-14


@dataclass(frozen=True, slots=True)
class Minima:
    """Where each row ended.

    Attributes
    ----------
    points
        Shape (m, k).
    values
        Shape (m,); ``inf`` where a start was not finite.
    gradient_norms
        Largest absolute component, shape (m,).
    n_iterations
        Steps until the last row stopped.
    """

    points: FloatArray
    values: FloatArray
    gradient_norms: FloatArray
    n_iterations: int


def minimise_many(
    objective: Objective,
    starts: FloatArray,
    *,
    max_iterations: int = 400,
    gradient_tolerance: float = 1e-7,
) -> Minima:
    """Minimise each row from its start.

    A row stops when its gradient is below `gradient_tolerance`, when no step along a descent direction lowers
    it by more than rounding, or after `max_iterations`.

    Parameters
    ----------
    objective
        See :data:`Objective`. It may return ``inf``; the search then turns back.
    starts
        Shape (m, k).
    max_iterations
        Limit of steps.
    gradient_tolerance
        On the largest absolute component.
    """
    x = np.array(starts, dtype=np.float64)
    n, k = x.shape
    rows = np.arange(n)
    value, gradient = objective(x, rows)
    inverse = np.broadcast_to(np.eye(k), (n, k, k)).copy()
    is_first = np.ones(n, dtype=bool)
    is_open = np.isfinite(value) & np.isfinite(gradient).all(axis=1)
    value = np.where(is_open, value, np.inf)
    steps = 0
    while steps < max_iterations:
        is_open &= np.abs(gradient).max(axis=1) > gradient_tolerance
        at = np.flatnonzero(is_open)
        if not at.size:
            break
        direction, slope = _downhill(inverse, is_first, gradient, at)
        moved, new_value, new_gradient = _search(objective, x[at], value[at], direction, slope, at)
        step = moved - x[at]
        change = new_gradient - gradient[at]
        has_moved = new_value < value[at]
        _update(inverse, is_first, at, step, change)
        x[at] = np.where(has_moved[:, None], moved, x[at])
        gradient[at] = np.where(has_moved[:, None], new_gradient, gradient[at])
        value[at] = np.where(has_moved, new_value, value[at])
        is_open[at] = has_moved
        steps += 1
    return Minima(x, value, np.abs(gradient).max(axis=1), steps)


def _downhill(
    inverse: FloatArray, is_first: npt.NDArray[np.bool_], gradient: FloatArray, at: IndexArray
) -> tuple[FloatArray, FloatArray]:
    """Directions of the rows `at` and the slopes along them; a row whose inverse is spoilt starts anew."""
    direction = -np.einsum("ijk,ik->ij", inverse[at], gradient[at])
    slope = np.einsum("ij,ij->i", direction, gradient[at])
    is_uphill = ~(slope < 0)
    if is_uphill.any():
        lost = at[is_uphill]
        inverse[lost], is_first[lost] = np.eye(inverse.shape[1]), True
        direction[is_uphill] = -gradient[lost]
        slope[is_uphill] = -np.square(gradient[lost]).sum(axis=1)
    return direction, slope


def _search(
    objective: Objective,
    x: FloatArray,
    value: FloatArray,
    direction: FloatArray,
    slope: FloatArray,
    rows: IndexArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A step per row that meets the weak Wolfe conditions, by doubling and bisection."""
    m = len(x)
    low, high, length = np.zeros(m), np.full(m, np.inf), np.ones(m)
    best, best_value = x.copy(), value.copy()
    best_gradient = np.full_like(x, np.nan)
    live = np.arange(m)
    for _ in range(_LONGEST_SEARCH):
        trial = x[live] + length[live, None] * direction[live]
        with np.errstate(over="ignore", invalid="ignore"):
            found, gradient = objective(trial, rows[live])
        is_low = found <= value[live] + _DECREASE * length[live] * slope[live]  # False for nan and inf
        is_flat = np.einsum("ij,ij->i", gradient, direction[live]) >= _CURVATURE * slope[live]
        better = is_low & (found <= best_value[live])
        took = live[better]
        best[took], best_value[took], best_gradient[took] = trial[better], found[better], gradient[better]
        high[live[~is_low]] = length[live[~is_low]]
        short = live[is_low & ~is_flat]
        low[short] = length[short]
        live = live[~(is_low & is_flat)]
        if not live.size:
            break
        length[live] = np.where(np.isfinite(high[live]), (low[live] + high[live]) / 2, 2 * low[live])
        live = live[length[live] > _SMALLEST_STEP]
    return best, best_value, best_gradient


def _update(
    inverse: FloatArray,
    is_first: npt.NDArray[np.bool_],
    rows: IndexArray,
    step: FloatArray,
    change: FloatArray,
) -> None:
    """The BFGS update of the inverse Hessians, in place, where the curvature along the step is positive."""
    product = np.einsum("ij,ij->i", step, change)
    good = product > 1e-300  # nan compares false
    at, s, y, sy = rows[good], step[good], change[good], product[good]
    fresh = is_first[at]
    if fresh.any():  # scale of the first inverse: Nocedal and Wright, Numerical Optimization, eq. 6.20
        scale = sy[fresh] / np.square(y[fresh]).sum(axis=1)
        inverse[at[fresh]] = np.eye(s.shape[1]) * scale[:, None, None]
        is_first[at] = False
    hy = np.einsum("ijk,ik->ij", inverse[at], y)
    yhy = np.einsum("ij,ij->i", y, hy)
    cross = hy[:, :, None] * s[:, None, :]
    outer = s[:, :, None] * s[:, None, :]
    inverse[at] += (
        outer * ((sy + yhy) / sy**2)[:, None, None] - (cross + cross.transpose(0, 2, 1)) / sy[:, None, None]
    )
