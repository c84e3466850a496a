"""Smaller and longer: size and data of least FLOP over training *and* answering, at a given quality.

Source: Sardana et al. 2024, "Beyond Chinchilla-optimal" (arXiv 2401.00448), section 2: minimise
``6 N D_training + 2 N D_inference`` subject to ``L(N, D_training) = loss``. Their tables reproduce under the
constants ``sardana2024``. It holds as far as the law holds at many tokens per parameter, further out than most
constants were fitted; and a FLOP of answering is taken to cost `inference_weight` FLOP of training (1 unless
given; answering uses chips worse, so in money it is often more).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from understudy.economics.scaling.constants import constants_names, scaling_law
from understudy.economics.scaling.flop import INFERENCE_FLOP, TRAINING_FLOP, check_positive
from understudy.economics.scaling.law import Allocation, ScalingLaw
from understudy.economics.scaling.root import rising_root
from understudy.errors import ConfigError

__all__ = [
    "InferenceOptimum",
    "SensitivityRow",
    "SizeSwap",
    "fixed_training_optimum",
    "inference_optimum",
    "inference_sensitivity",
    "reference_loss",
    "size_swap",
    "total_budget_optimum",
]


@dataclass(frozen=True, slots=True)
class InferenceOptimum:
    """The cheapest model of a quality over its life.

    Attributes
    ----------
    parameters, tokens, loss
        The optimum, and the quality it was asked for.
    inference_tokens, inference_weight
        As given.
    training_flops, inference_flops, total_flops
        `total_flops` counts inference with its weight.
    reference
        The compute-optimal model of the same loss: cheapest to train alone.
    reference_total_flops
        What that one costs over the same life.
    """

    parameters: float
    tokens: float
    loss: float
    inference_tokens: float
    inference_weight: float
    training_flops: float
    inference_flops: float
    total_flops: float
    reference: Allocation
    reference_total_flops: float

    @property
    def data_ratio(self) -> float:
        """Training tokens over those of the reference."""
        return self.tokens / self.reference.tokens

    @property
    def saved_flops(self) -> float:
        """Against the reference."""
        return self.reference_total_flops - self.total_flops

    @property
    def saved_share(self) -> float:
        """`saved_flops` as a share of the reference's total, 0 to 1."""
        return self.saved_flops / self.reference_total_flops

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            **asdict(self), "reference": self.reference.to_dict(), "data_ratio": self.data_ratio,
            "saved_flops": self.saved_flops, "saved_share": self.saved_share,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class SizeSwap:
    """A given smaller (or larger) model in place of a compute-optimal one of the same loss.

    Attributes
    ----------
    reference
        The compute-optimal model.
    parameters, tokens
        The other model and the tokens it needs; `tokens` is ``None`` with `reason` where none suffice.
    extra_training_flops
        Other minus reference.
    saved_flops, saved_share
        Over training and `inference_tokens`; negative where the swap costs more.
    break_even_inference_tokens
        Inference at which both cost the same; ``None`` where there is none.
    reason
        Why a figure is ``None``.
    """

    reference: Allocation
    parameters: float
    tokens: float | None
    extra_training_flops: float | None
    saved_flops: float | None
    saved_share: float | None
    break_even_inference_tokens: float | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "reference": self.reference.to_dict()}


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """The same question under one set of constants."""

    constants: str
    optimum: InferenceOptimum

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"constants": self.constants, **self.optimum.to_dict()}


def reference_loss(law: ScalingLaw, parameters: float) -> float:
    """Loss of a model of `parameters` trained on its compute-optimal tokens: "7B quality"."""
    return float(law.loss(parameters, law.optimal_tokens(parameters)))


def inference_optimum(
    law: ScalingLaw, loss: float, inference_tokens: float, *, inference_weight: float = 1.0
) -> InferenceOptimum:
    """The model that reaches `loss` at the least FLOP of training and `inference_tokens` together.

    Parameters
    ----------
    law
        The law.
    loss
        Quality asked for, above E; see :func:`reference_loss`.
    inference_tokens
        Read and written over the model's life, 0 or more.
    inference_weight
        Cost of a FLOP of inference in FLOP of training, 0 or more.

    Raises
    ------
    ConfigError
        If a number is out of range, or `loss` is at or below E.
    """
    check_positive("inference_tokens", inference_tokens, is_zero_allowed=True)
    check_positive("inference_weight", inference_weight, is_zero_allowed=True)
    reference = law.cheapest_for_loss(loss)
    if reference is None:
        raise ConfigError(
            "no model reaches this loss", given=f"{loss:.4g}", todo=f"ask for more than E = {law.e:.4g}"
        )
    weighted = inference_weight * inference_tokens
    log_size = _cheapest_log_size(law, loss, weighted, reference) if weighted > 0 else None
    parameters = reference.parameters if log_size is None else math.exp(log_size)
    tokens = law.tokens_for_loss(parameters, loss).value
    assert tokens is not None
    training, inference = TRAINING_FLOP * parameters * tokens, INFERENCE_FLOP * parameters * inference_tokens
    return InferenceOptimum(
        parameters, tokens, loss, inference_tokens, inference_weight, training, inference,
        training + inference_weight * inference, reference,
        reference.training_flops + INFERENCE_FLOP * reference.parameters * weighted,
    )  # fmt: skip


def _cheapest_log_size(law: ScalingLaw, loss: float, inference_tokens: float, reference: Allocation) -> float:
    """Log of the N at which ``6 N D(N) + 2 N inference_tokens`` is least, D(N) reaching `loss`."""
    gap = loss - law.e

    def slope(log_size: float) -> float:
        """The derivative by log N, over N: 6 D + 2 w + 6 dD/dlogN with dD/dlogN = -D alpha s / (beta d)."""
        size_term = law.a * math.exp(-law.alpha * log_size)
        data_term = gap - size_term
        if data_term <= 0:
            return -1.0
        tokens: float = (law.b / data_term) ** (1 / law.beta)
        change = 1 - law.alpha * size_term / (law.beta * data_term)
        return TRAINING_FLOP * tokens * change + INFERENCE_FLOP * inference_tokens

    # It rises from minus infinity at the smallest size that can reach the loss to 2 w at the reference.
    return rising_root(slope, math.log(law.a / gap) / law.alpha, math.log(reference.parameters))


def fixed_training_optimum(law: ScalingLaw, training_flops: float, inference_tokens: float) -> Allocation:
    """The model trained for `training_flops` that no other of its loss beats over training and answering together.

    Where training has a hard budget, the least loss is the compute-optimal one, and a smaller model trades loss for
    cheaper answers. Of these trades this is the one at which the criterion of :func:`inference_optimum` holds: a
    FLOP of life spent on size and one spent on data lower the loss alike,
    ``alpha A / N**alpha = beta B / D**beta * (1 + inference_tokens / (3 D))`` with ``6 N D = training_flops``.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """
    check_positive("inference_tokens", inference_tokens, is_zero_allowed=True)
    start = law.compute_optimal(training_flops)
    if inference_tokens == 0:
        return start

    def slope(log_size: float) -> float:
        log_tokens = math.log(training_flops / TRAINING_FLOP) - log_size
        more = 1 + INFERENCE_FLOP / TRAINING_FLOP * inference_tokens * math.exp(-log_tokens)
        by_size = math.log(law.alpha * law.a) - law.alpha * log_size
        return math.log(law.beta * law.b * more) - law.beta * log_tokens - by_size

    # Rises in log N, and is 0 at the compute-optimal size where nothing is answered.
    parameters = math.exp(rising_root(slope, 0.0, math.log(start.parameters)))
    return law.allocation(parameters, training_flops / (TRAINING_FLOP * parameters))


def total_budget_optimum(law: ScalingLaw, total_flops: float, inference_tokens: float) -> Allocation:
    """The model of least loss whose training and `inference_tokens` together cost `total_flops`.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """
    check_positive("total_flops", total_flops)
    check_positive("inference_tokens", inference_tokens, is_zero_allowed=True)
    if inference_tokens == 0:
        return law.compute_optimal(total_flops)

    def tokens_at(log_size: float) -> float:
        return (total_flops / math.exp(log_size) - INFERENCE_FLOP * inference_tokens) / TRAINING_FLOP

    def slope(log_size: float) -> float:
        tokens = tokens_at(log_size)
        if tokens <= 0:
            return 1.0
        # dL/dlogN with dD/dlogN = -C / (6 N): one falling and one rising term, so one root
        share = total_flops / (TRAINING_FLOP * math.exp(log_size) * tokens)
        data_term: float = law.b * tokens**-law.beta
        return law.beta * data_term * share - law.alpha * law.a * math.exp(-law.alpha * log_size)

    largest = math.log(law.compute_optimal(total_flops).parameters)
    parameters = math.exp(rising_root(slope, math.log(1e-6), largest))
    tokens = (total_flops / parameters - INFERENCE_FLOP * inference_tokens) / TRAINING_FLOP
    if parameters <= 1 or tokens <= 0:
        raise ConfigError(
            "the budget does not pay for so much inference even with a tiny model",
            given=f"{total_flops:.3g} FLOP for {inference_tokens:.3g} tokens",
        )
    return law.allocation(parameters, tokens)


def size_swap(
    law: ScalingLaw, reference_parameters: float, parameters: float, inference_tokens: float
) -> SizeSwap:
    """What training a model of `parameters` to the quality of a compute-optimal one costs and saves.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """
    check_positive("parameters", parameters)
    check_positive("inference_tokens", inference_tokens, is_zero_allowed=True)
    reference = law.allocation(reference_parameters, law.optimal_tokens(reference_parameters))
    needed = law.tokens_for_loss(parameters, reference.loss)
    if needed.value is None:
        return SizeSwap(reference, parameters, None, None, None, None, None, needed.reason)
    extra = TRAINING_FLOP * parameters * needed.value - reference.training_flops
    per_token = INFERENCE_FLOP * (reference_parameters - parameters)
    total = reference.training_flops + INFERENCE_FLOP * reference_parameters * inference_tokens
    saved = per_token * inference_tokens - extra
    break_even = extra / per_token if per_token > 0 else None
    reason = (
        None if break_even is not None else "the other model is not smaller, so it saves nothing per token"
    )
    return SizeSwap(reference, parameters, needed.value, extra, saved, saved / total, break_even, reason)


def inference_sensitivity(
    reference_parameters: float, inference_tokens: float, names: Sequence[str] | None = None
) -> tuple[SensitivityRow, ...]:
    """The same question, "`reference_parameters` quality with `inference_tokens`", under several constants.

    Parameters
    ----------
    reference_parameters
        The quality is that of this size at its compute-optimal data *under the same constants*.
    inference_tokens
        Over the model's life.
    names
        Sets of constants; ``None``: all of the form E + A / N**alpha + B / D**beta.
    """
    chosen = constants_names("additive") if names is None else tuple(names)
    rows = []
    for name in chosen:
        law = scaling_law(name)
        loss = reference_loss(law, reference_parameters)
        rows.append(SensitivityRow(name, inference_optimum(law, loss, inference_tokens)))
    return tuple(rows)
