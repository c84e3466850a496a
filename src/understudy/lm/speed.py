"""How fast a decoder writes: tokens per second of processor time, one sequence or several at once."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.runtime.decoder import Decoder

__all__ = ["WritingSpeed", "writing_speed"]


@dataclass(frozen=True, slots=True)
class WritingSpeed:
    """Medians over a few turns.

    Attributes
    ----------
    tokens_per_cpu_second, tokens_per_second
        By processor time of this process, and by the clock. On a machine with other work trust the first.
    n_sequences
        Written at once.
    """

    tokens_per_cpu_second: float
    tokens_per_second: float
    n_sequences: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def writing_speed(
    decoder: Decoder,
    *,
    n_sequences: int = 1,
    prompt_tokens: int = 16,
    n_tokens: int = 48,
    turns: int = 3,
    seed: int = 0,
) -> WritingSpeed:
    """Time `n_tokens` steps after a prompt of random tokens; the prompt, and one turn before, are not timed.

    What is written depends on no model: tokens are drawn beforehand, so that every decoder does the same work. Both
    lengths are cut where the decoder's context is shorter.
    """
    prompt_tokens = max(1, min(prompt_tokens, decoder.context_tokens // 2))
    n_tokens = max(1, min(n_tokens, decoder.context_tokens - prompt_tokens))
    dice = np.random.default_rng(seed)
    prompts = dice.integers(decoder.vocab_size, size=(n_sequences, prompt_tokens)).tolist()
    tokens = dice.integers(decoder.vocab_size, size=(n_tokens, n_sequences)).tolist()
    rows = list(range(n_sequences))
    cpu, wall = [], []
    for turn in range(turns + 1):
        decoding = decoder.start(prompts)
        began = time.process_time(), time.perf_counter()
        for some in tokens:
            decoding.step(rows, some)
        if turn:
            cpu.append(time.process_time() - began[0])
            wall.append(time.perf_counter() - began[1])
        decoding.close()
    count = n_tokens * n_sequences
    # A clock may not have moved where a decoder does next to nothing.
    return WritingSpeed(
        count / max(statistics.median(cpu), 1e-9), count / max(statistics.median(wall), 1e-9), n_sequences
    )
