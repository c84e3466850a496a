"""The network that is trained: an encoder, one vector per input, one linear layer for all heads.

The same read-out as the exported graph (``export.bert_graph.ReadOut``), in torch and for padded batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from understudy.errors import ConfigError
from understudy.export.bert_graph import Pooling
from understudy.training.base_encoder import BaseEncoder

__all__ = ["EncoderNetwork", "build_network", "encoder_layers", "keep_layers"]


class EncoderNetwork(nn.Module):
    """Encoder and heads.

    Parameters
    ----------
    encoder
        A Hugging Face encoder.
    pooling
        How token states become one vector.
    row_width, token_width
        Columns of the per-input and per-token outputs; 0 for none.
    dropout
        On the pooled vector and the token states while training.

    Shapes: B inputs, T tokens, H hidden size, R per-input columns, K per-token columns.
    """

    def __init__(
        self, encoder: nn.Module, pooling: Pooling, row_width: int, token_width: int, dropout: float
    ) -> None:
        super().__init__()
        width = int(encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
        self.encoder = encoder
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        # Plain parameters: torch's linear layer warns where it has no columns.
        self.row_weight = nn.Parameter(torch.empty(row_width, width))
        self.row_bias = nn.Parameter(torch.zeros(row_width))
        self.token_weight = nn.Parameter(torch.empty(token_width, width))
        self.token_bias = nn.Parameter(torch.zeros(token_width))
        self.has_types = int(getattr(encoder.config, "type_vocab_size", 0) or 0) > 0

    def forward(
        self, ids: torch.Tensor, types: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Per-input outputs (B, R), per-token outputs (B, T, K) and pooled vectors (B, H), all float32."""
        more = {"token_type_ids": types} if self.has_types else {}
        states_bth = self.encoder(input_ids=ids, attention_mask=mask, **more).last_hidden_state.float()
        if self.pooling == "cls":
            pooled_bh = states_bth[:, 0]
        else:
            weight_bt1 = mask[..., None].float()
            pooled_bh = (states_bth * weight_bt1).sum(1) / weight_bt1.sum(1)
        row = nn.functional.linear(self.dropout(pooled_bh), self.row_weight, self.row_bias)
        token = nn.functional.linear(self.dropout(states_bth), self.token_weight, self.token_bias)
        return row, token, pooled_bh

    def head_arrays(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias of ``row`` or ``token``, float32."""
        weight = self.get_parameter(f"{name}_weight").detach().cpu().float().numpy()
        return weight, self.get_parameter(f"{name}_bias").detach().cpu().float().numpy()


def build_network(
    base: BaseEncoder, row_width: int, token_width: int, dropout: float, seed: int
) -> EncoderNetwork:
    """A network that starts from the base encoder, its heads from small seeded noise."""
    network = EncoderNetwork(base.torch_model(), base.pooling, row_width, token_width, dropout)
    pen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in (network.row_weight, network.token_weight):
            weight.normal_(0.0, 0.02, generator=pen)
    return network


def encoder_layers(encoder: Any) -> tuple[nn.Module, str, nn.ModuleList]:
    """The module that holds the transformer layers, the attribute's name, and the layers.

    Raises
    ------
    ConfigError
        If the encoder has no plain list of layers.
    """
    wanted = int(getattr(encoder.config, "num_hidden_layers", 0))
    for module in encoder.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == wanted:
                return module, name, child
    raise ConfigError(
        "this encoder's layers cannot be found, so it cannot be shortened",
        given=type(encoder).__name__,
        todo="use the rung 'tuned' or a base encoder of the BERT family",
    )


def keep_layers(encoder: Any, kept: tuple[int, ...]) -> None:
    """Drop all transformer layers but those numbered `kept`, in place."""
    holder, name, layers = encoder_layers(encoder)
    setattr(holder, name, nn.ModuleList([layers[at] for at in kept]))
    encoder.config.num_hidden_layers = len(kept)
