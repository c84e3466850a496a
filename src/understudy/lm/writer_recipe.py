"""How large a writing student is and how long it is trained, as functions of the data.

Knows no model and no tokens but their counts. The rules were chosen on made-up tasks (``benchmarks/writer.py``),
never on the data of a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from understudy.lm.config import DecoderConfig
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings

__all__ = [
    "WriterPlan",
    "base_plan",
    "scratch_plan",
    "scratch_shape",
    "scratch_vocabulary",
    "training_plan",
]

_MOST_VOCABULARY = 2048
_LEAST_VOCABULARY = 320
_BYTES_PER_TOKEN = 200
_STEP_ROWS = 16
_LEAST_SEQUENCE = 128
_SCRATCH_FLOPS = 3e13
_MOST_MEASURED = 256


@dataclass(frozen=True, slots=True)
class WriterPlan:
    """Settings of the loop, and the epochs that they come to (padding counted)."""

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


def scratch_plan(
    row_tokens: Sequence[int],
    *,
    n_parameters: int,
    learning_rate: float | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> WriterPlan:
    """Say how a writer from scratch is trained: 20 epochs, but 300 to 4,000 steps, and at most 3e13 operations.

    The last is ``6 N`` per token (Kaplan et al. 2020, section 2.1), half an hour or so of one core; a long log is
    then seen fewer than 20 times. At its peak the learning rate is 0.003.

    Parameters
    ----------
    row_tokens
        Tokens of each row, prompt and answer, at least one row.
    n_parameters
        Of the model.
    learning_rate, steps
        Instead of the rule's.
    seed
        Of the order.
    """
    most = max(round(_SCRATCH_FLOPS / (6 * n_parameters * _step_tokens(row_tokens))), 1)
    return _plan(
        row_tokens,
        learning_rate or 3e-3,
        steps or min(max(_epoch_steps(row_tokens, 20), 300), 4000, most),
        weight_decay=0.1,
        seed=seed,
    )


def base_plan(
    row_tokens: Sequence[int],
    *,
    is_full: bool,
    is_packed: bool = True,
    learning_rate: float | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> WriterPlan:
    """Say how a base is tuned: 4 epochs, but 60 to 4,000 steps; peak rate 0.0001, or 0.0004 for adapters.

    Parameters
    ----------
    row_tokens, learning_rate, steps, seed
        As for :func:`scratch_plan`.
    is_full
        Whether all weights are trained; adapters take larger steps, for they start at nothing.
    is_packed
        Whether several rows share a sequence; else each is one.
    """
    return _plan(
        row_tokens,
        learning_rate or (1e-4 if is_full else 4e-4),
        steps or min(max(_epoch_steps(row_tokens, 4), 60), 4000),
        weight_decay=0.0,
        seed=seed,
        is_packed=is_packed,
    )


def training_plan(
    row_tokens: Sequence[int],
    *,
    learning_rate: float,
    steps: int | None,
    least_steps: int,
    most_steps: int,
    epochs: float,
    seed: int,
    weight_decay: float,
) -> WriterPlan:
    """Say how rows are trained on for `epochs`, within two bounds of steps, unless `steps` says.

    Parameters
    ----------
    row_tokens
        Tokens of each row, prompt and answer, at least one row.
    learning_rate
        At its peak.
    steps, least_steps, most_steps, epochs
        Length of training.
    seed, weight_decay
        Of the loop.
    """
    n_steps = steps or min(max(_epoch_steps(row_tokens, epochs), least_steps), most_steps)
    return _plan(row_tokens, learning_rate, n_steps, weight_decay=weight_decay, seed=seed)


def _step_tokens(row_tokens: Sequence[int]) -> float:
    return sum(row_tokens) / len(row_tokens) * min(_STEP_ROWS, len(row_tokens))


def _epoch_steps(row_tokens: Sequence[int], epochs: float) -> int:
    return math.ceil(epochs * sum(row_tokens) / _step_tokens(row_tokens))


def _plan(
    row_tokens: Sequence[int],
    learning_rate: float,
    n_steps: int,
    *,
    weight_decay: float,
    seed: int,
    is_packed: bool = True,
) -> WriterPlan:
    """Steps of about 16 rows each, packed into sequences no shorter than the longest row.

    The rate rises over a twentieth of the steps, and falls to 0 over the last 40 % (``wsd``). Six times, and at the
    end, held-out rows are measured.
    """
    total = sum(row_tokens)
    sequence = max(2, *row_tokens, min(_LEAST_SEQUENCE, total))
    n_rows = min(_STEP_ROWS, len(row_tokens))
    batch = max(1, round(_step_tokens(row_tokens) / sequence)) if is_packed else n_rows
    sixth = max(1, n_steps // 6)
    settings = TrainSettings(
        schedule=Schedule(n_steps, "wsd", warm_up_steps=max(1, n_steps // 20), decay_share=0.4, floor=0.0),
        learning_rate=learning_rate,
        batch_sequences=batch,
        sequence_tokens=sequence,
        weight_decay=weight_decay,
        seed=seed,
        checkpoint_every=sixth,
        keep_checkpoints=1,
        validate_every=sixth,
        validate_sequences=_MOST_MEASURED,
    )
    return WriterPlan(
        settings, n_steps * (batch * sequence / total if is_packed else batch / len(row_tokens))
    )
