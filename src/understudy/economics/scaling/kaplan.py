"""The law of Kaplan et al. 2020 (arXiv 2001.08361), kept to show what planning by it would have cost.

``L = ((N_c / N)**(alpha_N / alpha_D) + D_c / D)**alpha_D`` (equation 1.5) and the compute-efficient frontier
``N = 1.3e9 C**.73``, ``D = 2e10 C**.27`` with C in petaFLOP-days at the critical batch size (table 6). N counts
no embeddings. Loss and frontier are two separate fits: the frontier is not the minimum of the loss formula.
"""

from __future__ import annotations

from understudy.economics.scaling.constants import constants
from understudy.economics.scaling.flop import check_positive
from understudy.economics.scaling.law import Allocation

__all__ = ["FLOP_PER_PETAFLOP_DAY", "kaplan_loss", "kaplan_optimal"]

FLOP_PER_PETAFLOP_DAY = 1e15 * 86_400


def kaplan_loss(parameters: float, tokens: float) -> float:
    """Nats per token on WebText2 for a model trained until it stops improving."""
    v = constants("kaplan2020").values
    size = (v["critical_parameters"] / check_positive("parameters", parameters)) ** (v["alpha"] / v["beta"])
    return float((size + v["critical_tokens"] / check_positive("tokens", tokens)) ** v["beta"])


def kaplan_optimal(flops: float) -> Allocation:
    """The frontier at `flops`; its loss is by :func:`kaplan_loss`.

    `training_flops` is that of N and D as they come out, 6 N D, which the rounded constants do not return to
    `flops` exactly.
    """
    v = constants("kaplan2020").values
    petaflop_days = check_positive("flops", flops) / FLOP_PER_PETAFLOP_DAY
    parameters = v["optimal_parameters"] * petaflop_days ** v["parameters_exponent"]
    tokens = v["optimal_tokens"] * petaflop_days ** v["tokens_exponent"]
    return Allocation(parameters, tokens, 6 * parameters * tokens, kaplan_loss(parameters, tokens))
