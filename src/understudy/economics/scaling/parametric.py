"""Approach 3: fit ``L = E + A / N**alpha + B / D**beta`` to runs, by the Huber loss of the log loss.

Source: Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3 and appendix D.2: minimise the sum over runs of
Huber(delta = 1e-3) of ``log L_predicted - log L`` over log A, log B, log E, alpha, beta from a grid of starts.
Their optimiser stopped early for want of scale (Besiroglu et al. 2024, arXiv 2404.10102); here the objective is
scaled and the columns are centred, and all starts move at once. What is reported is the plain *sum* over runs,
the convention in which Besiroglu's 240 points reach .0010183. The fit does not know whether runs are
independent, nor whether the law is right: see ``identify`` for when not to believe it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.economics.scaling.law import ScalingLaw
from understudy.economics.scaling.minimise import IndexArray, Minima, Objective, minimise_many
from understudy.economics.scaling.outliers import DroppedRuns, drop_outliers
from understudy.economics.scaling.runs import TrainingRuns
from understudy.errors import ConfigError, DataError

__all__ = [
    "FEWEST_RUNS",
    "HUBER_DELTA",
    "ParametricFit",
    "draw_starts",
    "fit_parametric",
    "huber_objective",
    "refit_weighted",
]

FloatArray = npt.NDArray[np.float64]

HUBER_DELTA = 1e-3
"""Hoffmann et al. 2022, section 3.3."""
FEWEST_RUNS = 6
"""One more than the law has constants: with fewer the fit passes through every point and says nothing."""
_GRID = {"a": range(0, 30, 5), "b": range(0, 30, 5), "e": (-1.0, -0.5, 0.0, 0.5, 1.0)}
_EXPONENTS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Starts of Hoffmann et al. 2022, appendix D.2: log A, log B, log E; and alpha, beta. 4,500 in all."""
_SAME = 1e-6
"""Relative difference of objectives below which two starts have found the same optimum."""
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class ParametricFit:
    """A fitted law.

    Attributes
    ----------
    law
        The constants.
    objective
        Sum over the runs kept of Huber(delta) of the log residual, at the optimum.
    delta
        Of the Huber loss.
    n_runs
        Runs kept.
    dropped
        Runs left out, and by which rule.
    n_starts, n_starts_at_optimum
        Starts, and how many of them ended at the optimum (objective within 1e-6 of it).
    runs
        Those kept.
    """

    law: ScalingLaw
    objective: float
    delta: float
    n_runs: int
    dropped: DroppedRuns
    n_starts: int
    n_starts_at_optimum: int
    runs: TrainingRuns = field(repr=False)

    @property
    def residuals(self) -> FloatArray:
        """``log L - log L_predicted`` of the runs kept, shape (n,)."""
        predicted = self.law.loss(self.runs.parameters, self.runs.tokens)
        return np.asarray(np.log(self.runs.loss) - np.log(predicted), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the runs."""
        return {
            "law": self.law.to_dict(), "objective": self.objective, "delta": self.delta, "runs": self.n_runs,
            "dropped": self.dropped.to_dict(), "starts": self.n_starts,
            "starts_at_optimum": self.n_starts_at_optimum,
        }  # fmt: skip


def fit_parametric(
    runs: TrainingRuns,
    *,
    outliers: str = "none",
    n_starts: int = 300,
    seed: int = 0,
    delta: float = HUBER_DELTA,
) -> ParametricFit:
    """Fit the law.

    Parameters
    ----------
    runs
        At least 6 after the outlier rule.
    outliers
        A rule of :func:`~understudy.economics.scaling.outliers.drop_outliers`.
    n_starts
        Half of them from Hoffmann's grid (drawn without replacement), half uniform over its range.
    seed
        Of the choice of starts.
    delta
        Of the Huber loss, in log units.

    Raises
    ------
    ConfigError
        If an option is out of range.
    DataError
        If there are too few runs, or what fits best is no law (an exponent at or below 0, say).
    """
    if n_starts < 1:
        raise ConfigError("n_starts must be 1 or more", given=repr(n_starts))
    if not (np.isfinite(delta) and delta > 0):
        raise ConfigError("delta of the Huber loss must be finite and above 0", given=repr(delta))
    kept, dropped = drop_outliers(runs, outliers)
    if len(kept) < FEWEST_RUNS:
        raise DataError(
            f"a scaling law has 5 constants and needs at least {FEWEST_RUNS} runs",
            given=f"{len(kept)} runs",
            todo="add runs of other sizes and other amounts of data",
        )
    scale = _Scale.of(kept)
    found = minimise_many(
        _objective(kept, scale, np.ones((1, len(kept))), delta), scale.inward(draw_starts(n_starts, seed))
    )
    best = int(np.argmin(found.values))
    law = _law_or_error(scale.outward(found.points[best : best + 1])[0])
    n_same = int((found.values <= found.values[best] * (1 + _SAME)).sum())
    objective, _ = huber_objective(np.array(_vector(law)), kept, delta=delta)
    return ParametricFit(law, objective, delta, len(kept), dropped, n_starts, n_same, kept)


def refit_weighted(fit: ParametricFit, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit again for each row of run weights, from the optimum of `fit`.

    Parameters
    ----------
    fit
        Of the runs.
    weights
        Shape (m, n): how often each run counts.

    Returns
    -------
    points, values
        (log A, log B, log E, alpha, beta) of shape (m, 5), and weighted objective sums of shape (m,).
    """
    scale = _Scale.of(fit.runs)
    start = scale.inward(np.array([_vector(fit.law)]))
    points, values = [], []
    for at in range(0, len(weights), _ROWS_AT_ONCE):
        part = weights[at : at + _ROWS_AT_ONCE]
        found: Minima = minimise_many(
            _objective(fit.runs, scale, part, fit.delta), np.repeat(start, len(part), axis=0)
        )
        points.append(scale.outward(found.points))
        values.append(found.values * fit.delta * part.sum(axis=1))
    return np.concatenate(points), np.concatenate(values)


def huber_objective(
    vector: FloatArray, runs: TrainingRuns, *, delta: float = HUBER_DELTA
) -> tuple[float, FloatArray]:
    """The objective of the paper and its gradient at (log A, log B, log E, alpha, beta).

    Returns
    -------
    value, gradient
        The sum over runs, and its derivatives, shape (5,).
    """
    objective = _objective(runs, _Scale(0.0, 0.0), np.ones((1, len(runs))), delta)
    value, gradient = objective(np.asarray(vector, dtype=np.float64)[None, :], np.zeros(1, dtype=np.intp))
    factor = delta * len(runs)
    return float(value[0] * factor), gradient[0] * factor


@dataclass(frozen=True, slots=True)
class _Scale:
    """Centres of log N and log D: around them log A and alpha hardly depend on each other."""

    log_parameters: float
    log_tokens: float

    @classmethod
    def of(cls, runs: TrainingRuns) -> _Scale:
        return cls(float(np.log(runs.parameters).mean()), float(np.log(runs.tokens).mean()))

    def inward(self, points: FloatArray) -> FloatArray:
        """(log A, log B, ...) to the logs of the two terms at the centre."""
        return self._shifted(points, -1.0)

    def outward(self, points: FloatArray) -> FloatArray:
        """The way back."""
        return self._shifted(points, 1.0)

    def _shifted(self, points: FloatArray, sign: float) -> FloatArray:
        out = points.copy()
        out[:, 0] += sign * points[:, 3] * self.log_parameters
        out[:, 1] += sign * points[:, 4] * self.log_tokens
        return out


def _objective(runs: TrainingRuns, scale: _Scale, weights: FloatArray, delta: float) -> Objective:
    """Weighted mean of Huber(delta) over delta: its gradient is of order one whatever the runs.

    `weights` has one row for all problems, or one per problem. The exponentials are taken as they stand, not
    around their largest: with centred columns they overflow only where no fit is, and give ``inf`` there, from
    which the search turns back.
    """
    log_n = np.log(runs.parameters) - scale.log_parameters
    log_d = np.log(runs.tokens) - scale.log_tokens
    size_columns, data_columns = (np.stack([np.ones_like(x), -x], axis=1) for x in (log_n, log_d))
    log_loss = np.log(runs.loss)
    share = weights / weights.sum(axis=1, keepdims=True)

    def evaluate(points: FloatArray, rows: IndexArray) -> tuple[FloatArray, FloatArray]:
        weight = share if len(share) == 1 else share[rows]
        with np.errstate(all="ignore"):
            size = np.exp(points[:, [0, 3]] @ size_columns.T)  # (m, n), like all below
            data = np.exp(points[:, [1, 4]] @ data_columns.T)
            floor = np.exp(points[:, 2:3])
            total = size + data + floor
            residual = np.log(total) - log_loss
            slope = np.clip(residual / delta, -1.0, 1.0)  # of Huber over delta
            pull = weight * slope
            value = np.einsum("ij,ij->i", pull, residual - 0.5 * delta * slope)
            pull /= total
            by_size, by_data = (size * pull) @ size_columns, (data * pull) @ data_columns
            by_floor = pull.sum(axis=1) * floor[:, 0]
        return value, np.stack([by_size[:, 0], by_data[:, 0], by_floor, by_size[:, 1], by_data[:, 1]], axis=1)

    return evaluate


def draw_starts(count: int, seed: int) -> FloatArray:
    """Starts as (log A, log B, log E, alpha, beta), shape (count, 5): half from Hoffmann's grid, half uniform."""
    rng = np.random.default_rng(seed)
    grid = np.array(
        list(product(_GRID["a"], _GRID["b"], _GRID["e"], _EXPONENTS, _EXPONENTS)), dtype=np.float64
    )
    n_grid = min((count + 1) // 2, len(grid))
    chosen = grid[rng.choice(len(grid), n_grid, replace=False)]
    return np.concatenate([chosen, rng.uniform(grid.min(axis=0), grid.max(axis=0), (count - n_grid, 5))])


def _vector(law: ScalingLaw) -> list[float]:
    logs = [float(np.log(max(value, 1e-300))) for value in (law.a, law.b, law.e)]
    return [*logs, law.alpha, law.beta]


def _law_or_error(vector: FloatArray) -> ScalingLaw:
    """The law of a point, unless a constant overflows or an exponent is not above 0."""
    with np.errstate(over="ignore"):
        a, b, e = np.exp(vector[:3])
    constants = np.array([e, a, b, *vector[3:]])
    if np.isfinite(constants).all() and (constants[1:] > 0).all():
        return ScalingLaw(*(float(value) for value in constants))
    raise DataError(
        "the best fit is no scaling law: the terms of size and data are not determined by these runs",
        given=f"E {e:.3g}, A {a:.3g}, B {b:.3g}, alpha {vector[3]:.3g}, beta {vector[4]:.3g}",
        todo="add runs at several tokens per parameter, over a decade or more of size and of data",
    )
