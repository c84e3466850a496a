"""More than one pass over the data: what repeated tokens and excess parameters are still worth.

Source: Muennighoff et al. 2023, "Scaling data-constrained language models" (arXiv 2305.16264), section 3.1:
``D' = U + U r_D (1 - exp(-R_D / r_D))`` with U unique tokens and ``R_D = D / U - 1`` repetitions, the same for
parameters beyond those that U would make optimal, and ``L = E + A / N'**alpha + B / D'**beta``. Fitted
to runs of up to 9e9 parameters and 9e11 tokens. The form saturates where in truth loss rises again from
overfitting, so with many passes it is too kind.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.economics.scaling.constants import constants, scaling_law
from understudy.economics.scaling.flop import TRAINING_FLOP, check_positive
from understudy.economics.scaling.law import Allocation, ScalingLaw

__all__ = ["DataConstrainedLaw", "RepeatedOptimum", "data_constrained_law"]

_N_GRID = 801
_N_GOLDEN = 80
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class RepeatedOptimum:
    """The best use of a compute budget with a limited corpus.

    Attributes
    ----------
    parameters, tokens, training_flops, loss
        The optimum; `tokens` counts every pass.
    epochs
        ``tokens / unique``, 1 where the corpus is not used up.
    unique_tokens
        The corpus, as given.
    effective_tokens
        Fresh tokens that would be worth as much.
    unlimited
        The optimum of the same budget with as many fresh tokens as wanted.
    warnings
        Why not to lean on it.
    """

    parameters: float
    tokens: float
    training_flops: float
    loss: float
    epochs: float
    unique_tokens: float
    effective_tokens: float
    unlimited: Allocation
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "unlimited": self.unlimited.to_dict(), "warnings": list(self.warnings)}


@dataclass(frozen=True, slots=True)
class DataConstrainedLaw:
    """The law.

    Attributes
    ----------
    one_pass
        The law of fresh data.
    tokens_decay
        r_D*: repetitions after which a token has lost all but 1/e of its worth.
    parameters_decay
        r_N*: the same for parameters in excess.
    """

    one_pass: ScalingLaw
    tokens_decay: float
    parameters_decay: float

    def __post_init__(self) -> None:
        check_positive("tokens_decay", self.tokens_decay)
        check_positive("parameters_decay", self.parameters_decay)

    def effective_tokens(self, tokens: float, unique_tokens: float) -> float:
        """Fresh tokens worth as much as `tokens` drawn from `unique_tokens` in whole passes."""
        return _saturating(tokens, min(unique_tokens, tokens), self.tokens_decay)

    def effective_parameters(self, parameters: float, unique_tokens: float) -> float:
        """Parameters worth as much as `parameters`, beyond those for which `unique_tokens` are optimal."""
        useful = min(self.one_pass.optimal_parameters(unique_tokens), parameters)
        return _saturating(parameters, useful, self.parameters_decay)

    def loss(self, parameters: float, tokens: float, unique_tokens: float) -> float:
        """Loss of a model of `parameters` after `tokens` in all, from a corpus of `unique_tokens`.

        Raises
        ------
        ConfigError
            If a number is not finite and above 0.
        """
        for name, value in (
            ("parameters", parameters), ("tokens", tokens), ("unique_tokens", unique_tokens),
        ):  # fmt: skip
            check_positive(name, value)
        unique = min(unique_tokens, tokens)
        size = self.effective_parameters(parameters, unique)
        return float(self.one_pass.loss(size, self.effective_tokens(tokens, unique)))

    def optimum(self, flops: float, unique_tokens: float) -> RepeatedOptimum:
        """Size and passes of least loss for `flops` of training on a corpus of `unique_tokens`.

        There is no closed form: a grid over log N around the one-pass optimum, then golden section.

        Raises
        ------
        ConfigError
            If a number is not finite and above 0.
        """
        check_positive("unique_tokens", unique_tokens)
        unlimited = self.one_pass.compute_optimal(flops)
        if unlimited.tokens <= unique_tokens:
            return self._optimum(math.log(unlimited.parameters), flops, unique_tokens, unlimited)

        def loss(log_size: float) -> float:
            size = math.exp(log_size)
            return self.loss(size, flops / (TRAINING_FLOP * size), unique_tokens)

        centre = math.log(unlimited.parameters)
        grid = np.linspace(centre - math.log(1e4), centre + math.log(1e4), _N_GRID)
        best = int(np.argmin([loss(float(x)) for x in grid]))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, _N_GRID - 1)])
        for _ in range(_N_GOLDEN):
            left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
            low, high = (low, right) if loss(left) <= loss(right) else (left, high)
        return self._optimum((low + high) / 2, flops, unique_tokens, unlimited)

    def _optimum(
        self, log_size: float, flops: float, unique: float, unlimited: Allocation
    ) -> RepeatedOptimum:
        size = math.exp(log_size)
        tokens = flops / (TRAINING_FLOP * size)
        epochs = max(1.0, tokens / unique)
        warnings = []
        if epochs - 1 > self.tokens_decay:
            warnings.append(
                f"after {1 + self.tokens_decay:.0f} passes a further one is worth under 1/e of fresh data, and the "
                f"law does not see overfitting: {epochs:.0f} passes are not to be trusted"
            )
        return RepeatedOptimum(
            size, tokens, flops, self.loss(size, tokens, unique), epochs, unique,
            self.effective_tokens(tokens, unique), unlimited, tuple(warnings),
        )  # fmt: skip


def _saturating(total: float, useful: float, decay: float) -> float:
    """``useful + useful * decay * (1 - exp(-excess / decay))`` with excess counted in `useful`."""
    excess = max(total / useful - 1, 0.0)
    return useful + useful * decay * -math.expm1(-excess / decay)


def data_constrained_law(name: str = "muennighoff2023") -> DataConstrainedLaw:
    """The law of a named set of constants.

    Raises
    ------
    ConfigError
        If there is no such set.
    """
    law = scaling_law(name)
    values = constants(name).values
    # A one-pass set brings no decays: those of Muennighoff et al. are the only ones published with certainty.
    decays = values if "tokens_decay" in values else constants("muennighoff2023").values
    return DataConstrainedLaw(law, decays["tokens_decay"], decays["parameters_decay"])
