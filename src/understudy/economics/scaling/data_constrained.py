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
import numpy.typing as npt

from understudy.economics.scaling.constants import constants, scaling_law
from understudy.economics.scaling.flop import INFERENCE_FLOP, TRAINING_FLOP, check_positive
from understudy.economics.scaling.law import Allocation, ScalingLaw
from understudy.economics.scaling.root import rising_root

__all__ = ["DataConstrainedLaw", "RepeatedOptimum", "data_constrained_law", "with_published_decays"]

FloatArray = npt.NDArray[np.float64]

_N_GRID = 801
_N_ZOOMS = 5
"""Each narrows log N to two steps of the grid, by 400: the last one is finer than a loss can tell sizes apart."""
_DIFFERENCE = 1e-4
"""Step in log N and log D of a central difference."""
_N_HALVINGS = 40
"""Of four decades of size: finer than the difference can tell."""


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
        return float(_saturating(tokens, min(unique_tokens, tokens), self.tokens_decay))

    def effective_parameters(self, parameters: float, unique_tokens: float) -> float:
        """Parameters worth as much as `parameters`, beyond those for which `unique_tokens` are optimal."""
        useful = min(self.one_pass.optimal_parameters(unique_tokens), parameters)
        return float(_saturating(parameters, useful, self.parameters_decay))

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

    def optimum(self, flops: float, unique_tokens: float, inference_tokens: float = 0.0) -> RepeatedOptimum:
        """Size and passes of least loss for `flops` of training on a corpus of `unique_tokens`.

        There is no closed form: a grid over log N around the one-pass optimum, then finer ones around its best.
        With `inference_tokens` a smaller model for the same training: the one that no other of its loss beats over
        training and answering together (see
        :func:`~understudy.economics.scaling.inference_aware.fixed_training_optimum`).

        Raises
        ------
        ConfigError
            If a number is not finite and above 0.
        """
        check_positive("unique_tokens", unique_tokens)
        check_positive("inference_tokens", inference_tokens, is_zero_allowed=True)
        best, unlimited = self._trained(flops, unique_tokens)
        if inference_tokens:
            best = self._answering(best, flops, unique_tokens, inference_tokens)
        return self._optimum(best, flops, unique_tokens, unlimited)

    def _trained(self, flops: float, unique_tokens: float) -> tuple[float, Allocation]:
        """Log of the size of least loss, and the optimum without a limit."""
        unlimited = self.one_pass.compute_optimal(flops)
        if unlimited.tokens <= unique_tokens:
            return math.log(unlimited.parameters), unlimited
        best = math.log(unlimited.parameters)
        half = math.log(1e4)
        for _ in range(_N_ZOOMS):
            grid = np.linspace(best - half, best + half, _N_GRID)
            best = float(grid[np.argmin(self._losses(np.exp(grid), flops, unique_tokens))])
            half *= 2 / (_N_GRID - 1)
        return best, unlimited

    def _answering(
        self, log_size: float, flops: float, unique_tokens: float, inference_tokens: float
    ) -> float:
        """Log of the size at which a FLOP of life on size and one on data lower the loss alike."""
        step = math.exp(_DIFFERENCE)

        def slope(at: float) -> float:
            size = math.exp(at)
            tokens = flops / (TRAINING_FLOP * size)
            by_size = self.loss(size * step, tokens, unique_tokens) - self.loss(
                size / step, tokens, unique_tokens
            )
            by_tokens = self.loss(size, tokens * step, unique_tokens) - self.loss(
                size, tokens / step, unique_tokens
            )
            return by_size - by_tokens * (1 + INFERENCE_FLOP / TRAINING_FLOP * inference_tokens / tokens)

        return rising_root(slope, log_size - math.log(1e4), log_size, n_steps=_N_HALVINGS)

    def _losses(self, sizes: FloatArray, flops: float, unique_tokens: float) -> FloatArray:
        """:meth:`loss` of every size at the tokens that `flops` leave it."""
        tokens = flops / (TRAINING_FLOP * sizes)
        unique = np.minimum(unique_tokens, tokens)
        # The optimal size is a power of the data.
        power = self.one_pass.beta / self.one_pass.alpha
        optimal = self.one_pass.optimal_parameters(unique_tokens) * (unique / unique_tokens) ** power
        size = _saturating(sizes, np.minimum(optimal, sizes), self.parameters_decay)
        return self.one_pass.loss(size, _saturating(tokens, unique, self.tokens_decay))

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


def _saturating(total: npt.ArrayLike, useful: npt.ArrayLike, decay: float) -> FloatArray:
    """``useful + useful * decay * (1 - exp(-excess / decay))`` with excess counted in `useful`."""
    excess = np.maximum(np.divide(total, useful) - 1, 0.0)
    return np.asarray(useful - np.multiply(useful, decay) * np.expm1(-excess / decay), dtype=np.float64)


def with_published_decays(one_pass: ScalingLaw) -> DataConstrainedLaw:
    """A law of fresh data, with the decays of Muennighoff et al.: the only ones published with certainty."""
    values = constants("muennighoff2023").values
    return DataConstrainedLaw(one_pass, values["tokens_decay"], values["parameters_decay"])


def data_constrained_law(name: str = "muennighoff2023") -> DataConstrainedLaw:
    """The law of a named set of constants; a set of a one-pass law brings no decays and takes the published ones.

    Raises
    ------
    ConfigError
        If there is no such set.
    """
    return with_published_decays(scaling_law(name))
