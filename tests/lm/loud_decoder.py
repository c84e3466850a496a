"""A decoder whose parts all matter, without training: weights larger than they are drawn, and text to measure on."""

from __future__ import annotations

from dataclasses import replace

import torch
from tiny_decoder import DENSE
from transformers import PreTrainedModel

from understudy.lm.config import DecoderConfig
from understudy.lm.decoder import build_decoder
from understudy.lm.packing import Pack, pack

SHAPE = replace(DENSE, n_layers=3)


def text(n: int = 4, length: int = 24) -> Pack:
    tokens = torch.randint(1, SHAPE.vocab_size, (n, length), generator=torch.Generator().manual_seed(5))
    tokens[0, 9] = 0
    return pack(tokens, 0)


def dense(shape: DecoderConfig = SHAPE) -> PreTrainedModel:
    model = build_decoder(shape, seed=1)
    with torch.no_grad():  # of a size at which attention and feed-forward parts matter
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
    return model.eval()


def logits(model: PreTrainedModel, given: Pack) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(
            input_ids=given.tokens_BS, position_ids=given.positions_BS, attention_mask=given.attends()
        ).logits
    return found
