"""One model of llama.cpp and the memory of several sequences in it, with their native memory freed when dropped.

Each sequence has a stretch of its own in the cache of keys and values, so that what is computed for it never
depends on where the others are. Knows no policy about which sequences are computed together.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from understudy.errors import ArtefactError
from understudy.runtime.llama_library import last_complaint, llama_library

__all__ = ["MOST_SEQUENCES", "LlamaContext", "LlamaModel"]

MOST_SEQUENCES: Final = 32
"""In one context; llama.cpp allows 256, but reserves the cache of all at once."""

_BATCH_TOKENS = 512
_NO_FLASH_ATTENTION = 0  # its parts, and so its rounding, depend on the number of threads
_SMALLEST_CACHE = 256  # llama.cpp rounds up to multiples of it


class LlamaModel:
    """Weights, shared by contexts of any number of threads.

    Raises
    ------
    ArtefactError
        If the file cannot be read.
    MissingDependencyError
        Without ``llama-cpp-python``.
    """

    def __init__(self, path: Path) -> None:
        library = llama_library()
        if not path.is_file():
            raise ArtefactError("a GGUF file is missing", given=str(path))
        settings = library.llama_model_default_params()
        settings.n_gpu_layers = 0
        last_complaint()  # forget older ones
        self.handle: Any = library.llama_model_load_from_file(bytes(path), settings)
        if not self.handle:
            raise ArtefactError("a GGUF file cannot be loaded", given=f"{path}: {last_complaint()}")
        weakref.finalize(self, library.llama_model_free, self.handle)
        vocabulary = library.llama_model_get_vocab(self.handle)
        self.vocab_size = int(library.llama_vocab_n_tokens(vocabulary))
        self.context_tokens = int(library.llama_model_n_ctx_train(self.handle))


class LlamaContext:
    """Memory of `sequences` sequences of at most `capacity` tokens each. Not for several threads at once.

    Parameters
    ----------
    model
        The weights; kept as long as this lives.
    sequences
        1 to ``MOST_SEQUENCES``.
    capacity
        Tokens per sequence; rounded up to what llama.cpp gives.
    threads
        Of one computation; results do not depend on it.
    """

    def __init__(self, model: LlamaModel, *, sequences: int, capacity: int, threads: int) -> None:
        assert 1 <= sequences <= MOST_SEQUENCES, sequences
        self._library = library = llama_library()
        self._model = model
        self.sequences = sequences
        self.capacity = -(-capacity // _SMALLEST_CACHE) * _SMALLEST_CACHE
        settings = library.llama_context_default_params()
        settings.n_ctx = self.capacity * sequences
        settings.n_seq_max = sequences
        settings.n_batch = settings.n_ubatch = _BATCH_TOKENS
        settings.n_outputs_max = sequences
        settings.n_threads = settings.n_threads_batch = threads
        settings.flash_attn_type = _NO_FLASH_ATTENTION
        settings.kv_unified = False
        last_complaint()
        self._handle: Any = library.llama_init_from_model(model.handle, settings)
        if not self._handle:
            raise ArtefactError("llama.cpp cannot run this model", given=last_complaint())
        self._batch = library.llama_batch_init(_BATCH_TOKENS, 0, 1)
        # Finalisers of one object run newest first, and the model outlives them: `self` holds it until then.
        weakref.finalize(self, _keep_until_freed, library.llama_free, self._handle, model)
        weakref.finalize(self, library.llama_batch_free, self._batch)

    def read(self, sequence: int, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """Begin a sequence with `tokens`; scores after the last, shape (V,)."""
        for begin in range(0, len(tokens), _BATCH_TOKENS):
            part = tokens[begin : begin + _BATCH_TOKENS]
            is_last = begin + len(part) == len(tokens)
            self._decode(
                [sequence] * len(part),
                part,
                range(begin, begin + len(part)),
                [False] * (len(part) - 1) + [is_last],
            )
        scores: npt.NDArray[np.float32] = self._scores([len(part) - 1])[0]
        return scores

    def step(
        self, sequences: Sequence[int], tokens: Sequence[int], positions: Sequence[int]
    ) -> npt.NDArray[np.float32]:
        """Append one token to each of `sequences` in one computation; scores, shape (len(sequences), V)."""
        self._decode(sequences, tokens, positions, [True] * len(sequences))
        return self._scores(range(len(sequences)))

    def clear(self) -> None:
        """Forget all sequences. Values are zeroed: a masked infinity would still spoil sums."""
        self._library.llama_memory_clear(self._library.llama_get_memory(self._handle), True)

    def copy_from(self, other: LlamaContext, sequence: int) -> None:
        """Take over a sequence, to the bit."""
        size = self._library.llama_state_seq_get_size(other._handle, sequence)
        state = (ctypes.c_uint8 * size)()
        got = self._library.llama_state_seq_get_data(other._handle, state, size, sequence)
        put = self._library.llama_state_seq_set_data(self._handle, state, size, sequence)
        assert got == size == put, (got, size, put)

    def _decode(
        self,
        sequences: Sequence[int],
        tokens: Sequence[int],
        positions: Sequence[int],
        are_wanted: Sequence[bool],
    ) -> None:
        batch = self._batch
        batch.n_tokens = len(tokens)
        rows = zip(sequences, tokens, positions, are_wanted, strict=True)
        for at, (sequence, token, position, is_wanted) in enumerate(rows):
            batch.token[at] = token
            batch.pos[at] = position
            batch.n_seq_id[at] = 1
            batch.seq_id[at][0] = sequence
            batch.logits[at] = is_wanted
        code = self._library.llama_decode(self._handle, batch)
        if code != 0:
            raise ArtefactError("llama.cpp cannot go on", given=last_complaint() or f"code {code}")

    def _scores(self, batch_rows: Sequence[int]) -> npt.NDArray[np.float32]:
        shape = (self._model.vocab_size,)
        found = [self._library.llama_get_logits_ith(self._handle, row) for row in batch_rows]
        # Copied, because the next computation writes over them.
        return np.stack([np.ctypeslib.as_array(row, shape) for row in found])


def _keep_until_freed(free: Any, handle: Any, model: LlamaModel) -> None:
    """Free `handle`; `model` is an argument so that the weights are freed later."""
    free(handle)
    del model
