"""An ONNX encoder, run one input at a time on one thread; many inputs share a pool of such runs.

Dynamic int8 scales activations by the largest value in the tensor, so a batch would make an answer depend on
its neighbours (and padding on their lengths). One input per run has no neighbours: its bits cannot depend on
the batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnxruntime

from understudy.errors import ArtefactError
from understudy.runtime.tokens import Tokenised

__all__ = ["OnnxModel", "thread_count"]

Given = TypeVar("Given")
Made = TypeVar("Made")
_CHUNK = 8


def thread_count(asked: int | None) -> int:
    """`asked`, or the cores that this process may use."""
    if asked is not None:
        return max(asked, 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class OnnxModel:
    """Runs a graph with the inputs ``ids`` and, where the encoder has token types, ``types``, both (1, t)
    int64.

    Parameters
    ----------
    model
        A file, or a serialised model.
    threads
        How many inputs are worked on at once by :meth:`map`; ``None`` for the cores of this process. Answers
        do not depend on it.
    """

    def __init__(self, model: Path | bytes, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no public base but Exception
            what = model if isinstance(model, Path) else "a model in memory"
            raise ArtefactError("an ONNX model cannot be loaded", given=f"{what}: {error}") from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._has_types = any(given.name == "types" for given in self._session.get_inputs())
        self._threads = thread_count(threads)

    def run(self, tokens: Tokenised) -> dict[str, npt.NDArray[np.float32]]:
        """The graph's outputs for one input, by name, each with a leading axis of 1."""
        feed = {"ids": tokens.ids[None]}
        if self._has_types:
            feed["types"] = tokens.types[None]
        return dict(zip(self._outputs, self._session.run(self._outputs, feed), strict=True))

    def map(self, work: Callable[[Given], Made], inputs: Sequence[Given]) -> list[Made]:
        """`work` on each of `inputs`, in order, on several threads where that helps."""
        if self._threads == 1 or len(inputs) < 2 * _CHUNK:
            return [work(given) for given in inputs]
        chunks = [inputs[at : at + _CHUNK] for at in range(0, len(inputs), _CHUNK)]
        with ThreadPoolExecutor(self._threads, thread_name_prefix="understudy-encoder") as pool:
            done = pool.map(lambda chunk: [work(given) for given in chunk], chunks)
            return [made for chunk in done for made in chunk]
