"""Runs a GGUF file with llama.cpp as a :class:`~understudy.runtime.decoder.Decoder`.

llama.cpp takes other kernels for one row than for many, and they round differently. So prompts are read one by
one, and steps are taken together only as many at a time as were seen to give the bits of one at a time on this
very machine (``_TOGETHER`` says what is tried; the others go one by one). Where the gain was measured, see
``benchmarks/gguf_formats.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from understudy.errors import ArtefactError, ConfigError
from understudy.runtime.decoder import Logits
from understudy.runtime.llama_context import MOST_SEQUENCES, LlamaContext, LlamaModel

__all__ = ["GgufDecoder"]

_TOGETHER: Mapping[str, int] = {"q8_0": 8, "q4_0": 4}
_CACHE_BLOCK = 256  # llama.cpp computes attention over a whole number of these
_FIRST_ROOM = 128
_MOST_IDLE = 4


class GgufDecoder:
    """A language model in a GGUF file. Any number of threads may start sequences.

    Parameters
    ----------
    path
        The file.
    rows_together
        Most rows to try in one step, a power of two; see the module.
    context_tokens
        Longest sequence; ``None`` for what the file says.
    threads
        Of one computation. Scores do not depend on it.

    Raises
    ------
    ArtefactError
        If the file cannot be read.
    MissingDependencyError
        Without ``llama-cpp-python``.
    """

    def __init__(
        self, path: Path, *, rows_together: int = 1, context_tokens: int | None = None, threads: int = 1
    ) -> None:
        self._model = LlamaModel(path)
        self._threads = threads
        self._context_tokens = context_tokens or self._model.context_tokens
        self._rows_to_try = rows_together
        self._rows_together: int | None = None
        self._idle: list[LlamaContext] = []
        self._lock = threading.Lock()
        self._checking = threading.Lock()

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        """Load what ``export_gguf`` wrote into `folder`, with the settings that it gave.

        ``threads`` may be added to them.
        """
        try:
            path = folder / settings["file"]
            made = cls(
                path,
                rows_together=_TOGETHER.get(settings["quantisation"], 1),
                context_tokens=settings["context_tokens"],
                threads=settings.get("threads", 1),
            )
        except KeyError as error:
            raise ArtefactError(
                "the settings of a GGUF engine are incomplete", given=f"no {error}"
            ) from error
        if made.vocab_size != settings["vocab_size"]:
            raise ArtefactError(
                "a GGUF file is not the one that its settings describe",
                given=f"{path}: {made.vocab_size} tokens, not {settings['vocab_size']}",
            )
        return made

    @property
    def vocab_size(self) -> int:
        """Columns of the scores."""
        return self._model.vocab_size

    @property
    def context_tokens(self) -> int:
        """Longest sequence, prompt and answer together."""
        return self._context_tokens

    @property
    def rows_together(self) -> int:
        """Rows that are computed at once in a step; found out when it is first asked for."""
        with self._checking:
            if self._rows_together is None:
                self._rows_together = self._check_rows_together()
            return self._rows_together

    def start(self, prompts: Sequence[Sequence[int]]) -> GgufDecoding:
        """Read the prompts (each of at least one token).

        Raises
        ------
        ConfigError
            If a prompt is longer than the context or has a token that the model does not know.
        """
        for prompt in prompts:
            assert len(prompt) > 0, "a prompt without a token"
            self.check_length(len(prompt))
            if not 0 <= min(prompt) <= max(prompt) < self.vocab_size:
                raise ConfigError(
                    "a prompt has a token that the model does not know",
                    given=f"ids {min(prompt)} to {max(prompt)}; it has {self.vocab_size} tokens",
                    todo="tokenise with the tokenizer that was exported with the model",
                )
        return GgufDecoding(self, prompts)

    def check_length(self, tokens: int) -> None:
        """Refuse a sequence of so many tokens if it is too long."""
        if tokens > self._context_tokens:
            raise ConfigError(
                "a sequence is longer than the model's context",
                given=f"{tokens} tokens; at most {self._context_tokens}",
                todo="cut the prompt or the answer",
            )

    def lend(self, sequences: int, tokens: int) -> LlamaContext:
        """A context with room for so many sequences of so many tokens, an idle one where there is any."""
        with self._lock:
            for at, context in enumerate(self._idle):
                if context.sequences >= sequences and context.capacity >= tokens:
                    return self._idle.pop(at)
        capacity = min(1 << (tokens - 1).bit_length(), max(self._context_tokens, tokens))
        return LlamaContext(self._model, sequences=sequences, capacity=capacity, threads=self._threads)

    def take_back(self, context: LlamaContext) -> None:
        """Keep a context for later, if not enough are kept."""
        context.clear()
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(context)

    def _check_rows_together(self) -> int:
        """The most rows, halving from those to try, at which a step gives the bits of one row at a time."""
        most = self._rows_to_try
        if most == 1:
            return 1
        context = self.lend(most, _FIRST_ROOM)
        tokens = [at * 7919 % self.vocab_size for at in range(most)]
        alone = []
        for row, token in enumerate(tokens):
            context.read(row, [token])
            alone.append(context.step([row], [token], [1])[0])
        agreed = 1
        size = 2
        while size <= most:
            context.clear()
            for row in range(size):
                context.read(row, tokens[row : row + 1])
            together = context.step(range(size), tokens[:size], [1] * size)
            if not np.array_equal(together, alone[:size]):
                break
            agreed, size = size, 2 * size
        self.take_back(context)
        return agreed


class GgufDecoding:
    """Sequences under way, for one thread at a time; see :class:`~understudy.runtime.decoder.Decoding`."""

    def __init__(self, decoder: GgufDecoder, prompts: Sequence[Sequence[int]]) -> None:
        self._decoder = decoder
        self._lengths = [len(prompt) for prompt in prompts]
        self._contexts: list[LlamaContext] = []
        self._is_open = True
        logits: Logits = np.empty((len(prompts), decoder.vocab_size), dtype=np.float32)
        for begin in range(0, len(prompts), MOST_SEQUENCES):
            some = prompts[begin : begin + MOST_SEQUENCES]
            room = min(max(map(len, some)) + _FIRST_ROOM, decoder.context_tokens)
            self._contexts.append(decoder.lend(len(some), room))
            for at, prompt in enumerate(some):
                logits[begin + at] = self._contexts[-1].read(at, prompt)
        self._logits = logits

    @property
    def logits(self) -> Logits:
        """Scores of the token after each prompt, shape (N, V)."""
        return self._logits

    def step(self, rows: Sequence[int], tokens: Sequence[int]) -> Logits:
        """Append one token to each of `rows`; scores of the token after it, shape (len(rows), V).

        Raises
        ------
        ConfigError
            If a row has no room left in the context.
        """
        assert self._is_open, "a decoding was closed"
        assert len(set(rows)) == len(rows) == len(tokens), "a row is named twice"
        for row in rows:
            self._decoder.check_length(self._lengths[row] + 1)
        logits: Logits = np.empty((len(rows), self._decoder.vocab_size), dtype=np.float32)
        for places in self._groups(rows):
            number = rows[places[0]] // MOST_SEQUENCES
            self._make_room(number, max(self._lengths[rows[place]] for place in places) + 1)
            logits[places] = self._contexts[number].step(
                [rows[place] % MOST_SEQUENCES for place in places],
                [tokens[place] for place in places],
                [self._lengths[rows[place]] for place in places],
            )
            for place in places:
                self._lengths[rows[place]] += 1
        return logits

    def close(self) -> None:
        """Give the memory of all rows back."""
        self._is_open = False
        while self._contexts:
            self._decoder.take_back(self._contexts.pop())

    def _groups(self, rows: Sequence[int]) -> list[list[int]]:
        """Places in `rows` of what is computed together: powers of two of one context and one cache length."""
        most = 1 if len(rows) == 1 else self._decoder.rows_together
        alike: dict[tuple[int, int], list[int]] = {}
        for place, row in enumerate(rows):
            alike.setdefault((row // MOST_SEQUENCES, self._lengths[row] // _CACHE_BLOCK), []).append(place)
        groups = []
        for places in alike.values():
            at = 0
            while at < len(places):
                size = min(most, 1 << ((len(places) - at).bit_length() - 1))
                groups.append(places[at : at + size])
                at += size
        return groups

    def _make_room(self, number: int, tokens: int) -> None:
        """Move a context's sequences into a larger one where it is full."""
        old = self._contexts[number]
        if tokens <= old.capacity:
            return
        begin = number * MOST_SEQUENCES
        count = len(self._lengths[begin : begin + MOST_SEQUENCES])
        new = self._decoder.lend(count, min(2 * old.capacity, self._decoder.context_tokens))
        for at in range(count):
            new.copy_from(old, at)
        self._contexts[number] = new
        self._decoder.take_back(old)
