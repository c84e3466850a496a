"""Reads what ``understudy plan train --json`` printed as a run to train: the shape, and the tokens.

A plan without a mixture gives its dense shape as it is. A plan with one gives the dense shape of the mixture's active
parameters, each feed-forward part of which becomes that many experts of its width, one of them active: the mixtures of
Clark et al. 2022 and of the scaling laws that ``plan train`` reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from understudy.errors import ConfigError
from understudy.lm.config import DecoderConfig, ExpertsConfig
from understudy.lm.family import learning_rate_for, shape_of_size

__all__ = ["PlannedRun", "read_plan"]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What a plan asks for.

    Attributes
    ----------
    shape
        The decoder.
    n_tokens
        To train on.
    """

    shape: DecoderConfig
    n_tokens: float

    @property
    def learning_rate(self) -> float:
        """Peak learning rate by :func:`~understudy.lm.family.learning_rate_for`."""
        return learning_rate_for(6.0 * self.shape.n_parameters(is_active_only=True) * self.n_tokens)

    def n_steps(self, batch_tokens: int) -> int:
        """Steps of `batch_tokens` that come to the tokens, 2 at least."""
        return max(2, round(self.n_tokens / batch_tokens))


def read_plan(path: Path, *, context_tokens: int, is_dense: bool) -> PlannedRun:
    """Read a plan.

    Parameters
    ----------
    path
        What ``plan train --json`` printed.
    context_tokens
        Longest sequence of the model.
    is_dense
        Whether to take the dense plan even where there is one of a mixture.

    Raises
    ------
    ConfigError
        If the file is no plan of a training run.
    """
    try:
        plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        mixture = None if is_dense else plan["mixture"]
        return _dense(plan, context_tokens) if mixture is None else _mixture(plan, mixture, context_tokens)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "this is not a plan of a training run",
            given=f"{path}: {type(error).__name__} {error}",
            todo="write one by `understudy plan train ... --json > plan.json`",
        ) from error


def _dense(plan: Mapping[str, Any], context_tokens: int) -> PlannedRun:
    shape, wanted = plan["shape"], plan["shape_parameters"]
    variant = min(plan["variants"], key=lambda one: abs(float(one["parameters"]) - wanted))
    decoder = DecoderConfig(
        vocab_size=shape["n_vocab"],
        d_model=shape["d_model"],
        n_layers=shape["n_layers"],
        n_heads=shape["n_heads"],
        n_kv_heads=shape["n_kv_heads"],
        d_ff=shape["d_ff"],
        d_head=shape["d_head"],
        is_tied=shape["is_tied"],
        context_tokens=context_tokens,
    )
    return PlannedRun(decoder, float(variant["tokens"]))


def _mixture(plan: Mapping[str, Any], mixture: Mapping[str, Any], context_tokens: int) -> PlannedRun:
    dense = shape_of_size(
        float(mixture["active_parameters"]),
        vocab_size=plan["shape"]["n_vocab"],
        context_tokens=context_tokens,
    )
    experts = ExpertsConfig(n_experts=int(mixture["n_experts"]), n_active=1, d_expert=dense.d_ff)
    return PlannedRun(replace(dense, experts=experts), float(mixture["tokens"]))
