"""Loss from size and data: ``L(N, D) = A / N**alpha + B / D**beta + E``, and the size that a loss takes.

Fitted by Huber's function on the logarithm of the loss from a grid of starts. Sources: Hoffmann et al., "Training
compute-optimal large language models" (2022), approach 3; for the loss on a benchmark's answers (bits per byte),
Bhagia et al., "Establishing task scaling laws via compute-efficient model ladders" (arXiv 2412.04403), step 1.
Whether there is an irreducible E is a choice that data near the reference family hardly settle and that decides
everything far from it: :func:`compare_laws` lays the evidence open. It holds for one recipe, one corpus and
one tokeniser; it does not know of learning rates, repeated data or mixture of experts.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.density.solver import FloatArray, huber_objective, minimise_huber
from understudy.errors import ConfigError, DataError

__all__ = [
    "DELTA",
    "LAWS",
    "LawEvidence",
    "LossLaw",
    "compare_laws",
    "fit_law",
    "fit_laws",
    "invert_law",
    "named_law",
    "objective_of",
]

DELTA = 1e-3
"""Huber's delta on log loss, as Hoffmann et al. (2022) set it."""
_ALPHAS = (0.1, 0.2, 0.35, 0.6)
_SHARES = (0.0, 0.3, 0.7)
"""Starts: the irreducible part as a share of the least loss."""
_STEPS, _STEPS_NEAR = (60, 60, 200), (30, 30, 60)
"""At most, per width of Huber's delta. Draws get fewer: measured, their objective is then 0.1 % above the best."""
_LEAST_APART = 0.1
"""Least spread of log tokens at a given size: a ladder of a constant 20 tokens per parameter has none."""
_BOUNDS = (0.02, 2.0)
"""Of both exponents: published ones are .05 to .6."""


@dataclass(frozen=True, slots=True)
class LossLaw:
    """A loss law.

    Attributes
    ----------
    a, alpha
        Size term: `a` in loss x parameters**alpha.
    b, beta
        Data term: `b` in loss x tokens**beta.
    e
        Irreducible loss; 0 where the law has none.
    """

    a: float
    alpha: float
    b: float
    beta: float
    e: float = 0.0

    def loss(self, n_parameters: float, n_tokens: float) -> float:
        """Loss of `n_parameters` trained on `n_tokens`."""
        return float(self.a * n_parameters**-self.alpha + self.b * n_tokens**-self.beta + self.e)

    def size_for(self, loss: float, n_tokens: float) -> float:
        """Parameters that reach `loss` with `n_tokens`; ``inf`` where no size does."""
        return float(invert_law(self.row()[None, :], np.array([loss]), n_tokens)[0])

    def row(self) -> FloatArray:
        """(a, alpha, b, beta, e)."""
        return np.array([self.a, self.alpha, self.b, self.beta, self.e])

    def to_dict(self) -> dict[str, float]:
        """JSON form."""
        return asdict(self)


LAWS: dict[str, tuple[LossLaw, str]] = {
    "hoffmann": (
        LossLaw(406.4, 0.34, 410.7, 0.28, 1.69),
        "Hoffmann et al. 2022 (arXiv 2203.15556), equation 10, exponents as printed; loss in nats per token",
    ),
    "epoch": (
        LossLaw(482.01, 0.3478, 2085.43, 0.3658, 1.8172),
        "Besiroglu et al. 2024 (arXiv 2404.10102), the same runs fitted again; loss in nats per token",
    ),
}
"""Published laws, by name, with their source. They stand in where a family's loss is not published."""


def named_law(name: str) -> tuple[LossLaw, str]:
    """A published law and its source.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in LAWS:
        raise ConfigError("unknown loss law", given=name, todo=f"one of {', '.join(sorted(LAWS))}")
    return LAWS[name]


def invert_law(rows: FloatArray, losses: FloatArray, n_tokens: float) -> FloatArray:
    """Parameters for which each law gives its loss; ``inf`` where none does. Shapes (m, 5), (m,) to (m,)."""
    a, alpha, b, beta, e = rows.T
    left = losses - e - b * n_tokens**-beta
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = (a / left) ** (1 / alpha)
    return np.asarray(np.where(left > 0, size, np.inf), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class LawEvidence:
    """How well one form of the law fits.

    Attributes
    ----------
    has_irreducible
        Whether the form has an E.
    n_parameters_fitted
        4 or 5.
    rms_log_error
        Root mean square of the log residuals over all points.
    aicc
        Akaike's criterion with the small-sample term, from Gaussian log residuals; lower is better. ``None`` where
        there are too few points for the term.
    held_out_rms_log_error
        The same error on the family's largest models, fitted without them; ``None`` where the rest is too little.
    """

    has_irreducible: bool
    n_parameters_fitted: int
    rms_log_error: float
    aicc: float | None
    held_out_rms_log_error: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def fit_laws(
    n: FloatArray,
    d: FloatArray,
    losses: FloatArray,
    *,
    has_irreducible: bool,
    delta: float = DELTA,
    near: LossLaw | None = None,
) -> FloatArray:
    """Fit many families at once: `losses` (m, points), sizes and tokens alike or (points,), to laws (m, 5).

    `near` replaces the grid of starts by one law and a few around it: for bootstrap draws.
    """
    log_n, log_d, log_loss = np.log(np.atleast_2d(n)), np.log(np.atleast_2d(d)), np.log(losses)
    centre_n, centre_d = float(log_n.mean()), float(log_d.mean())
    x, y = log_n - centre_n, log_d - centre_d

    def model(at: FloatArray) -> tuple[FloatArray, FloatArray]:
        terms = np.stack(
            [at[:, 0:1] - at[:, 1:2] * x, at[:, 2:3] - at[:, 3:4] * y, at[:, 4:5] + 0 * x], axis=-1
        )
        top = terms.max(axis=-1, keepdims=True)
        parts = np.exp(terms - top)
        total = parts.sum(axis=-1, keepdims=True)
        shares = parts / total
        jacobian = np.stack(
            [shares[..., 0], -shares[..., 0] * x, shares[..., 1], -shares[..., 1] * y, shares[..., 2]],
            axis=-1,
        )
        return (top + np.log(total))[..., 0], jacobian

    nothing = -60.0  # exp of it is no loss at all
    least = np.array([-40.0, _BOUNDS[0], -40.0, _BOUNDS[0], nothing])
    most = np.array([40.0, _BOUNDS[1], 40.0, _BOUNDS[1], 20.0 if has_irreducible else nothing])
    starts = (
        _starts(losses, has_irreducible, nothing)
        if near is None
        else _starts_near(near, centre_n, centre_d, has_irreducible, nothing)
    )
    m, s = len(losses), len(starts)
    targets = np.repeat(log_loss, s, axis=0)
    if len(x) > 1:  # every family has a design of its own
        x, y = np.repeat(x, s, axis=0), np.repeat(y, s, axis=0)
    at = np.tile(starts, (m, 1))
    for width, n_steps in zip((100, 10, 1), _STEPS if near is None else _STEPS_NEAR, strict=True):
        # From nearly squares to the wanted delta.
        at, value = minimise_huber(
            model, targets, at, delta=width * delta, lower=least, upper=most, n_steps=n_steps
        )
    best = value.reshape(m, s).argmin(axis=1)
    found = at.reshape(m, s, 5)[np.arange(m), best]
    return np.stack(
        [
            np.exp(found[:, 0] + found[:, 1] * centre_n),
            found[:, 1],
            np.exp(found[:, 2] + found[:, 3] * centre_d),
            found[:, 3],
            np.exp(found[:, 4]) if has_irreducible else np.zeros(m),
        ],
        axis=1,
    )


def _starts(losses: FloatArray, has_irreducible: bool, nothing: float) -> FloatArray:
    least, middle = float(losses.min()), float(np.median(losses))
    rows = []
    for share in _SHARES if has_irreducible else (0.0,):
        rest = max(middle - share * least, 1e-3 * middle) / 2
        level = math.log(share * least) if share else (math.log(1e-3 * least) if has_irreducible else nothing)
        rows += [
            (math.log(rest), alpha, math.log(rest), beta, level) for alpha in _ALPHAS for beta in _ALPHAS
        ]
    return np.array(rows)


def _starts_near(
    near: LossLaw, centre_n: float, centre_d: float, has_irreducible: bool, nothing: float
) -> FloatArray:
    row = np.array(
        [
            math.log(near.a) - near.alpha * centre_n,
            near.alpha,
            math.log(near.b) - near.beta * centre_d,
            near.beta,
            math.log(max(near.e, 1e-12)) if has_irreducible else nothing,
        ]
    )
    shifts = np.array(
        [[0, 0, 0, 0, 0], [0.3, 0.1, 0, 0, -0.5], [0, 0, 0.3, 0.1, -0.5], [0.0, 0.05, 0, 0.05, 0.3]]
    )
    if not has_irreducible:
        shifts[:, 4] = 0
    return np.asarray(row + shifts, dtype=np.float64)


def fit_law(
    n: FloatArray, d: FloatArray, loss: FloatArray, *, has_irreducible: bool, delta: float = DELTA
) -> LossLaw:
    """One law from points of shape (n,).

    Raises
    ------
    DataError
        If there are fewer points than parameters, or sizes or token counts do not differ.
    """
    _check_design(n, d, 5 if has_irreducible else 4)
    row = fit_laws(n, d, loss[None, :], has_irreducible=has_irreducible, delta=delta)[0]
    return LossLaw(*(float(value) for value in row))


def _check_design(n: FloatArray, d: FloatArray, n_fitted: int) -> None:
    if len(n) < n_fitted:
        raise DataError(
            f"a loss law with {n_fitted} parameters needs at least as many points", given=f"{len(n)} points"
        )
    fault = _design_fault(n, d)
    if fault is not None:
        raise DataError(
            fault,
            given=f"{len(n)} models, {(d / n).min():.3g} to {(d / n).max():.3g} tokens per parameter",
            todo="add models that differ, or take a published loss law (--law)",
        )


def _design_fault(n: FloatArray, d: FloatArray) -> str | None:
    """Why these sizes and token counts cannot tell two terms apart; ``None`` where they can."""
    for values, name in ((n, "sizes"), (d, "token counts")):
        if len(np.unique(values)) < 2:
            return f"all {name} are equal, so their effect on the loss cannot be told"
    x, y = np.log(n) - np.log(n).mean(), np.log(d) - np.log(d).mean()
    apart = y - x * float((x * y).sum() / (x * x).sum())
    if float(np.sqrt(np.mean(apart**2))) < _LEAST_APART:
        return "sizes and token counts rise together, so their effects on the loss cannot be told apart"
    return None


def compare_laws(
    n: FloatArray, d: FloatArray, loss: FloatArray, *, delta: float = DELTA
) -> tuple[LawEvidence, LawEvidence]:
    """Evidence for the forms without and with an irreducible term, in this order."""
    found = tuple(_evidence(n, d, loss, has_irreducible, delta) for has_irreducible in (False, True))
    return found[0], found[1]


def _evidence(
    n: FloatArray, d: FloatArray, loss: FloatArray, has_irreducible: bool, delta: float
) -> LawEvidence:
    k = 5 if has_irreducible else 4
    errors = _log_errors(fit_law(n, d, loss, has_irreducible=has_irreducible, delta=delta), n, d, loss)
    count = len(n)
    mean_square = max(float(np.mean(errors**2)), 1e-30)
    scale = k + 1  # the residual's spread is fitted too
    aicc = None
    if count > scale + 1:
        aicc = count * math.log(mean_square) + 2 * scale + 2 * scale * (scale + 1) / (count - scale - 1)
    return LawEvidence(
        has_irreducible, k, mean_square**0.5, aicc, _held_out(n, d, loss, has_irreducible, delta)
    )


def _held_out(
    n: FloatArray, d: FloatArray, loss: FloatArray, has_irreducible: bool, delta: float
) -> float | None:
    is_kept = n < n.max()
    k = 5 if has_irreducible else 4
    if is_kept.sum() < k + 1 or _design_fault(n[is_kept], d[is_kept]) is not None:
        return None
    law = fit_law(n[is_kept], d[is_kept], loss[is_kept], has_irreducible=has_irreducible, delta=delta)
    errors = _log_errors(law, n[~is_kept], d[~is_kept], loss[~is_kept])
    return float(np.sqrt(np.mean(errors**2)))


def _log_errors(law: LossLaw, n: FloatArray, d: FloatArray, loss: FloatArray) -> FloatArray:
    fitted = law.a * n**-law.alpha + law.b * d**-law.beta + law.e
    return np.asarray(np.log(loss) - np.log(fitted), dtype=np.float64)


def objective_of(law: LossLaw, n: FloatArray, d: FloatArray, loss: FloatArray, delta: float = DELTA) -> float:
    """Huber's objective of a law on points, to compare fits."""
    return float(huber_objective(_log_errors(law, n, d, loss), delta))
