"""How fast a decoder writes: tokens per second of processor time, beside another one that takes turns with it."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.runtime.decoder import Decoder

__all__ = ["WritingSpeed", "writing_speed"]

_TURNS = 5


@dataclass(frozen=True, slots=True)
class WritingSpeed:
    """Medians over a few turns.

    Attributes
    ----------
    tokens_per_cpu_second, tokens_per_second
        By processor time of this process, and by the clock. On a machine with other work trust the first.
    times_reference
        Speed over that of the reference by processor time, turn by turn, so that what slows both falls out; ``None``
        without one.
    n_sequences
        Written at once.
    """

    tokens_per_cpu_second: float
    tokens_per_second: float
    times_reference: float | None
    n_sequences: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def writing_speed(
    decoder: Decoder,
    *,
    reference: Decoder | None = None,
    n_sequences: int = 1,
    prompt_tokens: int = 16,
    n_tokens: int = 48,
    turns: int = _TURNS,
    seed: int = 0,
) -> WritingSpeed:
    """Time `n_tokens` steps after a prompt of random tokens; the prompt, and one turn before, are not timed.

    What is written depends on no model: tokens are drawn beforehand, so that every decoder of one vocabulary does the
    same work. Both lengths are cut where a context is shorter.
    """
    decoders = [decoder] if reference is None else [decoder, reference]
    context = min(one.context_tokens for one in decoders)
    prompt_tokens = max(1, min(prompt_tokens, context // 2))
    n_tokens = max(1, min(n_tokens, context - prompt_tokens))
    dice = np.random.default_rng(seed)
    most = min(one.vocab_size for one in decoders)
    prompts = dice.integers(most, size=(n_sequences, prompt_tokens)).tolist()
    tokens = dice.integers(most, size=(n_tokens, n_sequences)).tolist()
    cpu: list[list[float]] = [[] for _ in decoders]
    wall: list[float] = []
    for turn in range(turns + 1):
        for at, one in enumerate(decoders):
            cpu_seconds, seconds = _turn(one, prompts, tokens)
            if turn:
                cpu[at].append(cpu_seconds)
            if turn and not at:
                wall.append(seconds)
    count = n_tokens * n_sequences
    ratios = [theirs / ours for ours, theirs in zip(cpu[0], cpu[-1], strict=True)]
    return WritingSpeed(
        count / statistics.median(cpu[0]),
        count / statistics.median(wall),
        None if reference is None else statistics.median(ratios),
        n_sequences,
    )


def _turn(decoder: Decoder, prompts: list[list[int]], tokens: list[list[int]]) -> tuple[float, float]:
    rows = list(range(len(prompts)))
    decoding = decoder.start(prompts)
    try:
        began = time.process_time(), time.perf_counter()
        for some in tokens:
            decoding.step(rows, some)
        # A clock may not have moved where a decoder does next to nothing.
        return max(time.process_time() - began[0], 1e-9), max(time.perf_counter() - began[1], 1e-9)
    finally:
        decoding.close()
