"""How fast the best density doubles: ``ln(rho_max) = A * t + B`` over the models that set a record.

Source: Xiao et al., "Densing law of LLMs" (arXiv 2412.04315). The interval is from drawing models with
replacement and finding the records anew; with the ruler's draws also from the ruler, the same for all models of a
draw. The choice of models (size, family) and of ruler moves the result more than either: both are carried along.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from understudy.density.solver import FloatArray
from understudy.economics.trends import TrendFit, fit_exponential
from understudy.errors import DataError

__all__ = ["CHATGPT_RELEASE", "DatedDensity", "DensityTrend", "fit_trend"]

CHATGPT_RELEASE = date(2022, 11, 30)
"""The break that arXiv 2412.04315 looks at."""


@dataclass(frozen=True, slots=True)
class DatedDensity:
    """One model.

    Attributes
    ----------
    name, family
        Of the model; `family` for choosing.
    day
        Release.
    rho
        Density, above 0; ``None`` where it could not be measured.
    n_parameters
        Actual size; ``None`` where unknown.
    draws
        Density by each of the ruler's draws; empty for none.
    reason
        Why there is no `rho`.
    """

    name: str
    day: date
    rho: float | None
    n_parameters: float | None = None
    family: str = ""
    draws: tuple[float, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DensityTrend:
    """A trend of the best density.

    Attributes
    ----------
    fit
        Over all days.
    before, after
        Parts of it on either side of `break_day`; ``None`` where there are records on fewer than two days.
    records
        Names of the models on the line.
    left_out
        (name, why) of models that are not in the fit.
    """

    fit: TrendFit
    before: TrendFit | None
    after: TrendFit | None
    break_day: date | None
    records: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def doubling_months(self) -> float | None:
        """Doubling time in months of 30.44 days."""
        return self.fit.doubling_months[0]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "fit": self.fit.to_dict(),
            "doubling_months": self.doubling_months,
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if self.after is None else self.after.to_dict(),
            "break_day": None if self.break_day is None else self.break_day.isoformat(),
            "records": list(self.records),
            "left_out": [list(pair) for pair in self.left_out],
        }


def fit_trend(
    models: Sequence[DatedDensity],
    *,
    max_parameters: float | None = None,
    min_parameters: float | None = None,
    families: Sequence[str] = (),
    without_families: Sequence[str] = (),
    break_day: date | None = CHATGPT_RELEASE,
    confidence: float = 0.9,
    n_draws: int = 500,
    seed: int = 0,
) -> DensityTrend:
    """Fit the trend.

    Parameters
    ----------
    models
        With dates; those without a density are left out and named.
    max_parameters, min_parameters
        Only models of this size.
    families, without_families
        Only, or not, these families.
    break_day
        Where to part the trend; ``None`` for nowhere.

    Raises
    ------
    DataError
        If fewer than two days have a record.
    """
    kept: list[DatedDensity] = []
    left_out: list[tuple[str, str]] = []
    for model in models:
        why = _why_not(model, max_parameters, min_parameters, families, without_families)
        if why is None:
            kept.append(model)
        else:
            left_out.append((model.name, why))
    if not kept:
        raise DataError("no model is left for the trend", given=f"{len(models)} models, all left out")
    rho = [float(model.rho) for model in kept if model.rho is not None]
    days = [model.day for model in kept]
    draws = _draws(kept)

    def fitted(since: date | None, until: date | None) -> TrendFit:
        return fit_exponential(
            days,
            rho,
            keep="highest",
            since=since,
            until=until,
            value_draws=draws,
            confidence=confidence,
            n_draws=n_draws,
            seed=seed,
            chosen=_chosen(len(kept), max_parameters, min_parameters, families, without_families),
        )

    fit = fitted(None, None)
    on_line = set(fit.used)
    names = [
        model.name
        for model in sorted(kept, key=lambda one: one.day)
        if (model.day.isoformat(), model.rho) in on_line
    ]
    return DensityTrend(
        fit,
        None if break_day is None else _or_none(fitted, None, break_day),
        None if break_day is None else _or_none(fitted, break_day, None),
        break_day,
        tuple(names),
        tuple(left_out),
    )


def _or_none(fitted: Any, since: date | None, until: date | None) -> TrendFit | None:
    try:
        found: TrendFit = fitted(since, until)
    except DataError:
        return None
    return found


def _draws(kept: Sequence[DatedDensity]) -> FloatArray | None:
    lengths = {len(model.draws) for model in kept}
    if lengths == {0}:
        return None
    if len(lengths) > 1:
        raise DataError("models of one trend need the same number of draws", given=str(sorted(lengths)))
    return np.array([model.draws for model in kept], dtype=np.float64).T


def _why_not(
    model: DatedDensity,
    most: float | None,
    least: float | None,
    families: Sequence[str],
    without: Sequence[str],
) -> str | None:
    if families and model.family not in families:
        return f"family {model.family or 'unknown'} was not chosen"
    if model.family in without:
        return f"family {model.family} was left out"
    if (most is not None or least is not None) and model.n_parameters is None:
        return "its size is unknown"
    if most is not None and model.n_parameters is not None and model.n_parameters > most:
        return f"larger than {most:.3g} parameters"
    if least is not None and model.n_parameters is not None and model.n_parameters < least:
        return f"smaller than {least:.3g} parameters"
    if model.rho is None:
        return model.reason or "its density is unknown"
    if not (math.isfinite(model.rho) and model.rho > 0):
        return "its density is not above 0"
    return None


def _chosen(
    count: int,
    most: float | None,
    least: float | None,
    families: Sequence[str],
    without: Sequence[str],
) -> str:
    parts = [f"{count} models"]
    if most is not None:
        parts.append(f"up to {most:.3g} parameters")
    if least is not None:
        parts.append(f"from {least:.3g} parameters")
    if families:
        parts.append(f"families {', '.join(families)}")
    if without:
        parts.append(f"without {', '.join(without)}")
    return ", ".join(parts)
