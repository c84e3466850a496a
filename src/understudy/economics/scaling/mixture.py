"""Mixtures of experts: a law in active parameters, tokens and number of experts, and what they total.

Source: Ludziejewski et al. 2025, "Joint MoE scaling laws" (arXiv 2502.05172), equation 6:
``L = a X**delta N**(-alpha + gamma ln X) + b X**omega D**(-beta + zeta ln X) + c`` with N active parameters and
X the number of experts, saturating: ``1 / X = 1 / (E - 1 + 1 / (1 / E_start - 1 / E_max)) + 1 / E_max``. For a
fixed number of experts this is the law of Hoffmann et al. with other constants, so everything in ``law`` holds
with *active* parameters: they set compute, while the total sets memory. Fitted with 1 to 32 experts of which
each token uses one; it knows nothing of finer experts, shared experts or several per token, and assumes a
router that keeps the experts evenly loaded: one that favours some of them starves the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from understudy.economics.scaling.constants import constants
from understudy.economics.scaling.flop import check_positive
from understudy.economics.scaling.law import ScalingLaw
from understudy.errors import ConfigError

__all__ = ["MOST_EXPERTS", "MixtureLaw", "mixture_law", "total_parameters"]

MOST_EXPERTS = 32
"""In the runs behind the law (appendix E)."""
_VOCABULARY = 50_257
_HEAD_SIZE = 64


@dataclass(frozen=True, slots=True)
class MixtureLaw:
    """The law; attributes as in the formula above, `alpha` and `beta` above 0."""

    a: float
    alpha: float
    delta: float
    gamma: float
    b: float
    beta: float
    omega: float
    zeta: float
    experts_start: float
    experts_max: float
    c: float

    def effective_experts(self, n_experts: int) -> float:
        """X of the formula for `n_experts`, 1 (dense) to 32.

        Raises
        ------
        ConfigError
            If `n_experts` is outside the range of the law.
        """
        if isinstance(n_experts, bool) or n_experts != int(n_experts) or not 1 <= n_experts <= MOST_EXPERTS:
            raise ConfigError(
                f"n_experts must be a whole number from 1 (dense) to {MOST_EXPERTS}, the range of the law",
                given=repr(n_experts),
            )
        first = 1 / (1 / self.experts_start - 1 / self.experts_max)
        return 1 / (1 / (n_experts - 1 + first) + 1 / self.experts_max)

    def with_experts(self, n_experts: int) -> ScalingLaw:
        """The law of a fixed number of experts, in active parameters and tokens."""
        log_experts = math.log(self.effective_experts(n_experts))
        return ScalingLaw(
            self.c,
            self.a * math.exp(self.delta * log_experts),
            self.b * math.exp(self.omega * log_experts),
            self.alpha - self.gamma * log_experts,
            self.beta - self.zeta * log_experts,
        )

    def loss(self, active_parameters: float, tokens: float, n_experts: int) -> float:
        """Nats per token."""
        return float(self.with_experts(n_experts).loss(active_parameters, tokens))


def mixture_law(name: str = "ludziejewski2025") -> MixtureLaw:
    """The law of a named set of constants.

    Raises
    ------
    ConfigError
        If there is no such set, or it belongs to another form.
    """
    row = constants(name)
    if row.form != "mixture":
        raise ConfigError(f"the constants {name!r} are not of a mixture of experts", given=row.form)
    return MixtureLaw(**row.values)


def total_parameters(active_parameters: float, n_experts: int) -> float:
    """Total parameters of the article's architecture, for its memory (equations 9 and 10).

    ``active = 2 d V + 13 n d**2`` and ``total = 2 d V + (4 + 9 E) n d**2`` with width d, ``n = d / 64`` blocks
    and a vocabulary V of 50,257: one expert per token, gated feed-forward layers, embeddings untied. Another
    shape or vocabulary has another total.
    """
    active = check_positive("active_parameters", active_parameters)
    if isinstance(n_experts, bool) or n_experts != int(n_experts) or n_experts < 1:
        raise ConfigError("n_experts must be a whole number of 1 or more", given=repr(n_experts))
    low, high = 0.0, active / (2 * _VOCABULARY)
    for _ in range(200):
        width = (low + high) / 2
        found = 2 * width * _VOCABULARY + 13 * width**3 / _HEAD_SIZE
        low, high = (width, high) if found < active else (low, width)
    return active + 9 * (n_experts - 1) * high**3 / _HEAD_SIZE
