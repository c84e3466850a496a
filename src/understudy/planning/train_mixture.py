"""The same training compute spent on a mixture of experts: what it gains in loss, and what it costs in memory.

By the joint law of Ludziejewski et al. (arXiv:2502.05172), which was fitted on 1 to 32 experts of which each token
uses one. Both models are of that law's own family, so its dense loss is not comparable with other constants'.
It assumes a router that loads experts evenly.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from understudy.economics.scaling.constants import constants
from understudy.economics.scaling.mixture import mixture_law, total_parameters
from understudy.economics.training_cost import Accelerator

__all__ = ["MixturePlan", "plan_mixture"]

_TRAINING_BYTES = 16.0
_SERVING_BYTES = 2.0
_CONSTANTS = "ludziejewski2025"


@dataclass(frozen=True, slots=True)
class MixturePlan:
    """A mixture beside the dense model of the same training FLOP and the same law.

    Attributes
    ----------
    n_experts
        Of which each token uses one.
    active_parameters, total_parameters, tokens, loss
        The mixture: active parameters set compute, total ones set memory.
    dense_parameters, dense_tokens, dense_loss
        The dense model.
    equal_loss_flops_share
        FLOP that the mixture needs for the dense model's loss, as a share of the dense model's.
    serving_bytes, dense_serving_bytes
        Weights in 16 bits.
    training_bytes
        Weights, gradients and Adam's states at 16 bytes a parameter, activations not counted.
    devices_for_weights
        Accelerators whose memory holds `training_bytes` at least; ``None`` where it is unknown.
    warnings
        Where the law is stretched.
    """

    n_experts: int
    active_parameters: float
    total_parameters: float
    tokens: float
    loss: float
    dense_parameters: float
    dense_tokens: float
    dense_loss: float
    equal_loss_flops_share: float | None
    serving_bytes: float
    dense_serving_bytes: float
    training_bytes: float
    devices_for_weights: float | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def plan_mixture(
    flops: float, n_experts: int, accelerator: Accelerator, *, unique_tokens: float | None = None
) -> MixturePlan:
    """The best mixture of `n_experts` for a training budget.

    Parameters
    ----------
    unique_tokens
        Tokens there are. The law knows fresh ones only, so a plan that needs more comes with a warning.

    Raises
    ------
    ConfigError
        If the number of experts is outside 1 to 32, the range of the law.
    """
    law = mixture_law(_CONSTANTS)
    mixed, dense = law.with_experts(n_experts), law.with_experts(1)
    best, plain = mixed.compute_optimal(flops), dense.compute_optimal(flops)
    equal = mixed.cheapest_for_loss(plain.loss)
    total = total_parameters(best.parameters, n_experts)
    memory = accelerator.memory_bytes
    training = _TRAINING_BYTES * total
    warnings = constants(_CONSTANTS).range_warnings(best.parameters, best.tokens)
    if unique_tokens is not None and max(best.tokens, plain.tokens) > unique_tokens:
        words = (
            f"it plans {best.tokens:.3g} fresh tokens ({plain.tokens:.3g} dense) where there are {unique_tokens:.3g}: "
            "no law of repeated data for mixtures is in the catalogue, so its losses are out of reach"
        )
        warnings = (words, *warnings)
    return MixturePlan(
        n_experts,
        best.parameters,
        total,
        best.tokens,
        best.loss,
        plain.parameters,
        plain.tokens,
        plain.loss,
        None if equal is None else equal.training_flops / flops,
        _SERVING_BYTES * total,
        _SERVING_BYTES * plain.parameters,
        training,
        None if memory is None else training / memory,
        warnings,
    )
