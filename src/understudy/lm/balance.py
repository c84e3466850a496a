"""Keeping experts evenly busy: two losses on the router, and a bias that needs no loss.

Knows what a router decided (:class:`~understudy.lm.experts.Routing`), not the model around it. What "evenly"
came to is measured in :mod:`understudy.lm.load`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from understudy.errors import ConfigError
from understudy.lm.experts import Router, Routing

__all__ = ["BalanceSettings", "router_loss", "switch_loss", "update_bias", "z_loss"]

_KINDS = ("none", "switch", "bias")


@dataclass(frozen=True, slots=True)
class BalanceSettings:
    """How the load of experts is evened out.

    Attributes
    ----------
    kind
        ``switch`` (an auxiliary loss), ``bias`` (no loss, a bias on the choice) or ``none``.
    switch_weight
        Factor of the auxiliary loss; 0.01 is Fedus et al. 2021's (section 2.2), who tried 0.1 to 0.00001.
    z_weight
        Factor of the router's z-loss with any kind; 0.001 is Zoph et al. 2022's (ST-MoE).
    bias_rate
        Step of the bias while the learning rate is at its peak; it falls and rises with that. Wang et al. 2024
        have 0.001, for sigmoid gates and runs of many thousand steps; one of a few hundred needs 0.01.
    """

    kind: Literal["none", "switch", "bias"] = "switch"
    switch_weight: float = 0.01
    z_weight: float = 0.001
    bias_rate: float = 0.001

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ConfigError(f"kind must be one of {', '.join(_KINDS)}", given=f"kind = {self.kind!r}")
        for field in ("switch_weight", "z_weight", "bias_rate"):
            if not getattr(self, field) >= 0:
                raise ConfigError(f"{field} must be 0 or more", given=f"{field} = {getattr(self, field)!r}")


def switch_loss(routing: Routing) -> torch.Tensor:
    """Give the Switch auxiliary loss ``E * sum_i f_i P_i`` (Fedus et al. 2021, equations 4 to 6), no factor.

    ``f_i`` is the share of assignments that went to expert i (over all K choices, so that shares add up to 1)
    and ``P_i`` the mean of its scores, which are first made to add up to 1 where the gate is a sigmoid
    (DeepSeek-V3, equation 19). The gradient goes through ``P_i`` alone. 1 where scores and load are even.
    """
    scores = routing.scores_TE / routing.scores_TE.sum(-1, keepdim=True)
    loads = routing.loads().to(scores.dtype)
    return scores.shape[1] * (loads / loads.sum() * scores.mean(0)).sum()


def z_loss(routing: Routing) -> torch.Tensor:
    """Give the router's z-loss, the mean of ``logsumexp(logits)^2`` (Zoph et al. 2022, equation 5), no factor."""
    return routing.logits_TE.logsumexp(-1).square().mean()


def router_loss(routings: list[Routing], settings: BalanceSettings) -> torch.Tensor | None:
    """Weigh and add the losses of all expert layers; ``None`` where there is nothing to add."""
    total: torch.Tensor | None = None
    for routing in routings:
        for weight, loss in (
            (settings.switch_weight if settings.kind == "switch" else 0.0, switch_loss),
            (settings.z_weight, z_loss),
        ):
            if weight:
                part = weight * loss(routing)
                total = part if total is None else total + part
    return total


@torch.no_grad()
def update_bias(router: Router, loads_E: torch.Tensor, rate: float) -> None:  # noqa: N803
    """Raise the bias of experts with less than the mean load by `rate`, lower that of those with more.

    ``b_i += rate * sign(mean(c) - c_i)`` (Wang et al. 2024, "Auxiliary-loss-free load balancing", algorithm 1),
    once for each step of the optimiser.

    Parameters
    ----------
    router
        Whose bias changes.
    loads_E
        Assignments per expert over the whole batch of the step, shape (E,).
    rate
        Step, in units of the gate's scores.
    """
    loads = loads_E.to(torch.float32)
    router.bias += rate * (loads.mean() - loads).sign().to(router.bias.dtype)
