"""Structured pruning: a smaller decoder of the same kind, made of the parts of a larger one that do most.

What comes out is a plain model of transformers with a smaller config, so that whatever reads the kind reads it. All
layers keep equally many heads and channels, each its own most important ones; heads keep their width. What was
removed did something unless its importance was 0: train on afterwards (:mod:`understudy.lm.recover`).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from understudy.errors import ConfigError
from understudy.lm.importance import Importance, layers_of

__all__ = ["PruneAim", "default_aim", "prune"]

_ATTENTION, _FEED_FORWARD = "self_attn", "mlp"


@dataclass(frozen=True, slots=True)
class PruneAim:
    """What shall be left; ``None`` leaves a dimension as it is.

    Attributes
    ----------
    n_layers
        Layers.
    n_heads, n_kv_heads
        Query heads and key-value heads. Key-value heads go with all their query heads; query heads beyond that go
        equally many from each key-value head that stays. `n_heads` ``None``: as many per key-value head as before.
    d_ff
        Feed-forward channels.
    """

    n_layers: int | None = None
    n_heads: int | None = None
    n_kv_heads: int | None = None
    d_ff: int | None = None


def default_aim(model: PreTrainedModel) -> PruneAim:
    """Three quarters of the layers and of the channels, rounded up, and all heads.

    Channels are a multiple of 32 where they were one (blocks of 4-bit weights are as long), else of 8.
    """
    config = model.config
    unit = 8 if config.intermediate_size % 32 else 32
    channels = math.ceil(0.75 * config.intermediate_size / unit) * unit
    return PruneAim(
        n_layers=math.ceil(0.75 * config.num_hidden_layers), d_ff=min(channels, config.intermediate_size)
    )


def prune(model: PreTrainedModel, importance: Importance, aim: PruneAim) -> PreTrainedModel:
    """Make the smaller model; `model` stays as it was.

    Returns
    -------
    PreTrainedModel
        Of the same class, in float32, in evaluation mode. Its config has the new sizes and an explicit ``head_dim``.

    Raises
    ------
    ConfigError
        If the model is of a kind that cannot be pruned, or a size is impossible.
    """
    layers = layers_of(model)
    sizes = _sizes(model, aim)
    kept = _top(importance.layers_L, sizes.n_layers)
    small = _empty(model, sizes, kept)
    mapped = {str(old): new for new, old in enumerate(kept)}
    cuts = [_cuts(model, importance, sizes, old) for old in kept]
    target = small.state_dict()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            head, _, rest = name.partition("layers.")
            if not rest:
                target[name].copy_(tensor)
                continue
            number, _, tail = rest.partition(".")
            if number in mapped:
                at = mapped[number]
                target[f"{head}layers.{at}.{tail}"].copy_(cuts[at].cut(tail, tensor))
    assert len(layers_of(small)) == len(kept) <= len(layers)
    return small.eval()


@dataclass(frozen=True, slots=True)
class _Sizes:
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_ff: int
    d_head: int


def _sizes(model: PreTrainedModel, aim: PruneAim) -> _Sizes:
    """Fill in what the aim leaves open, and check it."""
    config = model.config
    groups, heads = config.num_key_value_heads, config.num_attention_heads
    n_groups = groups if aim.n_kv_heads is None else aim.n_kv_heads
    n_heads = n_groups * (heads // groups) if aim.n_heads is None else aim.n_heads
    sizes = _Sizes(
        config.num_hidden_layers if aim.n_layers is None else aim.n_layers,
        n_heads,
        n_groups,
        config.intermediate_size if aim.d_ff is None else aim.d_ff,
        getattr(config, "head_dim", None) or config.hidden_size // heads,
    )
    for name, value, most in (
        ("layers", sizes.n_layers, config.num_hidden_layers),
        ("key-value heads", sizes.n_kv_heads, groups),
        ("heads", sizes.n_heads, sizes.n_kv_heads * (heads // groups)),
        ("channels", sizes.d_ff, config.intermediate_size),
    ):
        if not 1 <= value <= most:
            raise ConfigError(f"{name} that are left must be 1 to {most}", given=f"{value}")
    if sizes.n_heads % sizes.n_kv_heads:
        raise ConfigError(
            "each key-value head that stays must keep equally many heads",
            given=f"{sizes.n_heads} heads for {sizes.n_kv_heads} key-value heads",
        )
    if config.model_type == "llama" and config.hidden_size % sizes.n_heads:
        fits = [n for n in range(1, heads + 1) if config.hidden_size % n == 0]
        raise ConfigError(
            "a Llama's width must be a multiple of its heads, or no library reads the model",
            given=f"width {config.hidden_size}, heads left {sizes.n_heads}",
            todo=f"leave one of {', '.join(map(str, fits))}",
        )
    return sizes


def _top(scores: torch.Tensor, count: int) -> list[int]:
    """Places of the `count` largest, in their order; of equals the first stays."""
    order = torch.argsort(scores, descending=True, stable=True)
    return sorted(int(one) for one in order[:count])


def _empty(model: PreTrainedModel, sizes: _Sizes, kept: list[int]) -> PreTrainedModel:
    config = copy.deepcopy(model.config)
    config.num_hidden_layers, config.intermediate_size = sizes.n_layers, sizes.d_ff
    config.num_attention_heads, config.num_key_value_heads = sizes.n_heads, sizes.n_kv_heads
    config.head_dim = sizes.d_head
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = [config.layer_types[at] for at in kept]
    with torch.random.fork_rng():  # weights are drawn, then all written over
        return type(model)(config).float()


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Rows and columns that stay, of one layer."""

    query: torch.Tensor
    key: torch.Tensor
    channels: torch.Tensor

    def cut(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Give what stays of a layer's tensor called `name`, such as ``mlp.up_proj.weight``."""
        part, _, rest = name.partition(".")
        matrix = rest.partition(".")[0]
        if part == _ATTENTION and matrix in ("q_proj", "k_proj", "v_proj", "o_proj"):
            index = self.query if matrix in ("q_proj", "o_proj") else self.key
            is_column = matrix == "o_proj"
        elif part == _FEED_FORWARD:
            index, is_column = self.channels, matrix == "down_proj"
        else:
            return tensor
        if is_column and tensor.ndim == 1:
            return tensor  # the bias of an output matrix is as wide as the model
        return tensor.index_select(1 if is_column else 0, index)


def _cuts(model: PreTrainedModel, importance: Importance, sizes: _Sizes, layer: int) -> _Cuts:
    """Choose heads and channels of one layer."""
    scores_GH = importance.heads_LH[layer].reshape(model.config.num_key_value_heads, -1)  # noqa: N806
    per_group = scores_GH.shape[1]
    groups = _top(scores_GH.sum(1), sizes.n_kv_heads)
    heads = [
        group * per_group + head
        for group in groups
        for head in _top(scores_GH[group], sizes.n_heads // sizes.n_kv_heads)
    ]
    width = torch.arange(sizes.d_head)

    def rows(numbers: list[int]) -> torch.Tensor:
        return (torch.tensor(numbers)[:, None] * sizes.d_head + width).flatten()

    channels = torch.tensor(_top(importance.channels_LF[layer], sizes.d_ff))
    device = model.device
    return _Cuts(rows(heads).to(device), rows(groups).to(device), channels.to(device))
