"""A scaling law from one's own training runs: approach 3 with its bootstrap, and what speaks against it.

Which law a plan goes by is chosen here. Whether the runs are alike (one recipe, one tokeniser, one text) it cannot
know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.economics.scaling.bootstrap import LawDraws, bootstrap_fit
from understudy.economics.scaling.constants import DEFAULT_CONSTANTS
from understudy.economics.scaling.optimum import PlanLaw, fitted_law, published_law
from understudy.economics.scaling.parametric import ParametricFit, fit_parametric
from understudy.economics.scaling.runs import TrainingRuns, read_runs
from understudy.errors import ConfigError

__all__ = ["RunsFit", "choose_law", "fit_runs"]

_COLUMNS = ("parameters", "tokens", "flops", "loss")


@dataclass(frozen=True, slots=True)
class RunsFit:
    """A law fitted to runs.

    Attributes
    ----------
    path
        Of the file.
    runs
        All of them, also those that the rule for outliers leaves out.
    fit, draws, law
        The fit, its bootstrap, and both as a law to plan by.
    """

    path: str
    runs: TrainingRuns
    fit: ParametricFit
    draws: LawDraws
    law: PlanLaw

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the runs and the draws."""
        return {
            "runs_file": self.path,
            **self.fit.to_dict(),
            "bootstrap": self.draws.to_dict(),
            "warnings": list(self.law.warnings),
        }


def fit_runs(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    outliers: str = "none",
    n_draws: int = 1000,
    confidence: float = 0.9,
    seed: int = 0,
) -> RunsFit:
    """Fit the law to a CSV file of runs.

    Parameters
    ----------
    path
        With a header; see :func:`~understudy.economics.scaling.runs.read_runs`.
    columns
        Names of columns: ``parameters``, ``tokens`` or ``flops``, ``loss``. What is left out has its own name;
        `flops` replaces `tokens`.
    outliers
        A rule of :func:`~understudy.economics.scaling.outliers.drop_outliers`.
    n_draws, confidence, seed
        Of the bootstrap.

    Raises
    ------
    ConfigError
        If an option or the name of a column is wrong.
    DataError
        If the runs cannot be read, or do not determine a law.
    """
    named = dict(columns or {})
    unknown = sorted(set(named) - set(_COLUMNS))
    if unknown:
        raise ConfigError(
            "runs have no such column", given=", ".join(unknown), todo=f"name {', '.join(_COLUMNS)}"
        )
    if {"tokens", "flops"} <= set(named):
        raise ConfigError("a run's data are given once", given="tokens and flops", todo="name one of the two")
    runs = read_runs(path, **named)
    fit = fit_parametric(runs, outliers=outliers, seed=seed)
    draws = bootstrap_fit(fit, n_draws=n_draws, confidence=confidence, seed=seed)
    return RunsFit(str(path), runs, fit, draws, fitted_law(fit, draws))


def choose_law(
    constants_name: str | None, runs: str | Path | None, **options: Any
) -> tuple[PlanLaw, RunsFit | None]:
    """The law to plan by: fitted to `runs`, or published.

    Parameters
    ----------
    constants_name
        A published set of an additive law; ``None`` for the default.
    runs
        A file of runs; not beside `constants_name`.
    options
        Of :func:`fit_runs`; only with `runs`. Those that are ``None`` or empty count as not given.

    Raises
    ------
    ConfigError
        If both are given, or options of a fit without runs.
    """
    given = {name: value for name, value in options.items() if value is not None and value != {}}
    if runs is None:
        if given:
            names = ", ".join(name.replace("n_draws", "draws") for name in given)
            raise ConfigError("these belong to a fit of your own runs", given=names, todo="give --runs FILE")
        return published_law(constants_name or DEFAULT_CONSTANTS), None
    if constants_name is not None:
        raise ConfigError(
            "a law is fitted to your runs or published, not both",
            given=f"runs {runs}, constants {constants_name}",
            todo="give --runs or --constants",
        )
    found = fit_runs(runs, **given)
    return found.law, found
