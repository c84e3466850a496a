"""A causal language model in ONNX with its key-value cache, several sequences at a time.

Each prompt is read in a run of its own; after that, sequences advance together, one token each per run. Their
keys and values lie in one buffer per layer that the graph grows in place. Some processors' kernels add up in
another order when they work on one row, or on few: the decoder finds out on this machine from how many rows on
all agree to the last bit, and fills smaller runs up. Shapes: N sequences, b of them in a run, c places of the
cache, V tokens of the vocabulary.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import onnxruntime

from understudy.errors import ArtefactError
from understudy.runtime.decoder import Logits

__all__ = ["OnnxDecoder"]

_CACHE_STEP = 64
"""A cache grows by at least so many places at once."""
_TRIED_ROWS = (16, 5, 3, 2, 1)
"""Sizes of runs that are compared; the first is the reference, and what is run if the others differ from it."""
_TRIED_TOKENS, _TRIED_STEPS = 6, 3

FloatArray = npt.NDArray[np.float32]


class OnnxDecoder:
    """Implements ``runtime.decoder.Decoder`` for graphs of ``export.decoder``.

    Parameters
    ----------
    model
        The graph's file.
    settings
        As export returned them.
    threads
        Threads of one run.
    """

    def __init__(self, model: Path, settings: Mapping[str, Any], threads: int = 1) -> None:
        self._session = open_session(model, threads)
        self._vocab_size = int(settings["vocab_size"])
        self._context_tokens = int(settings["context_tokens"])
        self._names = [
            f"{layer}.{part}" for layer in range(int(settings["layers"])) for part in ("key", "value")
        ]
        self._cache_shape = (int(settings["kv_heads"]), int(settings["head_width"]))
        self._lock = threading.Lock()
        self._least_rows: int | None = None
        # Kernels for 4 bits are known to treat a single row in their own way.
        self._known_least = 2 if settings.get("precision") == "int4" else 1

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        """Read what ``export.decoder.export_decoder`` wrote.

        Raises
        ------
        ArtefactError
            If a file or a setting is missing or damaged.
        """
        try:
            return cls(folder / str(settings["model"]), settings)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError("a decoder's description is damaged", given=f"{folder}: {error}") from error

    @property
    def vocab_size(self) -> int:
        """Columns of the scores."""
        return self._vocab_size

    @property
    def context_tokens(self) -> int:
        """Longest sequence, prompt and answer together."""
        return self._context_tokens

    def start(self, prompts: Sequence[Sequence[int]]) -> _Rows:
        """Read the prompts, each of 1 to `context_tokens` tokens."""
        with self._lock:
            if self._least_rows is None:
                self._least_rows = self._find_least_rows()
        return self._begin(prompts, self._least_rows)

    def _begin(self, prompts: Sequence[Sequence[int]], least_rows: int) -> _Rows:
        return _Rows(self._session, self._names, self._cache_shape, prompts, self._context_tokens, least_rows)

    def _find_least_rows(self) -> int:
        """From how many rows on a run gives every row the same bits, on this machine."""
        if self._context_tokens < 2:
            return 1
        most = _TRIED_ROWS[0]
        texts = min(_TRIED_TOKENS, self._context_tokens - 1)
        tokens = [at * 7919 % self._vocab_size for at in range(texts + _TRIED_STEPS)]
        rows = self._begin([tokens[:texts]] * most, 1)
        least = self._known_least
        for token in tokens[texts:]:
            wanted = rows.step(range(most), [token] * most)
            for count in _TRIED_ROWS[1:]:
                rows.forget_last()
                found = rows.step(range(count), [token] * count)
                # Bits, not numbers: a score may be no number.
                if not (found.view(np.int32) == wanted[:1].view(np.int32)).all():
                    least = max(least, _TRIED_ROWS[_TRIED_ROWS.index(count) - 1])
                    break
            rows.forget_last()
        rows.close()
        return least


def open_session(model: Path, threads: int) -> Any:
    """An inference session on the CPU.

    Raises
    ------
    ArtefactError
        If the file cannot be loaded.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no public base but Exception
        raise ArtefactError("an ONNX model cannot be loaded", given=f"{model}: {error}") from error


class _Rows:
    """Sequences under way; implements ``runtime.decoder.Decoding``.

    A row lies in a slot of the buffers. The rows of a step are brought to the first slots, so that a run works
    on one stretch of memory.
    """

    def __init__(
        self,
        session: Any,
        names: Sequence[str],
        cache_shape: tuple[int, int],
        prompts: Sequence[Sequence[int]],
        context_tokens: int,
        least_rows: int,
    ) -> None:
        self._session, self._names, self._cache_shape = session, names, cache_shape
        self._context_tokens = context_tokens
        self._lengths = [len(prompt) for prompt in prompts]
        assert all(1 <= length <= context_tokens for length in self._lengths), "prompts must fit the context"
        # Rows beyond those of the prompts are empty and fill runs up that would be too small.
        self._count, self._least_rows = len(prompts), least_rows
        self._lengths += [0] * (least_rows - 1)
        self._slots = list(range(len(self._lengths)))
        self._buffers: list[FloatArray] = []
        self._bound: tuple[int, int] | None = None
        self._binding: Any = None
        self._stepped: list[int] = []
        self._make_room(max(self._lengths, default=0) + 1)
        firsts: dict[tuple[int, ...], int] = {}
        scores: list[Logits] = []
        for row, prompt in enumerate(prompts):
            first = firsts.setdefault(tuple(prompt), row)
            scores.append(self._read(row, prompt) if first == row else scores[first])
            if first != row:
                for buffer in self._buffers:
                    buffer[row] = buffer[first]
        self._logits: Logits = np.stack(scores) if scores else np.zeros((0, 0), dtype=np.float32)

    @property
    def logits(self) -> Logits:
        """Scores of the token after each prompt, shape (N, V)."""
        return self._logits

    def step(self, rows: Sequence[int], tokens: Sequence[int]) -> Logits:
        """Append one token to each of `rows`; scores of the token after it, shape (len(rows), V)."""
        if not len(rows):
            return self._logits[:0]
        longest = max(self._lengths[row] for row in rows) + 1
        assert longest <= self._context_tokens, "a sequence must fit the context"
        self._make_room(longest)
        filling = range(self._count, self._count + self._least_rows - len(rows))
        ran = [*rows, *filling]
        self._bring_to_front(ran)
        self._bind(len(ran))
        slots = [self._slots[row] for row in ran]
        self._ids[slots, 0] = [*tokens, *(0 for _ in filling)]
        self._past[slots] = [self._lengths[row] for row in ran]
        self._longest[...] = longest
        self._session.run_with_iobinding(self._binding)
        found: Logits = self._binding.get_outputs()[0].numpy()
        for row in rows:
            self._lengths[row] += 1
        self._stepped = list(rows)
        return found[slots[: len(rows)]]

    def forget_last(self) -> None:
        """Take the last step back."""
        for row in self._stepped:
            self._lengths[row] -= 1
        self._stepped = []

    def close(self) -> None:
        """Let go of the memory of all rows."""
        self._buffers, self._binding, self._bound = [], None, None

    def _read(self, row: int, prompt: Sequence[int]) -> Logits:
        heads, width = self._cache_shape
        feed: dict[str, Any] = {
            "ids": np.array([prompt], dtype=np.int64),
            "lengths": np.array([len(prompt) - 1], dtype=np.int32),
            "longest": np.array(len(prompt), dtype=np.int32),
        }
        empty = np.zeros((1, heads, 0, width), dtype=np.float32)
        feed |= {f"past.{name}": empty for name in self._names}
        wanted = ["logits", *(f"present.{name}" for name in self._names)]
        logits, *caches = self._session.run(wanted, feed)
        for buffer, cache in zip(self._buffers, caches, strict=True):
            buffer[row, :, : len(prompt)] = cache[0]
        scores: Logits = logits[0]
        return scores

    def _make_room(self, places: int) -> None:
        """Make the buffers hold `places` tokens of each row."""
        held = self._buffers[0].shape[2] if self._buffers else 0
        if held >= places:
            return
        heads, width = self._cache_shape
        wanted = min(max(places + _CACHE_STEP, held + held // 2), self._context_tokens)
        grown = []
        for at in range(len(self._names)):
            # Zeros, not leftovers: masked places are multiplied by 0, and 0 times a leftover NaN is NaN.
            buffer = np.zeros((len(self._slots), heads, wanted, width), dtype=np.float32)
            if held:
                buffer[:, :, :held] = self._buffers[at]
            grown.append(buffer)
        self._buffers, self._bound = grown, None

    def _bring_to_front(self, rows: Sequence[int]) -> None:
        """Swap the named rows into the first slots, where they are not there already."""
        count = len(rows)
        late = [row for row in rows if self._slots[row] >= count]
        if not late:
            return
        named = set(rows)
        idle = [row for row, slot in enumerate(self._slots) if slot < count and row not in named]
        for row, other in zip(late, idle, strict=True):
            here, there = self._slots[row], self._slots[other]
            for buffer in self._buffers:
                buffer[[here, there]] = buffer[[there, here]]
            self._slots[row], self._slots[other] = there, here

    def _bind(self, count: int) -> None:
        """Name the memory that a run of the first `count` slots reads and writes."""
        places = self._buffers[0].shape[2]
        if self._bound == (count, places):
            return
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        self._ids = np.zeros((count, 1), dtype=np.int64)
        self._past = np.zeros(count, dtype=np.int32)
        self._longest = np.zeros((), dtype=np.int32)
        binding = self._session.io_binding()
        for name, given in (("ids", self._ids), ("lengths", self._past), ("longest", self._longest)):
            binding.bind_ortvalue_input(name, value(given))
        binding.bind_output("logits", "cpu")
        for name, buffer in zip(self._names, self._buffers, strict=True):
            # The same memory in and out: the kernel then adds to the cache in place.
            shared = value(buffer[:count])
            binding.bind_ortvalue_input(f"past.{name}", shared)
            binding.bind_ortvalue_output(f"present.{name}", shared)
        self._binding, self._bound = binding, (count, places)
