"""The contract of a language model at run time: next-token scores for several sequences at once.

Engines (an ONNX graph, a GGUF file) stand behind it; what is done with the scores is in ``generate``.
Shapes: N sequences, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Decoder", "Decoding", "Logits"]

Logits = npt.NDArray[np.float32]


class Decoding(Protocol):
    """Sequences under way. Rows are numbered as their prompts were, and keep their numbers."""

    @property
    def logits(self) -> Logits:
        """Scores of the token after each prompt, shape (N, V)."""
        ...

    def step(self, rows: Sequence[int], tokens: Sequence[int]) -> Logits:
        """Append one token to each of `rows`; scores of the token after it, shape (len(rows), V).

        A row that is not named waits; one that is finished is just never named again.
        """
        ...

    def close(self) -> None:
        """Let go of the memory of all rows."""
        ...


class Decoder(Protocol):
    """A language model.

    The scores of a row must not depend on what other rows there are: the same bits alone and in company.
    """

    @property
    def vocab_size(self) -> int:
        """Columns of the scores."""
        ...

    @property
    def context_tokens(self) -> int:
        """Longest sequence, prompt and answer together."""
        ...

    def start(self, prompts: Sequence[Sequence[int]]) -> Decoding:
        """Read the prompts (each of at least one token)."""
        ...
