"""Score from loss: a falling sigmoid, ``score = lower + (upper - lower) / (1 + exp(k * (loss - midpoint)))``.

Four parameters, by least squares on the score. For given (k, midpoint) the model is linear in (lower, upper), so
the fit is a search over a grid of two, made finer twice, with an exact solution at each, and then
Levenberg-Marquardt over all: no starting values. Source of the form: Bhagia et al. (arXiv 2412.04403), step 2; Xiao et al., "Densing law of LLMs" (arXiv
2412.04315), equation for the score. It holds for one benchmark asked in one way (same prompt, same shots, same
scoring); it does not know of tasks on which larger models do worse.

The upper end is only told by models near it. A family of small models leaves it open, and a free upper end then
sits just above its best score and makes every better model infinite; so 1 is the default, a perfect score.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from understudy.density.solver import FloatArray, minimise_huber
from understudy.errors import ConfigError, DataError

__all__ = ["Sigmoid", "fit_sigmoid", "fit_sigmoids", "invert_sigmoids"]

_GRID = 19
_ROUNDS = 3
_STEEPNESS = (0.5, 60.0)
"""Range of k times the spread of the losses: flatter is a line, steeper is a step between two models."""
_MIDPOINTS = (-4.0, 4.0)
"""Range of the midpoint, in spreads of the losses above the least one."""


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """A fitted sigmoid.

    Attributes
    ----------
    lower, upper
        Scores at endless and at no loss, from 0 to 1.
    steepness
        ``k``, per unit of loss; above 0.
    midpoint
        Loss at which the score is halfway.
    """

    lower: float
    upper: float
    steepness: float
    midpoint: float

    def score(self, loss: float) -> float:
        """Score at a loss."""
        z = self.steepness * (loss - self.midpoint)
        share = 1 / (1 + math.exp(z)) if z < 700 else 0.0
        return self.lower + (self.upper - self.lower) * share

    def loss_for(self, score: float) -> float:
        """Loss at a score; ``inf`` at or below the lower end, ``-inf`` at or above the upper."""
        return float(invert_sigmoids(self.row()[None, :], np.array([score]))[0])

    def row(self) -> FloatArray:
        """(lower, upper, steepness, midpoint)."""
        return np.array([self.lower, self.upper, self.steepness, self.midpoint])

    def to_dict(self) -> dict[str, float]:
        """JSON form."""
        return asdict(self)


def invert_sigmoids(rows: FloatArray, scores: FloatArray) -> FloatArray:
    """Loss at which each sigmoid gives its score; shapes (m, 4), (m,) to (m,). ``inf`` below, ``-inf`` above."""
    lower, upper, steepness, midpoint = rows.T
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = midpoint + np.log((upper - scores) / (scores - lower)) / steepness
    loss = np.where(scores >= upper, -np.inf, loss)
    return np.asarray(np.where(scores <= lower, np.inf, loss), dtype=np.float64)


def check_ends(chance: float, lower: float | None, upper: float | None) -> None:
    """Refuse ends that are no shares or out of order.

    Raises
    ------
    ConfigError
        Naming the option.
    """
    if not 0 <= chance < 1:
        raise ConfigError("the chance level must be at least 0 and below 1", given=repr(chance))
    if lower is not None and not 0 <= lower < 1:
        raise ConfigError("a fixed lower end must be at least 0 and below 1", given=repr(lower))
    if upper is not None and not max(chance, lower or 0.0) < upper <= 1:
        raise ConfigError("a fixed upper end must be above the chance level and at most 1", given=repr(upper))


def fit_sigmoid(
    loss: FloatArray,
    score: FloatArray,
    *,
    chance: float = 0.0,
    lower: float | None = None,
    upper: float | None = 1.0,
) -> Sigmoid:
    """One sigmoid from points of shape (n,).

    Parameters
    ----------
    chance
        Score of guessing; a fitted lower end is never below it.
    lower, upper
        Fixed ends; ``None`` to fit.

    Raises
    ------
    DataError
        If there are fewer points than parameters, losses do not differ, or scores do not fall with loss.
    ConfigError
        If an end is no share.
    """
    check_ends(chance, lower, upper)
    n_fitted = 2 + (lower is None) + (upper is None)
    if len(loss) < n_fitted or len(np.unique(loss)) < min(n_fitted, 3):
        raise DataError(
            f"a sigmoid with {n_fitted} free parameters needs as many points with different losses",
            given=f"{len(loss)} points, {len(np.unique(loss))} different losses",
        )
    if np.ptp(score) == 0 or float(np.corrcoef(loss, score)[0, 1]) >= 0:
        raise DataError("the score does not fall with the loss, so a loss cannot be read from a score")
    row = fit_sigmoids(loss[None, :], score[None, :], chance=chance, lower=lower, upper=upper)[0]
    return Sigmoid(*(float(value) for value in row))


def fit_sigmoids(
    loss: FloatArray, score: FloatArray, *, chance: float, lower: float | None, upper: float | None
) -> FloatArray:
    """Fit many data sets of shape (m, n) at once, to rows (m, 4) of lower, upper, steepness, midpoint."""
    low, high = loss.min(axis=1), loss.max(axis=1)
    spread = np.maximum(high - low, 1e-9)
    m = len(loss)
    # Log steepness (times the spread) and midpoint (in spreads above the least loss).
    centre = np.tile([np.log(_STEEPNESS).mean(), np.mean(_MIDPOINTS)], (m, 1))
    width = np.tile([np.ptp(np.log(_STEEPNESS)) / 2, np.ptp(_MIDPOINTS) / 2], (m, 1))
    best = np.empty((m, 4))
    scaled = (loss - low[:, None]) / spread[:, None]  # from 0 to 1
    steps = np.linspace(-1, 1, _GRID)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)  # (g, 2)
    for _ in range(_ROUNDS):
        at = centre[:, None, :] + width[:, None, :] * grid  # (m, g, 2)
        steep, middle = np.clip(at[..., 0], *np.log(_STEEPNESS)), np.clip(at[..., 1], *_MIDPOINTS)
        z = np.clip(np.exp(steep)[..., None] * (scaled[:, None, :] - middle[..., None]), -500, 500)
        share = 1 / (1 + np.exp(z))  # (m, g, n)
        bottom, top = _ends(share, score[:, None, :], chance, lower, upper)
        error = ((bottom[..., None] + (top - bottom)[..., None] * share - score[:, None, :]) ** 2).sum(-1)
        index = error.argmin(axis=1)
        rows = np.arange(m)
        centre = at[rows, index]
        width = width / 4
        best = np.stack(
            [bottom[rows, index], top[rows, index], steep[rows, index], middle[rows, index]], axis=1
        )
    found = _polished(scaled, score, best, chance, lower, upper)
    return np.stack(
        [found[:, 0], found[:, 1], np.exp(found[:, 2]) / spread, low + found[:, 3] * spread], axis=1
    )


def _polished(
    scaled: FloatArray,
    score: FloatArray,
    start: FloatArray,
    chance: float,
    lower: float | None,
    upper: float | None,
) -> FloatArray:
    """Least squares over (lower, upper, log steepness, midpoint) from the grid's best, shapes (m, n) and (m, 4)."""

    def model(at: FloatArray) -> tuple[FloatArray, FloatArray]:
        bottom, top, log_steep, middle = (at[:, one : one + 1] for one in range(4))
        steep = np.exp(log_steep)
        z = np.clip(steep * (scaled - middle), -500, 500)
        share = 1 / (1 + np.exp(z))
        slope = -(top - bottom) * share * (1 - share)  # by z
        jacobian = np.stack([1 - share, share, slope * z, -slope * steep], axis=-1)
        return bottom + (top - bottom) * share, jacobian

    least = np.array(
        [chance if lower is None else lower, 0.0 if upper is None else upper, 0.0, _MIDPOINTS[0]]
    )
    most = np.array([1.0 if lower is None else lower, 1.0 if upper is None else upper, 0.0, _MIDPOINTS[1]])
    least[2], most[2] = np.log(_STEEPNESS)
    # Scores are shares, so no residual is beyond a delta of 10: plain least squares.
    found, _ = minimise_huber(model, score, start, delta=10.0, lower=least, upper=most, n_steps=40)
    return found


def _ends(
    share: FloatArray, score: FloatArray, chance: float, lower: float | None, upper: float | None
) -> tuple[FloatArray, FloatArray]:
    """Least squares over the ends with chance <= lower and upper <= 1: convex, so an end that leaves is held there."""
    rest = 1 - share
    aa, ab, bb = (rest * rest).sum(-1), (rest * share).sum(-1), (share * share).sum(-1)
    ay, by = (rest * score).sum(-1), (share * score).sum(-1)
    tiny = 1e-12

    def bottom_given(top: FloatArray | float) -> FloatArray:
        return np.asarray(np.maximum((ay - ab * top) / (aa + tiny), chance))

    def top_given(bottom: FloatArray | float) -> FloatArray:
        return np.asarray(np.minimum((by - ab * bottom) / (bb + tiny), 1.0))

    if lower is not None:
        bottom = np.full(share.shape[:2], lower)
        return bottom, (top_given(lower) if upper is None else np.full(share.shape[:2], upper))
    if upper is not None:
        return np.minimum(bottom_given(upper), upper), np.full(share.shape[:2], upper)
    determinant = aa * bb - ab * ab + tiny
    bottom, top = (ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant
    bottom = np.where(top > 1, bottom_given(1.0), bottom)
    top = np.minimum(top, 1.0)
    is_low = bottom < chance
    return np.where(is_low, chance, bottom), np.where(is_low, top_given(chance), top)
