"""Fits a ruler on a reference family: both stages, and both again on every bootstrap draw.

Draws are of residuals: the fitted family with its errors dealt out anew, each model's error of loss and of score
together, widened for the parameters spent and, draw by draw, for not knowing the scatter itself (as Student's t
is wider than the normal); both stages are fitted again on each. In simulated families this came closest to its
level; drawing whole models was two to three times as wide beyond the family, whose largest models a third of such
draws lose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.density.family import FamilyPoint
from understudy.density.loss_law import DELTA, LawEvidence, LossLaw, compare_laws, fit_law, fit_laws
from understudy.density.ruler import Ruler
from understudy.density.sigmoid import Sigmoid, check_ends, fit_sigmoid, fit_sigmoids
from understudy.density.solver import FloatArray
from understudy.errors import ConfigError, DataError

__all__ = ["N_DRAWS", "fit_ruler"]

N_DRAWS = 200


def fit_ruler(
    points: Sequence[FamilyPoint],
    *,
    name: str = "reference family",
    loss_name: str = "loss",
    score_name: str = "score",
    chance: float = 0.0,
    lower: float | None = None,
    upper: float | None = 1.0,
    irreducible: bool | None = None,
    law: LossLaw | None = None,
    law_source: str = "given",
    delta: float = DELTA,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> Ruler:
    """Fit both stages.

    Parameters
    ----------
    points
        The family's models at the end of their training. All with a loss, unless `law` is given.
    chance
        Score of guessing, the least that a fitted lower end may be.
    lower, upper
        Fixed ends of the sigmoid; ``None`` to fit. `upper` is 1 by default: small models do not tell it.
    irreducible
        Whether the loss law has an E; ``None`` to let the error on held-out largest models decide, or Akaike's
        criterion where there are too few models to hold any out.
    law
        A loss law that is given instead of fitted (its uncertainty is then not in any interval), for families
        whose loss is not published.
    law_source
        What `law` is, in words.
    delta
        Huber's delta on log loss.
    n_draws, seed
        Of the bootstrap; 0 draws for no intervals.

    Raises
    ------
    DataError
        If points are too few or do not differ, a loss is missing, or scores do not fall with loss.
    ConfigError
        If a setting is out of range.
    """
    check_ends(chance, lower, upper)
    if n_draws < 0 or not (math.isfinite(delta) and delta > 0):
        raise ConfigError("n_draws must be 0 or more and delta above 0", given=f"{n_draws}, {delta}")
    given = list(points)
    n = np.array([point.n_parameters for point in given])
    d = np.array([point.n_tokens for point in given])
    evidence: tuple[LawEvidence, ...] = ()
    if law is None:
        loss = _losses(given)
        evidence = compare_laws(n, d, loss, delta=delta)
        has_irreducible, why = _choose(evidence, irreducible)
        fitted = fit_law(n, d, loss, has_irreducible=has_irreducible, delta=delta)
    else:
        fitted, why = law, f"not fitted: {law_source}; its uncertainty is in no interval"
        loss = _predicted(law, n, d)
    has_score = np.array([point.score is not None for point in given])
    sigmoid = None
    score = np.array([math.nan if point.score is None else point.score for point in given])
    if has_score.any():
        sigmoid = fit_sigmoid(loss[has_score], score[has_score], chance=chance, lower=lower, upper=upper)
    elif law is not None:
        raise DataError("with a given loss law the models need scores", todo="name the score column")
    draws = _draws(
        n, d, loss, score, fitted, sigmoid, _Settings(chance, lower, upper, law is None, delta), n_draws, seed
    )
    return Ruler(
        name=name,
        loss_name=loss_name,
        score_name=score_name if sigmoid is not None else None,
        law=fitted,
        sigmoid=sigmoid,
        chance=chance,
        size_range=(float(n.min()), float(n.max())),
        token_range=(float(d.min()), float(d.max())),
        n_points=len(given),
        draws=tuple(tuple(float(value) for value in row) for row in draws),
        evidence=evidence,
        law_choice=why,
        rms_log_loss=None if law is not None else _rms(np.log(loss) - np.log(_predicted(fitted, n, d))),
        rms_score=None if sigmoid is None else _rms(score[has_score] - _scores(sigmoid, loss[has_score])),
    )


@dataclass(frozen=True, slots=True)
class _Settings:
    chance: float
    lower: float | None
    upper: float | None
    is_law_fitted: bool
    delta: float


def _losses(points: Sequence[FamilyPoint]) -> FloatArray:
    missing = [at for at, point in enumerate(points, start=1) if point.loss is None]
    if missing:
        raise DataError(
            "every model of the family needs a loss",
            given=f"{len(missing)} of {len(points)} have none (the first is number {missing[0]})",
            todo="name the loss column, leave those models out, or take a published loss law (--law)",
        )
    return np.array([point.loss for point in points], dtype=np.float64)


def _choose(evidence: tuple[LawEvidence, ...], irreducible: bool | None) -> tuple[bool, str]:
    without, with_e = evidence
    if irreducible is not None:
        return irreducible, f"as asked, {'with' if irreducible else 'without'} an irreducible term"
    if without.held_out_rms_log_error is not None and with_e.held_out_rms_log_error is not None:
        gap = (with_e.held_out_rms_log_error, without.held_out_rms_log_error)
        is_better = gap[0] <= gap[1]
        return is_better, (
            f"{'with' if is_better else 'without'} an irreducible term: error on the largest models, fitted without "
            f"them, {100 * gap[0]:.2f} % with and {100 * gap[1]:.2f} % without"
        )
    if without.aicc is not None and with_e.aicc is not None:
        is_better = with_e.aicc <= without.aicc
        return is_better, f"{'with' if is_better else 'without'} an irreducible term, by Akaike's criterion"
    return False, "without an irreducible term: too few models to tell"


def _predicted(law: LossLaw, n: FloatArray, d: FloatArray) -> FloatArray:
    return np.asarray(law.a * n**-law.alpha + law.b * d**-law.beta + law.e, dtype=np.float64)


def _scores(sigmoid: Sigmoid, losses: FloatArray) -> FloatArray:
    return np.array([sigmoid.score(float(loss)) for loss in losses.ravel()]).reshape(losses.shape)


def _rms(errors: FloatArray) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _widened(residuals: FloatArray, n_fitted: int) -> FloatArray:
    """Centred, and scaled up for the parameters that the fit spent on them."""
    count = len(residuals)
    return np.asarray((residuals - residuals.mean()) * math.sqrt(count / max(count - n_fitted, 1)))


def _spread(rng: np.random.Generator, freedom: int, n_draws: int) -> FloatArray:
    """How far the true scatter may be above or below the one seen, per draw; shape (draws, 1)."""
    freedom = max(freedom, 1)
    return np.asarray(np.sqrt(freedom / rng.chisquare(freedom, size=(n_draws, 1))))


def _draws(
    n: FloatArray,
    d: FloatArray,
    loss: FloatArray,
    score: FloatArray,
    law: LossLaw,
    sigmoid: Sigmoid | None,
    settings: _Settings,
    n_draws: int,
    seed: int,
) -> FloatArray:
    """Rows (draws, 9): both stages fitted again on families with errors dealt out anew."""
    if n_draws == 0:
        return np.empty((0, 9))
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(n), size=(n_draws, len(n)))
    n_law = 5 if law.e > 0 else 4
    fitted_loss = _predicted(law, n, d)
    if settings.is_law_fitted:
        errors = _widened(np.log(loss) - np.log(fitted_loss), n_law)
        losses = fitted_loss * np.exp(errors[picks] * _spread(rng, len(n) - n_law, n_draws))
        laws = fit_laws(n, d, losses, has_irreducible=law.e > 0, delta=settings.delta, near=law)
    else:
        losses = np.tile(fitted_loss, (n_draws, 1))
        laws = np.tile(law.row(), (n_draws, 1))
    if sigmoid is None:
        return np.hstack([laws, np.full((n_draws, 4), np.nan)])
    known = ~np.isnan(score)
    n_fitted = 2 + (settings.lower is None) + (settings.upper is None)
    errors = np.zeros(len(n))
    errors[known] = _widened(score[known] - _scores(sigmoid, loss[known]), n_fitted)
    if known.all():
        dealt = errors[picks]
    else:  # a model without a score has no error of score to deal out
        dealt = errors[rng.choice(np.flatnonzero(known), size=(n_draws, len(n)))]
    dealt = dealt * _spread(rng, int(known.sum()) - n_fitted, n_draws)
    scores = np.clip(_scores(sigmoid, losses) + dealt, 0.0, 1.0)[:, known]
    sigmoids = fit_sigmoids(
        losses[:, known], scores, chance=settings.chance, lower=settings.lower, upper=settings.upper
    )
    return np.hstack([laws, sigmoids])
