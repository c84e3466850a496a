"""The teacher's reasons as a second target: from the sentence vector, predict the embedding of the rationale.

After Hsieh et al. 2023 ("Distilling step-by-step"), where a generative student also writes the rationale; an encoder
cannot write, but can be asked where in the base encoder's meaning space the rationale lies. Costs one small layer
while training and nothing afterwards.

Shapes: n rows, b rows of a batch, h hidden size of the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from understudy.errors import ConfigError
from understudy.training.base_encoder import BaseEncoder
from understudy.training.frozen_features import FrozenEncoder

__all__ = ["RationaleTask"]

_LEAST_ROWS = 20


class RationaleTask:
    """Predicts rationale embeddings.

    Parameters
    ----------
    wanted_nh
        Unit embeddings, rows of zeros where there is no rationale.
    seed
        Of the layer's start.
    weight
        Of this loss beside the answers' loss.
    """

    def __init__(self, wanted_nh: npt.NDArray[np.float32], seed: int, weight: float = 1.0) -> None:
        self._wanted_nh = torch.from_numpy(wanted_nh)
        self._weight = weight
        width = wanted_nh.shape[1]
        self.layer = nn.Linear(width, width)
        with torch.no_grad():
            self.layer.weight.normal_(0.0, 0.02, generator=torch.Generator().manual_seed(seed + 1))
            self.layer.bias.zero_()

    @classmethod
    def of(cls, base: BaseEncoder, rationales: Sequence[str | None] | None, seed: int) -> Self | None:
        """Embed the rationales; ``None`` where there are fewer than 20 or the base cannot be frozen."""
        rows = [at for at, rationale in enumerate(rationales or ()) if rationale and rationale.strip()]
        if rationales is None or len(rows) < _LEAST_ROWS:
            return None
        try:
            encoder = FrozenEncoder(base, base.max_tokens)
        except ConfigError:
            return None
        width = encoder.weights.shape.width
        wanted = np.zeros((len(rationales), width), dtype=np.float32)
        last_layer = encoder.features([(str(rationales[at]),) for at in rows])[:, -width:]
        centred = last_layer - last_layer.mean(axis=0)
        wanted[rows] = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
        return cls(wanted, seed)

    def loss(self, batch: npt.NDArray[np.int64], pooled_bh: torch.Tensor) -> torch.Tensor:
        """One minus the cosine, averaged over the batch's rows that have a rationale, times the weight."""
        wanted_bh = self._wanted_nh[torch.from_numpy(batch)].to(pooled_bh.device)
        has_reason = wanted_bh.abs().sum(1) > 0
        cosine = nn.functional.cosine_similarity(self.layer(pooled_bh), wanted_bh, dim=1)
        return self._weight * ((1.0 - cosine) * has_reason).sum() / has_reason.sum().clamp(min=1)
