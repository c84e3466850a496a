"""How large a writing student is and how long it is trained, as functions of the data.

Knows no model and no tokens but their counts. The rules were chosen on made-up tasks (``benchmarks/writer.py``),
never on the data of a run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from understudy.lm.config import DecoderConfig
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings

__all__ = ["WriterPlan", "scratch_shape", "scratch_vocabulary", "training_plan"]

_MOST_VOCABULARY = 2048
_LEAST_VOCABULARY = 320
_BYTES_PER_TOKEN = 200
_STEP_ROWS = 16
_LEAST_SEQUENCE = 128


@dataclass(frozen=True, slots=True)
class WriterPlan:
    """Settings of the loop, and the epochs that they come to."""

    settings: TrainSettings
    epochs: float


def scratch_vocabulary(n_bytes: int) -> int:
    """Tokens of a tokenizer of the task's own: one per 200 bytes of training text, 320 to 2,048.

    A token must be seen often to mean something, and what is copied letter by letter can be copied even when it
    was never seen.
    """
    return min(max(n_bytes // _BYTES_PER_TOKEN, _LEAST_VOCABULARY), _MOST_VOCABULARY)


def scratch_shape(vocab_size: int, n_answer_tokens: int, context_tokens: int) -> DecoderConfig:
    """Choose a decoder from scratch by how many answer tokens there are to learn from.

    Width 128 up to 20,000 answer tokens, 192 up to 200,000, then 256; four layers of heads 32 wide; 0.9 to 4 million
    parameters. Wider ones are slower to serve, and were no better on as little text.
    """
    width = 128 if n_answer_tokens <= 20_000 else 192 if n_answer_tokens <= 200_000 else 256
    return DecoderConfig(
        vocab_size=vocab_size,
        d_model=width,
        n_layers=4,
        n_heads=width // 32,
        n_kv_heads=width // 32,
        d_ff=round(width * 8 / 3 / 32) * 32,
        context_tokens=context_tokens,
    )


def training_plan(
    row_tokens: list[int],
    *,
    learning_rate: float,
    steps: int | None,
    least_steps: int,
    most_steps: int,
    epochs: float,
    seed: int,
    weight_decay: float = 0.1,
) -> WriterPlan:
    """Say how rows of these lengths are trained on.

    Steps see about 16 rows each, packed into sequences no shorter than the longest row; there are as many as
    `epochs` take, within the two bounds, unless `steps` says. The rate rises over a twentieth of them, and falls
    over the last 40 % (``wsd``).

    Parameters
    ----------
    row_tokens
        Tokens of each row, prompt and answer, at least one row.
    learning_rate
        At its peak.
    steps
        Stated number, or ``None``.
    least_steps, most_steps, epochs
        Of the rule.
    seed, weight_decay
        Of the loop.
    """
    longest, total = max(row_tokens), sum(row_tokens)
    sequence = max(longest, min(_LEAST_SEQUENCE, total))
    n_sequences = max(1, math.ceil(total / sequence))
    rows_per_sequence = len(row_tokens) / n_sequences
    batch = max(1, round(min(_STEP_ROWS, len(row_tokens)) / rows_per_sequence))
    per_epoch = n_sequences / batch
    n_steps = steps or min(max(math.ceil(epochs * per_epoch), least_steps), most_steps)
    settings = TrainSettings(
        schedule=Schedule(n_steps, "wsd", warm_up_steps=max(1, n_steps // 20), decay_share=0.4, floor=0.0),
        learning_rate=learning_rate,
        batch_sequences=batch,
        sequence_tokens=max(sequence, 2),
        weight_decay=weight_decay,
        seed=seed,
        checkpoint_every=max(1, n_steps // 6),
        keep_checkpoints=1,
        validate_every=max(1, n_steps // 6),
        validate_sequences=256,
    )
    return WriterPlan(settings, n_steps / per_epoch)
