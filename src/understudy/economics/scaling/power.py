"""A power law ``value = coefficient * C**exponent`` by least squares in logarithms, with Student intervals.

Exact where the log residuals are independent and normal with one variance (or variances in the given
proportion). It knows nothing of how the values were found: an error that all of them share is not in the
interval.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.economics.scaling.estimate import Estimate
from understudy.economics.scaling.flop import check_positive
from understudy.errors import ConfigError, DataError, MissingDependencyError

__all__ = ["PowerLaw", "fit_power_law"]

FloatArray = npt.NDArray[np.float64]
_FEWEST_POINTS = 3
"""Two points always lie on a power law, and leave nothing to judge it by."""


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """A fitted power law.

    Attributes
    ----------
    coefficient
        Value at ``C = 1``; far outside the data, so of no use by itself.
    exponent
        With its standard error and interval.
    residual_std
        Of the log residuals, with n - 2 degrees of freedom.
    n_points
        Points fitted.
    confidence
        Of the intervals.
    """

    coefficient: float
    exponent: Estimate
    residual_std: float
    n_points: int
    confidence: float
    log_centre: float
    covariance: tuple[float, float]
    """Variances of the log value at the centre and of the exponent; around the centre they are independent."""

    def predict(self, flops: float) -> Estimate:
        """The law at `flops`, with the interval of the law itself (not of a single further point)."""
        shift = math.log(check_positive("flops", flops)) - self.log_centre
        half = _t_quantile(self.confidence, self.n_points - 2) * math.sqrt(
            self.covariance[0] + self.covariance[1] * shift**2
        )
        value = self.coefficient * flops**self.exponent.value
        return Estimate(value, None, value * math.exp(-half), value * math.exp(half), self.confidence)

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def fit_power_law(
    flops: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    log_std: npt.ArrayLike | None = None,
    confidence: float = 0.9,
) -> PowerLaw:
    """Fit a power law.

    Parameters
    ----------
    flops, values
        Shape (n,), n of 3 or more, above 0.
    log_std
        Standard deviations of the log values, up to a common factor: they set weights, and the scatter
        around the line sets the level.
    confidence
        Of the intervals, in (0, 1).

    Raises
    ------
    ConfigError
        If `confidence` is out of range.
    DataError
        If there are too few points, all at one budget, or values that are not finite and above 0.
    MissingDependencyError
        If scipy is not installed.
    """
    if not 0 < confidence < 1:
        raise ConfigError("confidence must be above 0 and below 1", given=repr(confidence))
    x, y, weight = _log_columns(flops, values, log_std)
    centre, level = (float(np.average(column, weights=weight)) for column in (x, y))
    spread = float((weight * (x - centre) ** 2).sum())
    if spread <= 1e-12 * len(x):
        raise DataError("a power law needs points at more than one FLOP budget")
    exponent = float((weight * (x - centre) * (y - level)).sum()) / spread
    residual = y - level - exponent * (x - centre)
    variance = float((weight * residual**2).sum()) / (len(x) - 2)
    error = math.sqrt(variance / spread)
    half = _t_quantile(confidence, len(x) - 2) * error
    return PowerLaw(
        math.exp(level - exponent * centre),
        Estimate(exponent, error, exponent - half, exponent + half, confidence),
        math.sqrt(variance),
        len(x),
        confidence,
        centre,
        (variance / float(weight.sum()), variance / spread),
    )


def _log_columns(
    flops: npt.ArrayLike, values: npt.ArrayLike, log_std: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log FLOP, log values and weights of mean 1, after checks."""
    columns = [np.asarray(column, dtype=np.float64) for column in (flops, values)]
    columns.append(np.ones_like(columns[0]) if log_std is None else np.asarray(log_std, dtype=np.float64))
    for name, column in zip(("flops", "values", "log_std"), columns, strict=True):
        if column.shape != columns[0].shape or column.ndim != 1:
            raise DataError(f"{name} of a power law must be one column like flops", given=f"{column.shape}")
        if not (np.isfinite(column) & (column > 0)).all():
            raise DataError(f"{name} of a power law must be finite and above 0")
    if len(columns[0]) < _FEWEST_POINTS:
        raise DataError(f"a power law needs at least {_FEWEST_POINTS} points", given=f"{len(columns[0])}")
    weight = columns[2] ** -2
    return np.log(columns[0]), np.log(columns[1]), np.asarray(weight / weight.mean(), dtype=np.float64)


def _t_quantile(confidence: float, freedom: int) -> float:
    """Student's quantile of a two-sided interval."""
    try:
        from scipy.special import stdtrit
    except ImportError:
        raise MissingDependencyError.of("scipy", "learn") from None
    return float(stdtrit(freedom, (1 + confidence) / 2))
