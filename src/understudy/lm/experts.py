"""The mixture-of-experts block: route each token to a few experts, run each expert on its tokens, add up.

Tokens are sorted by expert, so that each expert sees one contiguous run of rows and all experts together are
one grouped matrix product. Nothing is padded. Knows no losses: how evenly the load lies is for
:mod:`understudy.lm.balance`.

Shapes: T tokens, D model width, E experts, K active experts, F expert width, A assignments (at most T * K).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from understudy.lm.config import ExpertsConfig

__all__ = ["ExpertBlock", "Experts", "Router", "Routing", "grouped_product"]

_TINY = 1e-20  # keeps the division of renormalising finite where all sigmoid scores underflow (DeepSeek-V3's code)


@dataclass(frozen=True, slots=True)
class Routing:
    """What the router decided for T tokens.

    Attributes
    ----------
    logits_TE, scores_TE
        The router's raw outputs, and the gate's scores of them (softmax or sigmoid), without the bias.
    experts_TK
        Chosen experts, best first.
    weights_TK
        What their outputs are multiplied with.
    """

    logits_TE: torch.Tensor  # noqa: N815  (shape suffix)
    scores_TE: torch.Tensor  # noqa: N815
    experts_TK: torch.Tensor  # noqa: N815
    weights_TK: torch.Tensor  # noqa: N815

    def loads(self) -> torch.Tensor:
        """Assignments per expert, before any are dropped; integers, shape (E,)."""
        return torch.bincount(self.experts_TK.reshape(-1), minlength=self.scores_TE.shape[1])


class Router(nn.Module):
    """Scores experts for each token and takes the best K.

    Always computes in float32 or better: logits of bfloat16 flip choices and unsettle training (Fedus et al.
    2021, section 2.4).

    Parameters
    ----------
    d_model
        Width of a token.
    config
        Number of experts, gate, renormalising.

    Attributes
    ----------
    bias
        Added to the scores for the choice only, never to the weights (Wang et al. 2024); not trained by
        gradients, saved with the model.
    """

    bias: torch.Tensor

    def __init__(self, d_model: int, config: ExpertsConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_experts, d_model))
        self.register_buffer("bias", torch.zeros(config.n_experts, dtype=torch.float32))

    def forward(self, x_TD: torch.Tensor) -> Routing:  # noqa: N803
        """Route the tokens `x_TD`."""
        with torch.autocast(x_TD.device.type, enabled=False):
            exact = torch.promote_types(x_TD.dtype, torch.float32)
            logits = functional.linear(x_TD.to(exact), self.weight.to(exact))
            scores = logits.softmax(-1) if self.config.gate == "softmax" else logits.sigmoid()
            chosen = (scores.detach() + self.bias.to(exact)).topk(self.config.n_active, dim=-1).indices
            weights = scores.gather(1, chosen)
            if self.config.is_renormalised:
                weights = weights / (weights.sum(-1, keepdim=True) + _TINY)
            return Routing(logits, scores, chosen, weights * self.config.routed_scale)


def grouped_product(
    rows_AI: torch.Tensor,  # noqa: N803
    weights_EIO: torch.Tensor,  # noqa: N803
    sizes_E: torch.Tensor,  # noqa: N803
) -> torch.Tensor:
    """Multiply consecutive runs of rows, one run per expert, with that expert's matrix.

    One fused kernel (``torch.nn.functional.grouped_mm``, torch 2.10) where it takes the dtype; else a loop over
    experts, which is as exact and slower where experts are many and small.

    Parameters
    ----------
    rows_AI
        Rows sorted by expert, shape (A, I).
    weights_EIO
        One matrix per expert, shape (E, I, O).
    sizes_E
        Rows of each expert, shape (E,), adding up to A; an expert may have none.

    Returns
    -------
    torch.Tensor
        Shape (A, O).
    """
    if _has_grouped_kernel(rows_AI, weights_EIO):
        ends = sizes_E.cumsum(0).to(torch.int32)
        return functional.grouped_mm(rows_AI.contiguous(), weights_EIO, offs=ends)
    runs = torch.split(rows_AI, sizes_E.tolist())
    return torch.cat([run @ matrix for run, matrix in zip(runs, weights_EIO.unbind(0), strict=True)])


def _has_grouped_kernel(rows: torch.Tensor, weights: torch.Tensor) -> bool:
    is_dtype_good = rows.dtype == weights.dtype and rows.dtype in (torch.float32, torch.bfloat16)
    if not is_dtype_good or not rows.shape[0] or not hasattr(functional, "grouped_mm"):
        return False
    # The kernel loads 16 bytes at once: rows of another length are refused, and torch 2.10 also refuses weights
    # that begin elsewhere, as those of a memory-mapped file may.
    is_aligned = rows.data_ptr() % 16 == 0 and weights.data_ptr() % 16 == 0
    if not is_aligned or any((size * rows.element_size()) % 16 for size in weights.shape[1:]):
        return False
    if rows.device.type == "cuda":
        # CUDA's kernel takes bfloat16 only, from compute capability 8.0 on.
        return rows.dtype == torch.bfloat16 and torch.cuda.get_device_capability(rows.device) >= (8, 0)
    return rows.device.type == "cpu"


class Experts(nn.Module):
    """E SwiGLU networks of equal shape, kept as two stacks of matrices.

    Attributes
    ----------
    gate_up
        First and second half of the last axis: gate and up projections; shape (E, D, 2 F).
    down
        Shape (E, F, D).
    """

    def __init__(self, d_model: int, config: ExpertsConfig) -> None:
        super().__init__()
        self.config = config
        self.gate_up = nn.Parameter(torch.empty(config.n_experts, d_model, 2 * config.d_expert))
        self.down = nn.Parameter(torch.empty(config.n_experts, config.d_expert, d_model))

    def forward(self, x_TD: torch.Tensor, routing: Routing) -> tuple[torch.Tensor, int]:  # noqa: N803
        """Run each token through its experts.

        Returns
        -------
        tuple[torch.Tensor, int]
            Weighted sums, shape (T, D); and how many of the T * K assignments were dropped for want of
            capacity (a dropped one adds nothing: the token passes by on the residual stream).
        """
        n_tokens, n_active = routing.experts_TK.shape
        # Best choices of all tokens come before all second choices, so that those are dropped last (Lepikhin et
        # al. 2020, GShard, algorithm 1).
        flat = routing.experts_TK.t().reshape(-1)
        order = flat.argsort(stable=True)
        sizes = torch.bincount(flat, minlength=self.config.n_experts)
        n_dropped = 0
        if self.training and (limit := self.capacity(n_tokens)) is not None:
            rank = torch.arange(len(flat), device=flat.device) - (sizes.cumsum(0) - sizes)[flat[order]]
            order, sizes = order[rank < limit], sizes.clamp(max=limit)
            n_dropped = len(flat) - len(order)
        weights = routing.weights_TK.t().reshape(-1)[order].to(x_TD.dtype)
        rows = self.run_sorted(x_TD[order % n_tokens], sizes) * weights[:, None]
        # Every assignment has a place of its own and they are added along an axis: the same bits every time,
        # which an index_add on a GPU would not give.
        spread = rows.new_zeros(n_active * n_tokens, rows.shape[1]).index_copy(0, order, rows)
        return spread.view(n_active, n_tokens, -1).sum(0), n_dropped

    def run_sorted(self, rows_AD: torch.Tensor, sizes_E: torch.Tensor) -> torch.Tensor:  # noqa: N803
        """Run rows that are sorted by expert through their experts; shape (A, D)."""
        dtype = rows_AD.dtype
        if torch.is_autocast_enabled(rows_AD.device.type):
            # Grouped products are not on autocast's list (torch 2.13), so it is done by hand.
            dtype = torch.get_autocast_dtype(rows_AD.device.type)
        both = grouped_product(rows_AD.to(dtype), self.gate_up.to(dtype), sizes_E)
        gate, up = both.chunk(2, dim=-1)
        return grouped_product(functional.silu(gate) * up, self.down.to(dtype), sizes_E)

    def capacity(self, n_tokens: int) -> int | None:
        """Most assignments that an expert takes of `n_tokens`, or ``None`` if there is no limit."""
        config = self.config
        if config.capacity_factor is None:
            return None
        return math.ceil(config.capacity_factor * n_tokens * config.n_active / config.n_experts)


class ExpertBlock(nn.Module):
    """Router, routed experts and shared experts: takes the place of a Llama layer's ``mlp``.

    Parameters
    ----------
    d_model
        Width of a token.
    config
        The mixture.

    Attributes
    ----------
    routing, n_dropped
        Of the last pass, for losses and statistics; ``None`` and 0 before one.
    """

    def __init__(self, d_model: int, config: ExpertsConfig) -> None:
        super().__init__()
        self.router = Router(d_model, config)
        self.experts = Experts(d_model, config)
        self.shared: nn.ModuleDict | None = None
        if config.n_shared:
            width = config.n_shared * config.d_expert  # n SwiGLUs that are added are one of n times the width
            self.shared = nn.ModuleDict(
                {
                    "gate_proj": nn.Linear(d_model, width, bias=False),
                    "up_proj": nn.Linear(d_model, width, bias=False),
                    "down_proj": nn.Linear(width, d_model, bias=False),
                }
            )
        self.routing: Routing | None = None
        self.n_dropped = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform hidden states of shape (..., D)."""
        flat = x.reshape(-1, x.shape[-1])
        self.routing = self.router(flat)
        mixed, self.n_dropped = self.experts(flat, self.routing)
        out: torch.Tensor = mixed.view(x.shape)
        if self.shared is not None:
            inner = functional.silu(self.shared["gate_proj"](x)) * self.shared["up_proj"](x)
            out = out + self.shared["down_proj"](inner)
        return out
