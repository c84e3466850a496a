"""What a smaller model is trained towards when it shall behave like a larger one of the same tokeniser.

An :data:`~understudy.lm.objective.Objective`: the forward divergence of next-token distributions, from hidden states, so
that no full logits are kept (:mod:`understudy.lm.losses.chunked`).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from understudy.errors import ConfigError
from understudy.lm.losses.chunked import chunked_divergence
from understudy.lm.objective import Objective, body_of, next_token_loss
from understudy.lm.packing import NOTHING, Pack

__all__ = ["towards_logits"]


def towards_logits(
    teacher: PreTrainedModel, *, temperature: float = 1.0, label_share: float = 0.0
) -> Objective:
    """Train towards the teacher's next-token distributions at every labelled position.

    ``(1 - s) T^2 KL(p_T || q_T) + s (-log q(y))``, summed over positions (Hinton et al. 2015). Weights of labels
    count for the second term only; the divergence counts each labelled position once.

    Parameters
    ----------
    teacher
        Of the same vocabulary; put into evaluation mode, gets no gradient.
    temperature
        T, above 0.
    label_share
        s, 0 to 1.

    Raises
    ------
    ConfigError
        If an option is out of range.
    """
    if not temperature > 0 or not 0 <= label_share <= 1:
        raise ConfigError(
            "temperature must be above 0, and the labels' share 0 to 1", given=f"{temperature}, {label_share}"
        )
    teacher.eval()

    def objective(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
        total = pack.tokens_BS.new_zeros((), dtype=torch.float32)
        if label_share < 1:
            with torch.no_grad():
                taught = _hidden(teacher, pack)
            divergence = chunked_divergence(
                _hidden(model, pack),
                model.get_output_embeddings().weight.float(),
                taught,
                teacher.get_output_embeddings().weight.detach().float(),
                mask=pack.labels_BS != NOTHING,
                temperature=temperature,
                normaliser=1.0,
            )
            total = total + (1 - label_share) * temperature**2 * divergence
        if label_share > 0:
            total = total + label_share * next_token_loss(model, pack)
        return total

    return objective


def _hidden(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
    """Last hidden states, shape (B, S, D), float32."""
    inputs: dict[str, Any] = {"input_ids": pack.tokens_BS, "use_cache": False}
    if not pack.is_single:
        inputs |= {"attention_mask": pack.attends(), "position_ids": pack.positions_BS}
    states: torch.Tensor = body_of(model)(**inputs).last_hidden_state
    return states.float()
