"""An encoder-decoder in ONNX: the prompt is read by one graph, and the answer written by another.

Each sequence is run on its own, so that its bits cannot depend on others; it gains nothing from company.
Shapes: N sequences, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from understudy.errors import ArtefactError
from understudy.runtime.decoder import Logits
from understudy.runtime.onnx_decoder import open_session

__all__ = ["OnnxEncoderDecoder"]


class OnnxEncoderDecoder:
    """Implements ``runtime.decoder.Decoder`` for the two graphs of a T5.

    Parameters
    ----------
    folder
        Where the graphs lie.
    settings
        As export returned them.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._encoder = open_session(folder / str(settings["encoder"]), 1)
        self._decoder = open_session(folder / str(settings["model"]), 1)
        self._vocab_size = int(settings["vocab_size"])
        self._context_tokens = int(settings["context_tokens"])
        self._first_token = int(settings["first_token"])
        self._names = [
            f"{layer}.{part}" for layer in range(int(settings["layers"])) for part in ("key", "value")
        ]
        empty = np.zeros((1, int(settings["kv_heads"]), 0, int(settings["head_width"])), dtype=np.float32)
        self._nothing = {f"past.{name}": empty for name in self._names}

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        """Read what ``export.decoder.export_decoder`` wrote.

        Raises
        ------
        ArtefactError
            If a file or a setting is missing or damaged.
        """
        try:
            return cls(folder, settings)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError("a decoder's description is damaged", given=f"{folder}: {error}") from error

    @property
    def vocab_size(self) -> int:
        """Columns of the scores."""
        return self._vocab_size

    @property
    def context_tokens(self) -> int:
        """Longest prompt with its answer."""
        return self._context_tokens

    def start(self, prompts: Sequence[Sequence[int]]) -> _Pairs:
        """Read the prompts, each of at least one token."""
        return _Pairs(self, prompts)

    def read(self, prompt: Sequence[int]) -> dict[str, Any]:
        """What the decoder needs of a prompt, by the names of its inputs."""
        wanted = [f"cross.{name}" for name in self._names]
        made = self._encoder.run(wanted, {"ids": np.array([prompt], dtype=np.int64)})
        return {**self._nothing, **dict(zip(wanted, made, strict=True))}

    def advance(self, state: dict[str, Any], token: int | None) -> Logits:
        """Scores (V,) after `token` (``None``: after the token that begins every answer); `state` is moved on."""
        own = self._first_token if token is None else token
        feed = {**state, "ids": np.array([[own]], dtype=np.int64)}
        scores, *grown = self._decoder.run(["logits", *(f"present.{name}" for name in self._names)], feed)
        state.update(zip((f"past.{name}" for name in self._names), grown, strict=True))
        found: Logits = scores[0]
        return found


class _Pairs:
    """Sequences under way; implements ``runtime.decoder.Decoding``."""

    def __init__(self, model: OnnxEncoderDecoder, prompts: Sequence[Sequence[int]]) -> None:
        self._model = model
        self._states = [model.read(prompt) for prompt in prompts]
        scores = [model.advance(state, None) for state in self._states]
        self._logits: Logits = (
            np.stack(scores) if scores else np.zeros((0, model.vocab_size), dtype=np.float32)
        )

    @property
    def logits(self) -> Logits:
        """Scores of each answer's first token, shape (N, V)."""
        return self._logits

    def step(self, rows: Sequence[int], tokens: Sequence[int]) -> Logits:
        """Append one token to each of `rows`; scores of the token after it, shape (len(rows), V)."""
        if not len(rows):
            return self._logits[:0]
        pairs = zip(rows, tokens, strict=True)
        return np.stack([self._model.advance(self._states[row], token) for row, token in pairs])

    def close(self) -> None:
        """Let go of the memory of all rows."""
        self._states = []
