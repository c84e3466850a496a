"""Weights of an encoder under one set of names, whatever family they come from.

Families that are the same network under other names (BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA with full-width
embeddings, DistilBERT) become one layout that ``bert_graph`` draws. Other families are not drawn by hand:
they go through torch's exporter (``torch_graph``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["EncoderShape", "EncoderWeights", "encoder_weights"]

FloatArray = npt.NDArray[np.float32]

_OFFSET_FAMILIES = ("camembert", "roberta", "xlm-roberta")
_FAMILIES = ("bert", "distilbert", "electra", *_OFFSET_FAMILIES)
_ACTIVATIONS = {"gelu": "Gelu", "gelu_new": "FastGelu", "gelu_pytorch_tanh": "FastGelu", "relu": "Relu"}
_PREFIX = re.compile(r"^(?:model\.)?(?:bert|roberta|electra|distilbert)\.")
_DISTILBERT = {
    "transformer.layer": "encoder.layer",
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """What the graph must know besides weights.

    Attributes
    ----------
    layers, heads, width
        Transformer layers, attention heads, hidden size.
    activation
        Operator of the feed-forward layers: ``Gelu``, ``FastGelu`` or ``Relu``.
    norm_epsilon
        Of the layer norms.
    first_position
        Row of the position table that the first token uses.
    """

    layers: int
    heads: int
    width: int
    activation: str
    norm_epsilon: float
    first_position: int


@dataclass(frozen=True, slots=True)
class EncoderWeights:
    """Shape and weights (BERT's names without prefix) of an encoder."""

    shape: EncoderShape
    arrays: Mapping[str, FloatArray]

    def pair(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Weight and bias of a layer."""
        return self.arrays[f"{name}.weight"], self.arrays[f"{name}.bias"]

    @property
    def has_types(self) -> bool:
        """Whether token types are an input."""
        return "embeddings.token_type_embeddings.weight" in self.arrays


def encoder_weights(
    config: Mapping[str, Any], state: Mapping[str, npt.NDArray[Any]], layers: int | None = None
) -> EncoderWeights | None:
    """The encoder in the common layout, or ``None`` if its family has another network.

    Parameters
    ----------
    config
        Hugging Face ``config.json``.
    state
        Arrays by parameter name.
    layers
        Layers that `state` holds, where this is not what `config` says (a shortened encoder).
    """
    family = str(config.get("model_type"))
    activation = _ACTIVATIONS.get(str(config.get("hidden_act", config.get("activation", "gelu"))))
    is_absolute = config.get("position_embedding_type", "absolute") in ("absolute", None)
    if family not in _FAMILIES or activation is None or not is_absolute:
        return None
    arrays = {
        _common_name(name, family): np.asarray(array, dtype=np.float32) for name, array in state.items()
    }
    if any(name.startswith("embeddings_project") for name in arrays):
        return None
    width = int(config.get("hidden_size", config.get("dim", 0)))
    shape = EncoderShape(
        layers=layers or int(config.get("num_hidden_layers", config.get("n_layers", 0))),
        heads=int(config.get("num_attention_heads", config.get("n_heads", 0))),
        width=width,
        activation=activation,
        norm_epsilon=float(config.get("layer_norm_eps", 1e-12)),
        first_position=int(config.get("pad_token_id") or 0) + 1 if family in _OFFSET_FAMILIES else 0,
    )
    return EncoderWeights(shape, arrays)


def _common_name(name: str, family: str) -> str:
    short = _PREFIX.sub("", name).replace(".gamma", ".weight").replace(".beta", ".bias")
    if family == "distilbert":
        for old, new in _DISTILBERT.items():
            short = short.replace(old, new)
    return short
