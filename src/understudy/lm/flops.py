"""Floating-point operations that a training step needs for a token, of any model of transformers."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from understudy.errors import ConfigError
from understudy.lm.decoder import shape_of

__all__ = ["train_flops_per_token"]


def train_flops_per_token(model: PreTrainedModel, sequence_tokens: int) -> int:
    """Operations per token, forward and backward.

    Exact as :meth:`~understudy.lm.config.DecoderConfig.train_flops_per_token` counts where the shape is understood
    and every weight is trained. Else ``6 N`` of Kaplan et al. 2020 (section 2.1): 2 for a weight in the forward
    pass, 2 for the gradient of what goes through it and 2 for its own, which frozen weights do without. N leaves
    out input embeddings (where they are not the output matrix too), and attention between positions is left out:
    too low where a sequence is long against the model's width. An encoder-decoder is counted as if each
    token went through both halves: up to twice too high.
    """
    is_trained_whole = all(parameter.requires_grad for parameter in model.parameters())
    if is_trained_whole:
        try:
            return shape_of(model).train_flops_per_token(sequence_tokens)
        except ConfigError:
            pass  # a model of another kind
    looked_up = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding) and not _is_output(model, module)
    }
    counted = [parameter for parameter in model.parameters() if id(parameter) not in looked_up]
    return sum((6 if parameter.requires_grad else 4) * parameter.numel() for parameter in counted)


def _is_output(model: PreTrainedModel, embedding: torch.nn.Embedding) -> bool:
    head = model.get_output_embeddings()
    return head is not None and head.weight is embedding.weight
