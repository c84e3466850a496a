"""Approach 2: at each FLOP budget a parabola of loss in log N; its lowest points give ``N_opt ~ C**a``.

Source: Hoffmann et al. 2022 (arXiv 2203.15556), section 3.2. The true valley is no parabola, so its lowest
point is off by an amount that grows with the range of sizes and with the distance of its middle from the
optimum; the interval is the scatter of the lowest points around the power law and does not hold that bias
where all budgets share it. Keep the sizes within a factor of ten or so around the optimum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.economics.scaling.flop import TRAINING_FLOP
from understudy.economics.scaling.power import PowerLaw, fit_power_law
from understudy.economics.scaling.runs import TrainingRuns
from understudy.errors import ConfigError, DataError

__all__ = ["IsoflopCurve", "IsoflopFit", "fit_isoflops"]

FloatArray = npt.NDArray[np.float64]
_FEWEST_RUNS = 4
"""A parabola has three constants; a fourth run shows how well it fits."""


@dataclass(frozen=True, slots=True)
class IsoflopCurve:
    """The parabola of one budget.

    Attributes
    ----------
    training_flops
        The budget: geometric mean of its runs.
    n_runs
        Runs fitted.
    curvature
        Of the loss per squared log N; ``None`` where no parabola could be fitted.
    parameters, tokens, loss
        At the lowest point; ``None`` with `reason`.
    log_std
        Standard error of log N there by the delta method, from the residuals of this parabola; ``None``
        without a residual degree of freedom.
    residual_std
        Of the loss around the parabola.
    reason
        Why the budget gives no optimum.
    """

    training_flops: float
    n_runs: int
    curvature: float | None = None
    parameters: float | None = None
    tokens: float | None = None
    loss: float | None = None
    log_std: float | None = None
    residual_std: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class IsoflopFit:
    """All budgets and the power laws through their optima.

    Attributes
    ----------
    curves
        By budget, those without an optimum included.
    parameters_law, tokens_law
        ``N_opt ~ C**a`` and ``D_opt ~ C**b``, with ``a + b = 1``.
    n_outside
        Runs at no budget, left out.
    """

    curves: tuple[IsoflopCurve, ...]
    parameters_law: PowerLaw
    tokens_law: PowerLaw
    n_outside: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "curves": [asdict(curve) for curve in self.curves],
            "parameters_law": self.parameters_law.to_dict(), "tokens_law": self.tokens_law.to_dict(),
            "runs_outside": self.n_outside,
        }  # fmt: skip


def fit_isoflops(
    runs: TrainingRuns,
    *,
    budgets: Sequence[float] | None = None,
    tolerance: float = 0.1,
    confidence: float = 0.9,
) -> IsoflopFit:
    """Fit a parabola per budget and a power law through the optima.

    Parameters
    ----------
    runs
        Runs at several budgets.
    budgets
        FLOP; a run belongs to the nearest one if it lies within `tolerance` of it. ``None``: runs whose FLOP
        follow each other within `tolerance` make a budget.
    tolerance
        Relative, in (0, 1).
    confidence
        Of the intervals.

    Raises
    ------
    ConfigError
        If `tolerance` or a budget is out of range.
    DataError
        If fewer than 3 budgets have an optimum inside the sizes tried.
    """
    if not 0 < tolerance < 1:
        raise ConfigError("tolerance must be above 0 and below 1", given=repr(tolerance))
    groups = _groups(np.log(runs.flops), budgets, math.log1p(tolerance))
    curves = tuple(_curve(runs.take(rows)) for rows in groups)
    found = [curve for curve in curves if curve.parameters is not None]
    if len(found) < 3:
        reasons = "; ".join(sorted({curve.reason for curve in curves if curve.reason})) or "no budgets"
        raise DataError(
            "a power law of optima needs at least 3 budgets with an optimum",
            given=f"{len(found)} of {len(curves)}: {reasons}",
            todo="run at least 4 sizes on both sides of the optimum at each budget",
        )
    flops = [curve.training_flops for curve in found]
    sizes = [curve.parameters for curve in found if curve.parameters is not None]
    data = [curve.tokens for curve in found if curve.tokens is not None]
    return IsoflopFit(
        curves,
        fit_power_law(flops, sizes, confidence=confidence),
        fit_power_law(flops, data, confidence=confidence),
        len(runs) - sum(len(rows) for rows in groups),
    )


def _groups(
    log_flops: FloatArray, budgets: Sequence[float] | None, width: float
) -> list[npt.NDArray[np.intp]]:
    """Rows per budget, by budget."""
    if budgets is None:
        order = np.argsort(log_flops, kind="stable")
        breaks = np.flatnonzero(np.diff(log_flops[order]) > width) + 1
        return [np.sort(part) for part in np.split(order, breaks) if part.size]
    levels = np.sort(np.asarray(list(budgets), dtype=np.float64))
    if not levels.size or not (np.isfinite(levels) & (levels > 0)).all():
        raise ConfigError("budgets must be finite FLOP above 0", given=repr(list(budgets))[:80])
    distance = np.abs(log_flops[:, None] - np.log(levels))
    nearest = distance.argmin(axis=1)
    is_near = distance.min(axis=1) <= width
    return [np.flatnonzero(is_near & (nearest == level)) for level in range(len(levels))]


def _curve(runs: TrainingRuns) -> IsoflopCurve:
    """The parabola ``loss = c0 + c1 x + c2 x**2`` with x the log size from its middle."""
    n = len(runs)
    flops = float(np.exp(np.log(runs.flops).mean())) if n else math.nan
    if n < _FEWEST_RUNS or len(np.unique(runs.parameters)) < _FEWEST_RUNS:
        return IsoflopCurve(flops, n, reason=f"fewer than {_FEWEST_RUNS} sizes at a budget")
    log_size = np.log(runs.parameters)
    centre = float(log_size.mean())
    x = log_size - centre
    design = np.stack([np.ones(n), x, x * x], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    c0, c1, c2 = inverse @ design.T @ runs.loss
    if c2 <= 0:
        return IsoflopCurve(flops, n, float(c2), reason="the loss has no lowest point in size")
    lowest = -c1 / (2 * c2)
    if not x.min() < lowest < x.max():
        return IsoflopCurve(flops, n, float(c2), reason="the lowest point lies outside the sizes tried")
    residual = runs.loss - design @ np.array([c0, c1, c2])
    variance = float(residual @ residual) / (n - 3)
    slope = np.array([0.0, -1 / (2 * c2), c1 / (2 * c2 * c2)])
    parameters = math.exp(centre + lowest)
    return IsoflopCurve(
        flops,
        n,
        float(c2),
        parameters,
        flops / (TRAINING_FLOP * parameters),
        float(c0 - c1 * c1 / (4 * c2)),
        math.sqrt(variance * float(slope @ inverse @ slope)),
        math.sqrt(variance),
    )
