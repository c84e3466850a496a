"""What a batch is trained towards, and the default: the next token of every position that has a label.

Knows the models of transformers only as far as it must: where the body ends and the output matrix begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from understudy.lm.losses.chunked import chunked_head_loss, default_chunk_positions
from understudy.lm.packing import NOTHING, Pack

__all__ = ["Batch", "Objective", "body_of", "next_token_loss"]

# Their logits are the output matrix times the last hidden states and nothing else: no cap, no scale.
_PLAIN_HEADS = frozenset(
    {"llama", "understudy-decoder", "mistral", "mixtral", "qwen2", "qwen3", "phi3", "smollm3"}
)
# Share of positions with a label from which on all are computed.
_NEARLY_ALL = 0.9


class Batch(Protocol):
    """What the loop needs of a batch; objectives know more about theirs (:class:`~understudy.lm.packing.Pack`)."""

    @property
    def n_labels(self) -> int:
        """Tokens that are asked for something."""
        ...

    @property
    def n_sequences(self) -> int:
        """Sequences, which the batch can be split between."""
        ...

    def to(self, device: torch.device) -> Any:
        """Move the batch to a device."""
        ...

    def split(self, n_sequences: int) -> Any:
        """Cut into a list of batches of `n_sequences` at most, in order."""
        ...


Objective = Callable[[PreTrainedModel, Any], torch.Tensor]
"""Loss of a batch, summed over its labelled tokens: the loop divides by their number in the whole step."""


def next_token_loss(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
    """Cross-entropy of the next token in nats, summed over labelled tokens.

    The output matrix is applied to positions with a label only: of a prompt and its answer, to the answer. Where
    even their logits are many, they are computed chunk by chunk (:mod:`understudy.lm.losses.chunked`).
    """
    flat = pack.labels_BS.flatten()
    asked = (flat != NOTHING).nonzero().squeeze(1)
    if len(asked) > _NEARLY_ALL * len(flat):
        asked = torch.arange(len(flat), device=flat.device)  # picking and spreading out again would cost more
    labels = flat[asked]
    weights = None if pack.weights_BS is None else pack.weights_BS.flatten()[asked]
    causal = _causal_model(model)
    inputs: dict[str, Any] = {"input_ids": pack.tokens_BS, "use_cache": False}
    if not pack.is_single:
        # Without a mask, attention is causal by itself and takes the faster kernel.
        inputs |= {"attention_mask": pack.attends(), "position_ids": pack.positions_BS}
    if causal.config.model_type not in _PLAIN_HEADS:
        return _cross_entropy(_rows(causal(**inputs).logits, asked), labels, weights)
    hidden = _rows(body_of(causal)(**inputs).last_hidden_state, asked)
    head = causal.get_output_embeddings()
    is_plain_matrix = type(head) is torch.nn.Linear and head.bias is None
    if not is_plain_matrix or len(labels) <= default_chunk_positions(head.out_features):
        return _cross_entropy(head(hidden), labels, weights)
    matrix = head.weight
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, matrix = hidden.to(dtype), matrix.to(dtype)

    def losses(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        each = functional.cross_entropy(logits, labels[rows], ignore_index=NOTHING, reduction="none")
        return each if weights is None else each * weights[rows]

    return chunked_head_loss(hidden, matrix, losses, normaliser=1.0)


def _rows(values_BSX: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:  # noqa: N803
    flat = values_BSX.flatten(0, 1)
    return flat if len(asked) == len(flat) else flat.index_select(0, asked)


def body_of(causal: PreTrainedModel) -> torch.nn.Module:
    """Give a causal model without its output matrix."""
    body: torch.nn.Module = getattr(causal, causal.base_model_prefix)
    return body


def _causal_model(model: PreTrainedModel) -> PreTrainedModel:
    """Look through peft's wrapper, whose layers sit inside the model that it wraps."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    logits = logits.float()
    if weights is None:
        return functional.cross_entropy(logits, labels, ignore_index=NOTHING, reduction="sum")
    return (functional.cross_entropy(logits, labels, ignore_index=NOTHING, reduction="none") * weights).sum()
