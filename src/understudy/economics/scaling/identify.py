"""When not to believe a fit: too few runs, too narrow a range, size and data that move together, runaway constants.

Each check is a plain rule with its reason; a fit without warnings is not proven right. The checks do not see
runs that differ in recipe, or losses measured on different texts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from understudy.economics.scaling.constants import outside_range
from understudy.economics.scaling.law import ScalingLaw
from understudy.economics.scaling.parametric import ParametricFit
from understudy.economics.scaling.runs import TrainingRuns
from understudy.errors import ConfigError

__all__ = ["extrapolation_warnings", "fit_warnings", "jacobian_condition", "runs_warnings"]

FloatArray = npt.NDArray[np.float64]

_COMFORTABLE_RUNS = 16
"""A resample of n runs holds some .63 n different ones: from 16 on the bootstrap still has 10, two per
constant."""
_FEWEST_SIZES = 4
_DECADE = 10.0
_COLLINEAR = 0.98
"""Correlation of log N and log D from which the size and data terms can trade places: at .98 a standard error
of either is five times that of an uncorrelated design (1 / sqrt(1 - r**2))."""
_LARGEST_CONDITION = 1e3
"""Of the Jacobian with columns of unit length. Hoffmann's 240 points have 33, a design at 15 and 25 tokens per
parameter 100; one at 20 alone has 4e5 and more, without bound as alpha and beta approach each other (the
degeneracy described in arXiv 2605.08541)."""
_PLAUSIBLE_EXPONENTS = (0.05, 1.0)
_SMALLEST_FLOOR = 0.1
"""E below this share of the lowest loss: no article has found a floor so low for text."""
_NEGLIGIBLE = 0.01
"""Share of the loss that a term must reach somewhere to be seen above noise of a per cent."""
_FEW_STARTS = 3


def runs_warnings(runs: TrainingRuns) -> tuple[str, ...]:
    """What the runs alone make impossible to tell, before any fit."""
    out: list[str] = []
    if len(runs) < _COMFORTABLE_RUNS:
        out.append(f"{len(runs)} runs for 5 constants: at least {_COMFORTABLE_RUNS} are wanted")
    n_sizes = len(np.unique(runs.parameters.round(-3)))
    if n_sizes < _FEWEST_SIZES:
        out.append(f"only {n_sizes} different sizes: alpha and E cannot be told apart with fewer than 4")
    for name, column in (("parameters", runs.parameters), ("tokens", runs.tokens)):
        ratio = float(column.max() / column.min())
        if ratio < _DECADE:
            out.append(f"{name} span a factor of {ratio:.1f}, under a decade: their exponent is a guess")
    correlation = _correlation(np.log(runs.parameters), np.log(runs.tokens))
    if correlation is not None and abs(correlation) >= _COLLINEAR:
        out.append(
            f"parameters and tokens move together (correlation {correlation:.3f} of their logarithms): "
            "the terms of size and of data cannot be separated; run sizes at several tokens per parameter"
        )
    return tuple(out)


def fit_warnings(fit: ParametricFit) -> tuple[str, ...]:
    """Everything that speaks against a fit; empty where nothing does."""
    out = list(runs_warnings(fit.runs))
    condition = jacobian_condition(fit.law, fit.runs)
    if condition > _LARGEST_CONDITION:
        out.append(
            f"the constants are not determined one by one (condition {condition:.1e} of the Jacobian): "
            "use figures derived inside the range of the runs, not A, B, alpha, beta themselves"
        )
    low, high = _PLAUSIBLE_EXPONENTS
    for name, exponent in (("alpha", fit.law.alpha), ("beta", fit.law.beta)):
        if not low <= exponent <= high:
            out.append(f"{name} = {exponent:.3g} has run out of the plausible range {low:g} to {high:g}")
    if fit.law.e < _SMALLEST_FLOOR * float(fit.runs.loss.min()):
        out.append(f"E = {fit.law.e:.3g} has run to 0: the runs do not reach far enough to show a floor")
    terms = (
        ("size", fit.law.a * fit.runs.parameters**-fit.law.alpha),
        ("data", fit.law.b * fit.runs.tokens**-fit.law.beta),
    )
    for name, term in terms:
        share = float((term / fit.runs.loss).max())
        if share < _NEGLIGIBLE:
            out.append(
                f"the term of {name} is nowhere more than {share:.2%} of the loss: it is not determined"
            )
    if fit.n_starts > _FEW_STARTS and fit.n_starts_at_optimum < _FEW_STARTS:
        out.append(
            f"only {fit.n_starts_at_optimum} of {fit.n_starts} starts reach the optimum: a better one may exist"
        )
    return tuple(out)


def extrapolation_warnings(runs: TrainingRuns, parameters: float, tokens: float) -> tuple[str, ...]:
    """Where a plan lies outside the runs that a law was fitted on."""
    if not len(runs):
        raise ConfigError("extrapolation is judged against runs, and there are none")
    return outside_range(
        "the fit", parameters, tokens,
        (float(runs.parameters.min()), float(runs.parameters.max())),
        (float(runs.tokens.min()), float(runs.tokens.max())),
    )  # fmt: skip


def jacobian_condition(law: ScalingLaw, runs: TrainingRuns) -> float:
    """Condition number of d(log L) / d(log A, log B, log E, alpha, beta) over the runs, columns scaled to one.

    The columns of alpha and beta are taken around the mean of log N and log D, as the fit takes them.
    """
    log_n, log_d = np.log(runs.parameters), np.log(runs.tokens)
    size, data = law.a * runs.parameters**-law.alpha, law.b * runs.tokens**-law.beta
    floor = np.full(len(runs), law.e)
    columns = [size, data, floor, -size * (log_n - log_n.mean()), -data * (log_d - log_d.mean())]
    jacobian = np.stack(columns, axis=1) / (size + data + floor)[:, None]
    lengths = np.linalg.norm(jacobian, axis=0)
    if (lengths == 0).any():
        return float("inf")
    return float(np.linalg.cond(jacobian / lengths))


def _correlation(x: FloatArray, y: FloatArray) -> float | None:
    """Pearson's, or ``None`` where a column does not vary."""
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0 else None
