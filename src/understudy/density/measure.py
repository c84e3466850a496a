"""Effective size and capability density of one model by a ruler.

``N_effective`` is the number of parameters that the reference recipe needs for the model's score, and
``rho = N_effective / N``. Source: Xiao et al., "Densing law of LLMs" (arXiv 2412.04315), which asks how large a
reference model on 1T tokens would be. Two token counts are answered: the model's own (how well its recipe uses
parameters at equal data) and a fixed one (which also credits training on more tokens: a long-trained model of the
reference's own recipe then comes out well above 1).

Intervals are from the ruler's draws, and from the count of questions where it is given. They do not hold the luck
of a single training run, nor that other recipes fall off the ruler's sigmoid in their own way.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.density.loss_law import invert_law
from understudy.density.ruler import Ruler
from understudy.density.sigmoid import invert_sigmoids
from understudy.density.solver import FloatArray
from understudy.errors import ConfigError, DataError

__all__ = ["END_SHARE", "REFERENCE_TOKENS", "EffectiveSize", "Measurement", "effective_draws", "measure"]

REFERENCE_TOKENS = 1e12
"""Tokens of the fixed reference: 1T, as in arXiv 2412.04315."""
EXTRAPOLATION_FACTOR = 4.0
"""Beyond this many times the family's largest (or below its smallest) size or token count an answer is flagged."""
END_SHARE = 0.05
"""Within this share of the way to either end of the sigmoid, a small error of score is any change of size. Measured
on MMLU scores of open models: leaving in those within .03 of guessing makes the trend of density one of noise."""


@dataclass(frozen=True, slots=True)
class EffectiveSize:
    """What the reference recipe needs, at one number of tokens.

    Attributes
    ----------
    n_tokens
        Tokens that the reference is trained on.
    n_effective
        Parameters; ``None`` with `reason`.
    n_effective_lower, n_effective_upper
        Interval; ``None`` where it is open on that side.
    rho, rho_lower, rho_upper
        The same per parameter of the model.
    rho_active, rho_active_lower, rho_active_upper
        Per active parameter, for a mixture of experts.
    flags
        ``saturated`` and ``near_chance`` (within :data:`END_SHARE` of an end of the sigmoid, or beyond the upper one),
        ``below_chance``, ``not_invertible``, ``extrapolated``.
    reason
        Why there is no answer.
    """

    n_tokens: float
    n_effective: float | None
    n_effective_lower: float | None
    n_effective_upper: float | None
    rho: float | None
    rho_lower: float | None
    rho_upper: float | None
    rho_active: float | None
    rho_active_lower: float | None
    rho_active_upper: float | None
    flags: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model's density.

    Attributes
    ----------
    name
        Of the model.
    n_parameters, n_active_parameters, n_tokens
        As given; ``None`` is unknown (`n_active_parameters`: not a mixture of experts).
    score, loss
        As given; `loss` is read from the score where only that is known, and ``None`` where it cannot be.
    confidence
        Of the intervals.
    own, reference
        Effective size at the model's own token count (``None`` where that is unknown) and at the fixed one.
    """

    name: str
    n_parameters: float
    n_active_parameters: float | None
    n_tokens: float | None
    score: float | None
    loss: float | None
    confidence: float
    own: EffectiveSize | None
    reference: EffectiveSize

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def effective_draws(
    ruler: Ruler,
    *,
    n_tokens: float,
    score: float | None = None,
    loss: float | None = None,
    n_items: int | None = None,
    seed: int = 0,
) -> FloatArray:
    """Effective sizes by each of the ruler's draws; 0 where a score is at the lower end, ``inf`` where no size does.

    Draw number b is the same ruler for every model, so ratios of two models keep what they share.
    """
    rows = ruler.draw_rows()
    if not len(rows):
        return np.empty(0)
    if loss is not None:
        losses = np.full(len(rows), loss)
    else:
        assert score is not None, "a score or a loss"
        ruler.need_sigmoid()
        scores = np.full(len(rows), score)
        if n_items is not None:
            scores = np.random.default_rng(seed).binomial(n_items, score, size=len(rows)) / n_items
        losses = invert_sigmoids(rows[:, 5:], scores)
    sizes = invert_law(rows[:, :5], losses, n_tokens)
    return np.where(np.isposinf(losses), 0.0, sizes)


def measure(
    ruler: Ruler,
    *,
    n_parameters: float,
    score: float | None = None,
    loss: float | None = None,
    n_tokens: float | None = None,
    n_active_parameters: float | None = None,
    n_items: int | None = None,
    reference_tokens: float = REFERENCE_TOKENS,
    confidence: float = 0.9,
    extrapolation_factor: float = EXTRAPOLATION_FACTOR,
    name: str = "",
    seed: int = 0,
) -> Measurement:
    """Measure one model.

    Parameters
    ----------
    n_parameters
        All parameters, above 0.
    score, loss
        One of them, measured as the ruler's was.
    n_tokens
        Tokens it was trained on; ``None`` is unknown, and there is then no answer at its own count.
    n_active_parameters
        Parameters that work on one token, for a mixture of experts.
    n_items
        Questions of the benchmark: adds the binomial noise of the score to the interval.
    reference_tokens
        Of the fixed reference.
    confidence
        Of the intervals, in (0, 1).
    extrapolation_factor
        From 1; see :data:`EXTRAPOLATION_FACTOR`.

    Raises
    ------
    DataError
        If a size, token count, score or loss is out of range.
    ConfigError
        If a setting is, if both or neither of score and loss are given, or the ruler cannot read scores.
    """
    _check(n_parameters, n_tokens, n_active_parameters, reference_tokens, score, loss, n_items)
    if not 0 < confidence < 1 or not extrapolation_factor >= 1:
        raise ConfigError(
            "confidence must be between 0 and 1, and the extrapolation factor at least 1",
            given=f"{confidence}, {extrapolation_factor}",
        )
    found = loss if loss is not None else _loss_of(ruler, score)
    setting = _Setting(ruler, score, loss, found, n_items, confidence, extrapolation_factor, seed)
    return Measurement(
        name=name,
        n_parameters=float(n_parameters),
        n_active_parameters=n_active_parameters,
        n_tokens=n_tokens,
        score=score,
        loss=found if found is not None and math.isfinite(found) else None,
        confidence=confidence,
        own=None if n_tokens is None else setting.at(n_tokens, n_parameters, n_active_parameters),
        reference=setting.at(reference_tokens, n_parameters, n_active_parameters),
    )


def _loss_of(ruler: Ruler, score: float | None) -> float:
    assert score is not None, "checked by the caller"
    return ruler.need_sigmoid().loss_for(score)


@dataclass(frozen=True, slots=True)
class _Setting:
    ruler: Ruler
    score: float | None
    given_loss: float | None
    loss: float
    n_items: int | None
    confidence: float
    factor: float
    seed: int

    def at(self, n_tokens: float, n_parameters: float, n_active: float | None) -> EffectiveSize:
        """Effective size with the reference trained on `n_tokens`."""
        flags, reason = self._end_flags()
        size = None
        if reason is None:
            size = self.ruler.law.size_for(self.loss, n_tokens)
            if not math.isfinite(size):
                size, flags = None, [*flags, "not_invertible"]
                reason = (
                    f"no size of the reference reaches this loss on {n_tokens:.3g} tokens: "
                    "data and irreducible loss alone are above it"
                )
        lower, upper = self._interval(n_tokens, size) if "below_chance" not in flags else (None, None)
        if self._is_extrapolated(size, n_tokens):
            flags = [*flags, "extrapolated"]
        return EffectiveSize(
            n_tokens=n_tokens,
            n_effective=size,
            n_effective_lower=lower,
            n_effective_upper=upper,
            rho=_over(size, n_parameters),
            rho_lower=_over(lower, n_parameters),
            rho_upper=_over(upper, n_parameters),
            rho_active=_over(size, n_active),
            rho_active_lower=_over(lower, n_active),
            rho_active_upper=_over(upper, n_active),
            flags=tuple(flags),
            reason=reason,
        )

    def _end_flags(self) -> tuple[list[str], str | None]:
        if self.given_loss is not None:
            return [], None
        sigmoid = self.ruler.need_sigmoid()
        assert self.score is not None, "a score or a loss"
        if self.score <= max(self.ruler.chance, sigmoid.lower):
            end = "the score of guessing" if self.score <= self.ruler.chance else "the ruler's lower end"
            return ["below_chance"], f"a score of {self.score:.3f} is not above {end}"
        if self.score >= sigmoid.upper:
            return [
                "saturated"
            ], f"a score of {self.score:.3f} is at the ruler's upper end ({sigmoid.upper:.3f})"
        low = max(self.ruler.chance, sigmoid.lower)
        share = (self.score - low) / (sigmoid.upper - low)
        is_near = [share < END_SHARE, share > 1 - END_SHARE]
        return [
            flag for flag, is_it in zip(("near_chance", "saturated"), is_near, strict=True) if is_it
        ], None

    def _interval(self, n_tokens: float, size: float | None) -> tuple[float | None, float | None]:
        draws = effective_draws(
            self.ruler,
            n_tokens=n_tokens,
            score=self.score,
            loss=self.given_loss,
            n_items=self.n_items,
            seed=self.seed,
        )
        if not len(draws):
            return None, None
        tail = (1 - self.confidence) / 2
        low, high = (float(one) for one in np.quantile(draws, [tail, 1 - tail], method="inverted_cdf"))
        if size is not None:
            low, high = min(low, size), max(high, size)
        return (low if 0 < low < math.inf else None), (high if 0 < high < math.inf else None)

    def _is_extrapolated(self, size: float | None, n_tokens: float) -> bool:
        ranges = [(n_tokens, self.ruler.token_range)] + (
            [] if size is None else [(size, self.ruler.size_range)]
        )
        return any(not low / self.factor <= value <= high * self.factor for value, (low, high) in ranges)


def _over(value: float | None, count: float | None) -> float | None:
    return None if value is None or count is None else value / count


def _check(
    n_parameters: float,
    n_tokens: float | None,
    n_active_parameters: float | None,
    reference_tokens: float,
    score: float | None,
    loss: float | None,
    n_items: int | None,
) -> None:
    if (score is None) == (loss is None):
        raise ConfigError("give a score or a loss, and not both", given=f"score {score}, loss {loss}")
    above = {
        "n_parameters": n_parameters,
        "n_tokens": n_tokens,
        "n_active_parameters": n_active_parameters,
        "reference_tokens": reference_tokens,
        "loss": loss,
        "n_items": n_items,
    }
    for field, value in above.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise DataError(f"{field} must be above 0", given=repr(value))
    if score is not None and not 0 <= score <= 1:
        raise DataError(
            "a score must be a share from 0 to 1", given=repr(score), todo="divide percentages by 100"
        )
    if n_active_parameters is not None and n_active_parameters > n_parameters:
        raise DataError(
            "a model has no more active parameters than parameters",
            given=f"{n_active_parameters:.3g} active of {n_parameters:.3g}",
        )
