"""A figure with its standard error and interval, or the reason why it has none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["NO_COVARIANCE", "Estimate", "estimate_from_draws"]

NO_COVARIANCE = "constants carry no covariance"
"""Why a figure from published constants has no interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One figure.

    Attributes
    ----------
    value
        The figure itself.
    standard_error
        ``None`` where it is not known.
    lower, upper
        Ends of the interval, or ``None`` with `reason`.
    confidence
        Of the interval; ``None`` without one.
    reason
        Why there is no interval.
    """

    value: float
    standard_error: float | None = None
    lower: float | None = None
    upper: float | None = None
    confidence: float | None = None
    reason: str | None = None

    def times(self, factor: float) -> Estimate:
        """The figure in another unit, `factor` (above 0) times as large."""
        assert factor > 0, "an interval would turn round"
        error, lower, upper = (
            None if one is None else one * factor for one in (self.standard_error, self.lower, self.upper)
        )
        return Estimate(self.value * factor, error, lower, upper, self.confidence, self.reason)

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def estimate_from_draws(value: float, draws: npt.NDArray[np.float64], confidence: float) -> Estimate:
    """A figure with the percentile interval and the standard deviation of its bootstrap draws.

    Draws that are not finite (a resample in which the figure does not exist) count as beyond the upper end,
    so a figure that does not exist in too many resamples has no upper end.
    """
    if not len(draws):
        return Estimate(value, reason="no bootstrap draws")
    tail = (1 - confidence) / 2
    known = np.where(np.isfinite(draws), draws, np.inf)
    lower, upper = np.quantile(known, [tail, 1 - tail], method="inverted_cdf")
    if not (np.isfinite(lower) and np.isfinite(upper)):
        share = float(np.isfinite(draws).mean())
        return Estimate(value, reason=f"the figure exists in only {share:.0%} of the bootstrap draws")
    spread = float(np.std(draws[np.isfinite(draws)], ddof=1)) if len(draws) > 1 else None
    return Estimate(value, spread, float(lower), float(upper), confidence)
