"""How much each layer, attention head and feed-forward channel of a dense decoder does, on calibration text.

- A layer's influence is ``1 - cos`` of what goes in and what comes out, mean over positions (Men et al. 2024,
  "ShortGPT", equation 1).
- A head's importance is ``|a . dL/da|``, a its output over a sequence and L the sequence's loss, mean over
  sequences: the first-order change of the loss if the head were switched off (Michel et al. 2019, equation 2).
- A channel's is the root mean square of its activation times the norm of its column in the output matrix (the
  product of Sun et al. 2024, "Wanda", for a whole column; Muralidharan et al. 2024, "Minitron", take the activation
  alone).

All three are 0 for a part that does nothing. Knows Llama's names of modules, which Mistral and Qwen share; cuts
nothing.

Shapes: L layers, H query heads, F channels; B sequences, S tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from understudy.errors import ConfigError
from understudy.lm.objective import next_token_loss
from understudy.lm.packing import NOTHING, Pack

__all__ = ["Importance", "layers_of", "measure_importance"]

_KINDS = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class Importance:
    """What each part does; larger is more, scales are comparable within one array row only.

    Attributes
    ----------
    layers_L
        Influence of layers, 0 (changes no direction) to 2.
    heads_LH, channels_LF
        Importance of heads, in nats, and of channels; 0 or more.
    """

    layers_L: torch.Tensor  # noqa: N815  (shape suffix)
    heads_LH: torch.Tensor  # noqa: N815
    channels_LF: torch.Tensor  # noqa: N815


def layers_of(model: PreTrainedModel) -> Any:
    """Give the layers of a dense decoder of a kind that can be pruned.

    Raises
    ------
    ConfigError
        If it is of another kind.
    """
    if model.config.model_type not in _KINDS:
        raise ConfigError(
            f"only dense decoders can be pruned: {', '.join(_KINDS)}",
            given=f"model_type = {model.config.model_type}",
            todo="leave out the step prune",
        )
    return model.model.layers


def measure_importance(model: PreTrainedModel, packs: Sequence[Pack]) -> Importance:
    """Measure on the labelled positions of `packs`; the model stays as it was.

    Parameters
    ----------
    model
        A dense Llama, Mistral or Qwen.
    packs
        Calibration batches, one or more: text to train on, not to measure with.

    Raises
    ------
    ConfigError
        If the model is of another kind.
    """
    assert packs, "no calibration text"
    layers = layers_of(model)
    n_heads = model.config.num_attention_heads
    was_training = model.training
    had_gradients = [parameter.requires_grad for parameter in model.parameters()]
    model.eval().requires_grad_(True)  # heads need a gradient, also where the model is frozen
    watch = _Watch(layers)
    try:
        for pack in packs:
            watch.read(model, pack.to(model.device), n_heads)
    finally:
        model.train(was_training)
        for parameter, had in zip(model.parameters(), had_gradients, strict=True):
            parameter.requires_grad_(had)
    return watch.found(layers)


class _Watch:
    """Adds up, batch by batch, what hooks see."""

    def __init__(self, layers: Any) -> None:
        self._layers = layers
        self._influence = [0.0 for _ in layers]
        self._heads: list[torch.Tensor | float] = [0.0 for _ in layers]
        self._squares: list[torch.Tensor | float] = [0.0 for _ in layers]
        self._n_positions, self._n_sequences = 0, 0

    def read(self, model: PreTrainedModel, pack: Pack, n_heads: int) -> None:
        """Run one batch forwards and backwards."""
        is_asked_BS = pack.labels_BS != NOTHING  # noqa: N806
        mixed: dict[int, torch.Tensor] = {}
        with ExitStack() as hooks:
            for at, layer in enumerate(self._layers):
                for handle in self._hooks(at, layer, is_asked_BS, mixed):
                    hooks.callback(handle.remove)
            with torch.enable_grad():
                loss = next_token_loss(model, pack)
                slopes = torch.autograd.grad(loss, [mixed[at] for at in range(len(self._layers))])
        for at, slope in enumerate(slopes):
            product = (mixed[at].detach() * slope).reshape(*slope.shape[:-1], n_heads, -1)
            self._heads[at] += product.sum((1, 3)).abs().sum(0)  # over tokens and width, then sequences
        self._n_positions += int(is_asked_BS.sum())
        self._n_sequences += len(is_asked_BS)

    def _hooks(
        self, at: int, layer: Any, is_asked: torch.Tensor, mixed: dict[int, torch.Tensor]
    ) -> list[Any]:
        def see_layer(_: Any, given: tuple[torch.Tensor, ...], out: Any) -> None:
            after = out[0] if isinstance(out, tuple) else out
            cosine = functional.cosine_similarity(given[0].detach().float(), after.detach().float(), dim=-1)
            self._influence[at] += float((1 - cosine[is_asked]).sum())

        def see_heads(_: Any, given: tuple[torch.Tensor, ...]) -> None:
            mixed[at] = given[0]

        def see_channels(_: Any, given: tuple[torch.Tensor, ...]) -> None:
            self._squares[at] += given[0].detach().float()[is_asked].square().sum(0)

        return [
            layer.register_forward_hook(see_layer),
            layer.self_attn.o_proj.register_forward_pre_hook(see_heads),
            layer.mlp.down_proj.register_forward_pre_hook(see_channels),
        ]

    def found(self, layers: Any) -> Importance:
        """Divide the sums."""
        n = max(self._n_positions, 1)
        channels = [
            (torch.as_tensor(square) / n).sqrt() * layer.mlp.down_proj.weight.detach().float().norm(dim=0)
            for square, layer in zip(self._squares, layers, strict=True)
        ]
        return Importance(
            torch.tensor(self._influence) / n,
            torch.stack([torch.as_tensor(one) for one in self._heads]).cpu() / self._n_sequences,
            torch.stack(channels).cpu(),
        )
