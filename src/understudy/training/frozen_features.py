"""Sentence features from a base encoder that is not trained, by the very int8 graph that will serve them.

A head fitted to these features has seen the rounding it will meet. Three layers are laid side by side, each
scaled to length 1: the last (meaning), the middle, and the embedding layer (a bag of words in a dense space,
which the upper layers wash out); on banking77 this lifts a linear head from 93.0 % to 93.9 % for no time at
all.

Features are kept by content, so that folds of a cross-validation and later rungs do not embed a text twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.errors import ConfigError
from understudy.export.bert_graph import ReadOut, draw_encoder
from understudy.export.encoder_weights import encoder_weights
from understudy.runtime.onnx_model import OnnxModel
from understudy.runtime.tokens import Tokeniser
from understudy.training.base_encoder import BaseEncoder, resolve_base

__all__ = ["FrozenEncoder", "frozen_encoder"]

Float32 = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]

_MOST_KEPT_BYTES = 600_000_000
_CHUNK = 512


class FrozenEncoder:
    """Makes features of inputs.

    Parameters
    ----------
    base
        The base encoder.
    max_tokens
        Longest sequence.
    """

    def __init__(self, base: BaseEncoder, max_tokens: int) -> None:
        weights = encoder_weights(base.config, base.arrays())
        if weights is None:
            raise ConfigError(
                f"the base encoder {base.name!r} is of a family that cannot be frozen here",
                given=f"model_type {base.config.get('model_type')!r}",
                todo="choose BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA or DistilBERT, or the rung 'tuned'",
            )
        self.base, self.weights = base, weights
        self.tokeniser: Tokeniser = base.tokeniser(max_tokens)
        last = weights.shape.layers
        layers = tuple(dict.fromkeys((0, last // 2, last)))
        self.read_out = ReadOut(base.pooling, layers, is_normalised=True)
        self.width = weights.shape.width * len(layers)
        self._model = OnnxModel(
            draw_encoder(weights, self.read_out, is_quantised=True, max_tokens=self.tokeniser.max_tokens)
        )
        self._kept: dict[bytes, Float32] = {}
        self._lock = Lock()

    def features(self, inputs: Sequence[InputParts], progress: Progress | None = None) -> Float32:
        """Features of `n` inputs, shape (n, d).

        Parameters
        ----------
        inputs
            The inputs.
        progress
            Called with how many are done and how many there are.
        """
        keys = [_key(parts) for parts in inputs]
        with self._lock:
            fresh = {key: at for at, key in enumerate(keys) if key not in self._kept}
        rows = list(fresh.values())
        made: dict[bytes, Float32] = {}
        for at in range(0, len(rows), _CHUNK):
            chunk = [inputs[row] for row in rows[at : at + _CHUNK]]
            done = self._model.map(lambda parts: self._model.run(self.tokeniser(parts))["row"][0], chunk)
            made.update(zip([keys[row] for row in rows[at : at + _CHUNK]], done, strict=True))
            if progress is not None:
                progress(min(at + _CHUNK, len(rows)), len(rows))
        out = np.empty((len(inputs), self.width), dtype=np.float32)
        with self._lock:
            for at, key in enumerate(keys):
                out[at] = made[key] if key in made else self._kept[key]
            room = _MOST_KEPT_BYTES // (4 * self.width) - len(self._kept)
            self._kept.update(dict(list(made.items())[: max(room, 0)]))
        return out

    def float_features(self, inputs: Sequence[InputParts]) -> Float32:
        """The same features in float32 arithmetic, shape (n, d): to tell what int8 changes."""
        model = OnnxModel(draw_encoder(self.weights, self.read_out, is_quantised=False))
        made = model.map(lambda parts: model.run(self.tokeniser(parts))["row"][0], inputs)
        return np.array(made, dtype=np.float32).reshape(len(inputs), self.width)


@lru_cache(maxsize=2)
def frozen_encoder(name: str, max_tokens: int) -> FrozenEncoder:
    """The one frozen encoder of this name in this process, with what it has kept."""
    return FrozenEncoder(resolve_base(name), max_tokens)


def _key(parts: InputParts) -> bytes:
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        whole.update(len(data).to_bytes(8, "little"))
        whole.update(data)
    return whole.digest()
