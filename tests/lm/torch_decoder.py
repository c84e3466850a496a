"""A torch model behind the contract of decoders, one row at a time: slow, and right by construction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from understudy.runtime.decoder import Logits


class TorchDecoding:
    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> None:
        self._model, self._rows = model, [list(prompt) for prompt in prompts]
        self.logits = self._read(range(len(prompts)))

    def _read(self, rows: Sequence[int]) -> Logits:
        with torch.no_grad():
            found = [self._model(input_ids=torch.tensor([self._rows[row]])).logits[0, -1] for row in rows]
        return np.stack([one.numpy() for one in found])

    def step(self, rows: Sequence[int], tokens: Sequence[int]) -> Logits:
        for row, token in zip(rows, tokens, strict=True):
            self._rows[row].append(token)
        return self._read(rows)

    def close(self) -> None:
        self._rows.clear()


class TorchDecoder:
    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self.vocab_size = int(model.config.vocab_size)
        self.context_tokens = int(model.config.max_position_embeddings)

    def start(self, prompts: Sequence[Sequence[int]]) -> TorchDecoding:
        return TorchDecoding(self._model, prompts)
