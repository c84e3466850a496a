"""The law ``L(N, D) = E + A / N**alpha + B / D**beta`` and what follows from it in closed form.

Source: Hoffmann et al., "Training compute-optimal large language models" (arXiv 2203.15556), section 3.3. N is
parameters, D tokens, L the loss in nats per token on text like that trained on. It holds for one recipe and one
tokeniser, for one pass over the data, and inside the range its constants were fitted on; it does not know the
batch size, the learning rate or the shape of the model.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.economics.scaling.flop import TRAINING_FLOP, check_positive
from understudy.errors import ConfigError

__all__ = ["Allocation", "Answer", "ScalingLaw"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answer:
    """A number, or ``None`` with the reason why there is none."""

    value: float | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Allocation:
    """A size and an amount of data.

    Attributes
    ----------
    parameters, tokens
        N and D.
    training_flops
        ``6 N D``.
    loss
        What the law gives there, nats per token.
    """

    parameters: float
    tokens: float
    training_flops: float
    loss: float

    @property
    def tokens_per_parameter(self) -> float:
        """``D / N``."""
        return self.tokens / self.parameters

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "tokens_per_parameter": self.tokens_per_parameter}


@dataclass(frozen=True, slots=True)
class ScalingLaw:
    """One set of constants.

    Attributes
    ----------
    e
        E, the loss that no size and no data removes, in nats per token; 0 or more.
    a, alpha
        A and its exponent: the loss due to finite size.
    b, beta
        B and its exponent: the loss due to finite data.

    Raises
    ------
    ConfigError
        If a constant is not finite, or A, B, alpha or beta is not above 0.
    """

    e: float
    a: float
    b: float
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        check_positive("E of a scaling law", self.e, is_zero_allowed=True)
        for name, value in (("A", self.a), ("B", self.b), ("alpha", self.alpha), ("beta", self.beta)):
            check_positive(f"{name} of a scaling law", value)

    def to_dict(self) -> dict[str, float]:
        """JSON form, with the letters of the paper."""
        return {"E": self.e, "A": self.a, "B": self.b, "alpha": self.alpha, "beta": self.beta}

    def loss(self, parameters: npt.ArrayLike, tokens: npt.ArrayLike) -> FloatArray:
        """Loss at `parameters` and `tokens`, which broadcast; a scalar array for scalars.

        Raises
        ------
        ConfigError
            If a value is not finite and above 0.
        """
        n, d = _positive("parameters", parameters), _positive("tokens", tokens)
        return np.asarray(self.e + self.a * n**-self.alpha + self.b * d**-self.beta, dtype=np.float64)

    @property
    def parameters_exponent(self) -> float:
        """Exponent a of ``N_opt ~ C**a``: ``beta / (alpha + beta)``."""
        return self.beta / (self.alpha + self.beta)

    @property
    def tokens_exponent(self) -> float:
        """Exponent b of ``D_opt ~ C**b``: ``alpha / (alpha + beta)``."""
        return self.alpha / (self.alpha + self.beta)

    @property
    def _ratio(self) -> float:
        """G of the paper: ``(alpha A / (beta B)) ** (1 / (alpha + beta))``."""
        log = math.log(self.alpha * self.a) - math.log(self.beta * self.b)
        return math.exp(log / (self.alpha + self.beta))

    def allocation(self, parameters: float, tokens: float) -> Allocation:
        """The law at one point."""
        loss = float(self.loss(parameters, tokens))
        return Allocation(float(parameters), float(tokens), TRAINING_FLOP * parameters * tokens, loss)

    def compute_optimal(self, flops: float) -> Allocation:
        """The size and data of least loss for `flops` of training (equation 4 of the paper)."""
        budget = check_positive("flops", flops) / TRAINING_FLOP
        parameters = self._ratio * budget**self.parameters_exponent
        return self.allocation(parameters, budget / parameters)

    def optimal_tokens(self, parameters: float) -> float:
        """Tokens for which a model of `parameters` is the compute-optimal one."""
        scaled = check_positive("parameters", parameters) / self._ratio
        return float(scaled ** (self.alpha / self.beta) / self._ratio)

    def optimal_parameters(self, tokens: float) -> float:
        """Parameters for which `tokens` are the compute-optimal data."""
        scaled = check_positive("tokens", tokens) * self._ratio
        return float(self._ratio * scaled ** (self.beta / self.alpha))

    def cheapest_for_loss(self, loss: float) -> Allocation | None:
        """The least training FLOP that reaches `loss`; ``None`` at or below E, which nothing reaches.

        At the optimum the two terms stand as beta to alpha, so each is a known share of ``loss - E``.
        """
        gap = check_positive("loss", loss) - self.e
        if gap <= 0:
            return None
        parameters = (self.a / (gap * self.parameters_exponent)) ** (1 / self.alpha)
        return self.allocation(parameters, (self.b / (gap * self.tokens_exponent)) ** (1 / self.beta))

    def tokens_for_loss(self, parameters: float, loss: float) -> Answer:
        """Tokens with which a model of `parameters` reaches `loss`."""
        size_term = self.a * check_positive("parameters", parameters) ** -self.alpha
        return self._inverse(loss, size_term, self.b, self.beta, f"a model of {parameters:.3g} parameters")

    def parameters_for_loss(self, tokens: float, loss: float) -> Answer:
        """Parameters with which training on `tokens` reaches `loss`."""
        data_term = self.b * check_positive("tokens", tokens) ** -self.beta
        return self._inverse(loss, data_term, self.a, self.alpha, f"training on {tokens:.3g} tokens")

    def effective_parameters(self, loss: float, tokens: float | None = None) -> Answer:
        """Size of the model of this law's family that has `loss`.

        Parameters
        ----------
        loss
            Measured, on the text and with the tokeniser of the law.
        tokens
            What the family's model is trained on; ``None``: on its compute-optimal amount.
        """
        if tokens is not None:
            return self.parameters_for_loss(tokens, loss)
        found = self.cheapest_for_loss(loss)
        return Answer(None, self._out_of_reach(loss)) if found is None else Answer(found.parameters)

    def _out_of_reach(self, loss: float) -> str:
        return f"a loss of {loss:.4g} is at or below E = {self.e:.4g}, which no size and no data reaches"

    def _inverse(self, loss: float, other: float, coefficient: float, exponent: float, who: str) -> Answer:
        """The x with ``e + other + coefficient / x**exponent == loss``."""
        if check_positive("loss", loss) <= self.e:
            return Answer(None, self._out_of_reach(loss))
        gap = loss - self.e - other
        if gap <= 0:
            return Answer(None, f"{who} stays above {self.e + other:.4g} however much of the other there is")
        try:
            return Answer(math.exp((math.log(coefficient) - math.log(gap)) / exponent))
        except OverflowError:
            return Answer(None, f"{who} comes so close to its limit there that the number is not finite")


def _positive(name: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(array) & (array > 0)).all():
        raise ConfigError(f"{name} must be finite and above 0", given=repr(values)[:80])
    return array
