"""What goes wrong with a run that is not the run's fault, as one clear error each: no memory, no room on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from understudy.errors import UnderstudyError
from understudy.lm.settings import TrainSettings

__all__ = ["explains_memory", "explains_writing", "kept_words"]

# torch's allocator on a CPU raises a bare RuntimeError.
_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


def kept_words(checkpoint: Path | None) -> str:
    """Say what is left of a run that stopped."""
    return "no checkpoint was written yet" if checkpoint is None else f"{checkpoint} is kept"


@contextmanager
def explains_memory(settings: TrainSettings, checkpoint: Path | None) -> Iterator[None]:
    """Turn a failure to allocate, within, into an error that names the settings to lower.

    Raises
    ------
    UnderstudyError
        In place of the allocator's error. Others pass.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not is_memory and not any(word in str(error) for word in _MEMORY_WORDS):
            raise
        per_pass = settings.micro_sequences or settings.batch_sequences
        raise UnderstudyError(
            "there is not enough memory for a step of training",
            given=f"passes of {per_pass} sequences of {settings.sequence_tokens} tokens",
            todo=f"{kept_words(checkpoint)}; take fewer sequences per pass (micro_sequences, --micro: the same "
            "result but for rounding, yet a run of its own), shorter ones (sequence_tokens, --sequence), or a "
            "smaller model",
        ) from error


@contextmanager
def explains_writing(folder: Path, checkpoint: Path | None) -> Iterator[None]:
    """Turn a failure to write, within, into an error that says what is left.

    Raises
    ------
    UnderstudyError
        In place of the system's error.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise UnderstudyError(
            "the run could not be written down",
            given=f"{folder}: {error}",
            todo=f"{kept_words(checkpoint)}; make room on the disk, and the same command goes on",
        ) from error
