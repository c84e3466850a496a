"""Score from loss: a falling sigmoid, ``score = lower + (upper - lower) / (1 + exp(k * (loss - midpoint)))``.

Four parameters, by least squares on the score. For given (k, midpoint) the model is linear in (lower, upper), so
the fit is a search over a grid of two, made finer five times, with an exact solution at each: no starting
values. Source of the form: Bhagia et al. (arXiv 2412.04403), step 2; Xiao et al., "Densing law of LLMs" (arXiv
2412.04315), equation for the score. It holds for one benchmark asked in one way (same prompt, same shots, same
scoring); it does not know of tasks on which larger models do worse.

The upper end is only told by models near it. A family of small models leaves it open, and a free upper end then
sits just above its best score and makes every better model infinite; so 1 is the default, a perfect score.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from understudy.density.solver import FloatArray
from understudy.errors import ConfigError, DataError

__all__ = ["Sigmoid", "fit_sigmoid", "fit_sigmoids", "invert_sigmoids"]

_GRID = 17
_ROUNDS = 6
_STEEPNESS = (0.5, 60.0)
"""Range of k times the spread of the losses: flatter is a line, steeper is a step between two models."""


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
    row = fit_sigmoids(loss[None, :], score[None, :], chance=chance, lower=lower, upper=upper)[0]
    found = Sigmoid(*(float(value) for value in row))
    if found.score(float(loss.min())) - found.score(float(loss.max())) < 1e-6:
        raise DataError("the score does not fall with the loss, so a loss cannot be read from a score")
    return found


def fit_sigmoids(
    loss: FloatArray, score: FloatArray, *, chance: float, lower: float | None, upper: float | None
) -> FloatArray:
    """Fit many data sets of shape (m, n) at once, to rows (m, 4) of lower, upper, steepness, midpoint."""
    low, high = loss.min(axis=1), loss.max(axis=1)
    spread = np.maximum(high - low, 1e-9)
    m = len(loss)
    # Log steepness (times the spread) and midpoint (in spreads above the least loss).
    centre = np.stack([np.full(m, np.log(_STEEPNESS).mean()), np.full(m, 0.0)], axis=1)
    width = np.stack([np.full(m, np.ptp(np.log(_STEEPNESS)) / 2), np.full(m, 4.0)], axis=1)
    best = np.empty((m, 4))
    steps = np.linspace(-1, 1, _GRID)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)  # (g, 2)
    for _ in range(_ROUNDS):
        at = centre[:, None, :] + width[:, None, :] * grid  # (m, g, 2)
        steep = np.exp(np.clip(at[..., 0], *np.log(_STEEPNESS))) / spread[:, None]
        middle = low[:, None] + at[..., 1] * spread[:, None]
        z = np.clip(steep[..., None] * (loss[:, None, :] - middle[..., None]), -500, 500)
        share = 1 / (1 + np.exp(z))  # (m, g, n)
        bottom, top = _ends(share, score[:, None, :], chance, lower, upper)
        error = ((bottom[..., None] + (top - bottom)[..., None] * share - score[:, None, :]) ** 2).sum(-1)
        index = error.argmin(axis=1)
        rows = np.arange(m)
        centre = at[rows, index]
        width = width / (_GRID / 4)
        best = np.stack([bottom[rows, index], top[rows, index], steep[rows, index], middle[rows, index]], axis=1)
    return best


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
