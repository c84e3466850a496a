"""Bootstrap of a parametric fit: runs drawn with replacement, the law fitted again, everything derived anew.

Intervals are percentiles; standard errors are standard deviations over the draws, as in Besiroglu et al. 2024
(arXiv 2404.10102), who drew 4,000 times from their 240 points. Each refit starts from the optimum of all runs.
It takes runs as independent: runs that share a batch of data, or are checkpoints of one run, are not, and make
the intervals too narrow. An error that all runs share (a wrong law, a wrong count of parameters) is not in
them at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.economics.scaling.estimate import Estimate, estimate_from_draws
from understudy.economics.scaling.flop import check_positive
from understudy.economics.scaling.law import ScalingLaw
from understudy.economics.scaling.parametric import ParametricFit, refit_weighted
from understudy.errors import ConfigError

__all__ = ["CONSTANTS", "LawDraws", "bootstrap_fit"]

FloatArray = npt.NDArray[np.float64]
CONSTANTS = ("E", "A", "B", "alpha", "beta")


@dataclass(frozen=True, slots=True)
class LawDraws:
    """Laws that the resampled runs give.

    Attributes
    ----------
    law
        Of all runs.
    draws
        Rows (E, A, B, alpha, beta), shape (n_draws, 5); NaN where a resample gave no finite law.
    confidence
        Of all intervals.
    seed
        Of the resampling.
    """

    law: ScalingLaw
    draws: FloatArray = field(repr=False)
    confidence: float
    seed: int

    def __len__(self) -> int:
        return len(self.draws)

    @property
    def laws(self) -> list[ScalingLaw]:
        """The draws that are laws."""
        is_law = np.isfinite(self.draws).all(axis=1)
        return [ScalingLaw(*row) for row in self.draws[is_law].tolist()]

    def constants(self) -> dict[str, Estimate]:
        """E, A, B, alpha and beta with standard errors and intervals."""
        values = self.law.to_dict()
        return {
            name: estimate_from_draws(values[name], self.draws[:, at], self.confidence)
            for at, name in enumerate(CONSTANTS)
        }

    def derive(self, figure: Callable[[ScalingLaw], float | None]) -> Estimate | None:
        """Any figure of a law, with its interval.

        Parameters
        ----------
        figure
            Law to number, or ``None`` where the law has no such number.

        Returns
        -------
        Estimate or None
            ``None`` where the law of all runs has no such number.
        """
        value = figure(self.law)
        if value is None:
            return None
        found = [figure(law) for law in self.laws]
        missing = [np.nan] * (len(self) - len(found))
        numbers = [np.nan if number is None else number for number in found] + missing
        return estimate_from_draws(value, np.array(numbers, dtype=np.float64), self.confidence)

    def exponents(self) -> dict[str, Estimate]:
        """Exponents a and b of ``N_opt ~ C**a`` and ``D_opt ~ C**b``."""
        size = self.derive(lambda law: law.parameters_exponent)
        data = self.derive(lambda law: law.tokens_exponent)
        assert size is not None
        assert data is not None
        return {"parameters_exponent": size, "tokens_exponent": data}

    def tokens_per_parameter(self, flops: float) -> Estimate:
        """``D_opt / N_opt`` at a budget."""
        check_positive("flops", flops)
        found = self.derive(lambda law: law.compute_optimal(flops).tokens_per_parameter)
        assert found is not None
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the draws."""
        figures = {**self.constants(), **self.exponents()}
        return {
            "draws": len(self), "confidence": self.confidence, "seed": self.seed,
            "estimates": {name: figure.to_dict() for name, figure in figures.items()},
        }  # fmt: skip


def bootstrap_fit(
    fit: ParametricFit, *, n_draws: int = 1000, confidence: float = 0.9, seed: int = 0
) -> LawDraws:
    """Draw the runs of a fit with replacement and fit each draw.

    Parameters
    ----------
    fit
        From :func:`~understudy.economics.scaling.parametric.fit_parametric`; runs that its outlier rule left
        out stay out.
    n_draws
        Resamples, 2 or more.
    confidence
        Of the intervals, in (0, 1).
    seed
        Of the resampling.

    Raises
    ------
    ConfigError
        If an option is out of range.
    """
    if n_draws < 2:
        raise ConfigError("n_draws of a bootstrap must be 2 or more", given=repr(n_draws))
    if not 0 < confidence < 1:
        raise ConfigError("confidence must be above 0 and below 1", given=repr(confidence))
    rng = np.random.default_rng(seed)
    n = fit.n_runs
    weights = rng.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(np.float64)
    points, _ = refit_weighted(fit, weights)
    with np.errstate(over="ignore"):
        a, b, e = np.exp(points[:, :3]).T
    draws = np.stack([e, a, b, points[:, 3], points[:, 4]], axis=1)
    is_law = np.isfinite(draws).all(axis=1) & (draws[:, 1:] > 0).all(axis=1)
    draws[~is_law] = np.nan
    return LawDraws(fit.law, draws, confidence, seed)
