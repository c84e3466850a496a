"""Learning curves: error against the number of training calls, as a power law with an irreducible term.

``error(n) = a * n ** -b + c`` with a, c >= 0 and b from 0.05 to 1.5, by binomial likelihood. For a fixed b
the model is linear in (a, c), so the fit is a search over b with a weighted least-squares solution at each:
no local optimum, no starting values. Intervals are from a parametric bootstrap.

Sources of the form: Cortes et al., "Learning curves: asymptotic values and rate of convergence" (1993);
Hestness et al., "Deep learning scaling is predictable, empirically" (2017). It holds between the smallest n
at which learning has set in and some tens of times the largest n measured; it does not know of anything that
breaks the law (a new model size, label noise that changes), and treats points as independent although they
often share evaluation rows: their common error of level is then not in the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.errors import DataError

__all__ = ["CallsForError", "CurvePoint", "CurvePrediction", "LearningCurve", "fit_learning_curve"]

FloatArray = npt.NDArray[np.float64]

_EXPONENTS: FloatArray = np.linspace(0.05, 1.5, 59)
_N_REWEIGHTS = 3
_FURTHEST = 100.0
"""No claim beyond this many times the largest number of calls measured."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One measurement: trained on `n_train` calls, `n_errors` wrong of `n_eval`."""

    n_train: int
    n_errors: int
    n_eval: int

    def __post_init__(self) -> None:
        if self.n_train < 1 or self.n_eval < 1 or not 0 <= self.n_errors <= self.n_eval:
            raise DataError("a point of a learning curve is impossible", given=repr(self))

    @property
    def error(self) -> float:
        """Share of wrong answers."""
        return self.n_errors / self.n_eval


@dataclass(frozen=True, slots=True)
class CurvePrediction:
    """Expected error at `n_train` calls with an interval; `is_extrapolated` beyond the measured range."""

    n_train: float
    error: float
    lower: float
    upper: float
    is_extrapolated: bool


@dataclass(frozen=True, slots=True)
class CallsForError:
    """Training calls predicted to reach an error.

    `n_train` is ``None`` with `reason` where the curve does not say; `lower` and `upper` are ``None`` where
    fewer than the interval's share of bootstrap curves ever reach the error within range.
    """

    error: float
    n_train: float | None
    lower: float | None
    upper: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """A fitted curve.

    Attributes
    ----------
    points
        The measurements, by `n_train`.
    a, b, c
        Parameters; ``None`` where there are too few points to fit.
    draws
        Bootstrap parameters, rows (a, b, c).
    confidence
        Of all intervals.
    warnings
        Why the fit should not be trusted, in words; empty where nothing speaks against it.
    """

    points: tuple[CurvePoint, ...]
    a: float | None
    b: float | None
    c: float | None
    draws: tuple[tuple[float, float, float], ...]
    confidence: float
    warnings: tuple[str, ...]

    @property
    def is_identified(self) -> bool:
        """Whether the points determine a falling curve."""
        return self.a is not None and not self.warnings

    def predict(self, n_train: float) -> CurvePrediction | None:
        """Expected error at `n_train`; ``None`` where nothing could be fitted."""
        if self.a is None or self.b is None or self.c is None:
            return None
        draws = np.asarray(self.draws, dtype=np.float64)
        values = np.clip(draws[:, 0] * n_train ** -draws[:, 1] + draws[:, 2], 0.0, 1.0)
        tail = (1 - self.confidence) / 2
        lower, upper = np.quantile(values, [tail, 1 - tail])
        error = min(1.0, self.a * n_train**-self.b + self.c)
        measured = [point.n_train for point in self.points]
        return CurvePrediction(
            n_train,
            error,
            min(float(lower), error),
            max(float(upper), error),
            not measured[0] <= n_train <= measured[-1],
        )

    def n_for(self, error: float) -> CallsForError:
        """Training calls needed for `error`, with an interval, or why the curve does not say."""
        if self.a is None or self.b is None or self.c is None:
            return CallsForError(error, None, None, None, "; ".join(self.warnings))
        limit = _FURTHEST * self.points[-1].n_train
        needed = _solve(np.array([[self.a, self.b, self.c]]), error)[0]
        draws = _solve(np.asarray(self.draws, dtype=np.float64), error)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
        lower = float(low) if low <= limit else None
        upper = float(high) if high <= limit else None
        if not np.isfinite(needed):
            reason = f"the curve levels off at an error of {self.c:.3f}, above {error:.3f}"
            return CallsForError(error, None, lower, upper, reason)
        if needed > limit:
            reason = f"more than {_FURTHEST:.0f} times the calls measured: too far to predict"
            return CallsForError(error, None, lower, upper, reason)
        if "the error does not fall" in " ".join(self.warnings):
            return CallsForError(error, None, None, None, "; ".join(self.warnings))
        return CallsForError(error, float(max(1.0, needed)), lower, upper, None)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, with a forecast up to ten times the largest number of calls for a chart."""
        first, last = self.points[0].n_train, self.points[-1].n_train
        forecast = [self.predict(float(n)) for n in np.geomspace(first, 10 * last, 41)]
        return {
            "points": [[point.n_train, point.n_errors, point.n_eval] for point in self.points],
            "a": self.a,
            "b": self.b,
            "c": self.c,
            "confidence": self.confidence,
            "warnings": list(self.warnings),
            "forecast": [[f.n_train, f.error, f.lower, f.upper] for f in forecast if f is not None],
        }


def _solve(parameters: FloatArray, error: float) -> FloatArray:
    """The n at which each curve reaches `error`; 1 where it is always below, inf where it never is."""
    a, b, c = parameters.T
    gap = error - c
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        needed = (a / gap) ** (1 / b)
    needed = np.where(gap > 0, needed, np.inf)
    return np.asarray(np.where(a + c <= error, 1.0, needed), dtype=np.float64)


def fit_learning_curve(
    points: Sequence[CurvePoint | tuple[int, int, int]],
    *,
    confidence: float = 0.9,
    n_bootstrap: int = 200,
    seed: int = 0,
) -> LearningCurve:
    """Fit ``a * n ** -b + c``.

    Parameters
    ----------
    points
        Measurements, as :class:`CurvePoint` or (n_train, n_errors, n_eval).
    confidence
        Of the intervals.
    n_bootstrap
        Bootstrap curves.

    Raises
    ------
    DataError
        If there is no point, or a point is impossible.
    """
    given = sorted(
        (point if isinstance(point, CurvePoint) else CurvePoint(*point) for point in points),
        key=lambda point: (point.n_train, point.n_errors),
    )
    if not given:
        raise DataError("a learning curve needs at least one point")
    if len({point.n_train for point in given}) < 3:
        why = "fewer than 3 different numbers of training calls: the curve cannot be fitted"
        return LearningCurve(tuple(given), None, None, None, (), confidence, (why,))
    n = np.array([point.n_train for point in given], dtype=np.float64)
    errors = np.array([point.n_errors for point in given], dtype=np.float64)
    trials = np.array([point.n_eval for point in given], dtype=np.float64)
    best = _fit_many(n, errors[None, :], trials)[0]
    fitted = np.clip(best[0] * n ** -best[1] + best[2], 0.0, 1.0)
    rng = np.random.default_rng(seed)
    simulated = rng.binomial(trials.astype(np.int64), fitted, size=(n_bootstrap, len(n))).astype(np.float64)
    draws = _fit_many(n, simulated, trials)
    return LearningCurve(
        tuple(given),
        float(best[0]),
        float(best[1]),
        float(best[2]),
        tuple((float(a), float(b), float(c)) for a, b, c in draws),
        confidence,
        _warnings(given, best, draws, fitted),
    )


def _fit_many(n: FloatArray, errors: FloatArray, trials: FloatArray) -> FloatArray:
    """Fit many error vectors at once: `errors` of shape (s, m) to parameters of shape (s, 3)."""
    scale = n.min()
    x = (n / scale) ** -_EXPONENTS[:, None]  # (g, m)
    share = errors[:, None, :] / trials  # (s, 1, m)
    smooth = (errors + 0.5)[:, None, :] / (trials + 1)
    model = np.broadcast_to(smooth, (len(errors), len(_EXPONENTS), len(n)))
    slope = level = np.zeros(model.shape[:2])
    for _ in range(_N_REWEIGHTS):
        held = np.clip(model, 0.5 / trials, 1 - 0.5 / trials)
        slope, level = _weighted_line(x, share, trials / (held * (1 - held)))
        model = slope[..., None] * x + level[..., None]
    held = np.clip(model, 1e-9, 1 - 1e-9)
    wrong = errors[:, None, :]
    likelihood = (wrong * np.log(held) + (trials - wrong) * np.log1p(-held)).sum(axis=-1)  # (s, g)
    at = likelihood.argmax(axis=1)
    rows = np.arange(len(errors))
    b = _EXPONENTS[at]
    return np.stack([slope[rows, at] * scale**b, b, level[rows, at]], axis=1)


def _weighted_line(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least squares ``y = slope * x + level`` with both >= 0, over the last axis.

    The problem is convex, so where the free solution is outside, the best is on the edge it crossed.
    """
    w, wx, wy = weight.sum(-1), (weight * x).sum(-1), (weight * y).sum(-1)
    wxx, wxy = (weight * x * x).sum(-1), (weight * x * y).sum(-1)
    determinant = np.maximum(w * wxx - wx * wx, 1e-300)
    slope, level = (w * wxy - wx * wy) / determinant, (wxx * wy - wx * wxy) / determinant
    slope, level = np.where(level < 0, wxy / wxx, slope), np.maximum(level, 0.0)
    level = np.where(slope < 0, wy / w, level)
    return np.maximum(slope, 0.0), level


def _warnings(
    points: Sequence[CurvePoint], best: FloatArray, draws: FloatArray, fitted: FloatArray
) -> tuple[str, ...]:
    out: list[str] = []
    first, last = points[0], points[-1]
    spread = (
        first.error * (1 - first.error) / first.n_eval + last.error * (1 - last.error) / last.n_eval
    ) ** 0.5
    fall = first.error - last.error
    if fall < -2 * spread:
        out.append("the error does not fall with more calls: it rises")
    elif fall <= 2 * spread:
        out.append("the error does not fall beyond chance: the curve is flat over the range measured")
    if best[1] in (_EXPONENTS[0], _EXPONENTS[-1]):
        out.append(f"the exponent is at the edge of its range ({best[1]:.2f})")
    chi_square = sum(
        (point.n_errors - point.n_eval * p) ** 2 / max(point.n_eval * p * (1 - p), 0.25)
        for point, p in zip(points, fitted, strict=True)
    )
    freedom = max(1, len(points) - 3)
    if chi_square > freedom + 4 * (2 * freedom) ** 0.5:
        out.append("the points do not lie on a power law")
    if not out and float(np.mean(draws[:, 2] < 1e-6)) > 0.25 and best[2] > 1e-6:
        out.append("the irreducible error is not determined by these points: it could be 0")
    return tuple(out)
