"""The rungs by name, in the order in which the ladder tries them, with predicted times.

Built-in rungs and plug-ins (entry-point group ``understudy.students``) come through the same door: a class with
``rung``, ``modes`` and the `Student` contract. Predictions are rough (a factor of two): they order work and
respect budgets; measured figures replace them as soon as they exist.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np

from understudy.errors import ConfigError
from understudy.ladder.options import LearnOptions
from understudy.students.base import Student
from understudy.task.problem import Problem
from understudy.training.recipe import batch_size_for, epochs_for

__all__ = [
    "RUNG_ORDER",
    "RungPlan",
    "known_rungs",
    "matmul_flops",
    "plan_rungs",
    "student_class",
    "writing_rungs",
]

RUNG_ORDER = (
    "lookup",
    "linear",
    "frozen",
    "tuned",
    "distilled",
    "writer",
    "writer_pruned",
    "writer_int4",
    "writer_gguf",
)
_WRITERS = tuple(name for name in RUNG_ORDER if name.startswith("writer"))
"""Built-in rungs that write texts, and are left out where there is none to write."""
_BUILT_IN = {
    "lookup": "understudy.students.lookup:LookupStudent",
    "linear": "understudy.students.linear:LinearStudent",
    "frozen": "understudy.students.frozen:FrozenStudent",
    "tuned": "understudy.students.tuned:TunedStudent",
    "distilled": "understudy.students.distilled:DistilledStudent",
    "writer": "understudy.students.writer:WriterStudent",
    "writer_pruned": "understudy.students.writer_compressed:WriterPrunedStudent",
    "writer_int4": "understudy.students.writer_compressed:WriterInt4Student",
    "writer_gguf": "understudy.students.writer_compressed:WriterGgufStudent",
}
_GROUP = "understudy.students"
_ENCODER_WEIGHTS = 10.6e6  # matrix weights of a 6-layer, 384-wide encoder, embeddings apart
_CHARS_PER_TOKEN = 4.0
_WRITER_WEIGHTS, _WRITER_CHARS = 1.8e6, 2.0  # from scratch: a middling shape, and its small vocabulary
_BASE_WEIGHTS = 5e8  # of a base whose size cannot be seen
_WRITER_ROWS = 16
_WRITER_STEPS = {True: (20, 300, 4000), False: (4, 60, 4000)}
"""Whether from scratch: epochs, and least and most steps, as in ``lm.writer_recipe`` (which needs torch)."""
_SCRATCH_FLOPS = 3e13  # most operations of a training from scratch, from there too


@dataclass(frozen=True, slots=True)
class RungPlan:
    """What a rung is predicted to take.

    Attributes
    ----------
    name
        Rung.
    fit_seconds
        Predicted training time on this machine.
    call_seconds
        Predicted CPU time per answer.
    skip_reason
        Why it will not be tried, or ``None``.
    """

    name: str
    fit_seconds: float
    call_seconds: float
    skip_reason: str | None = None


def student_class(name: str) -> type[Student]:
    """The class of a rung.

    Raises
    ------
    ConfigError
        If nothing is registered under `name`.
    """
    if name in _BUILT_IN:
        module_name, _, attribute = _BUILT_IN[name].partition(":")
        found: type[Student] = getattr(importlib.import_module(module_name), attribute)
        return found
    for entry in entry_points(group=_GROUP, name=name):
        plugged: type[Student] = entry.load()
        return plugged
    raise ConfigError(f"there is no rung {name!r}", todo=f"use some of {', '.join(known_rungs())}")


def known_rungs() -> list[str]:
    """Built-in rungs in order, then plug-ins by name."""
    return [
        *RUNG_ORDER,
        *sorted(entry.name for entry in entry_points(group=_GROUP) if entry.name not in RUNG_ORDER),
    ]


@lru_cache(maxsize=1)
def matmul_flops() -> float:
    """Float32 FLOP/s of this machine's matrix product, all cores: one core measured, times their number (50 ms)."""
    import os

    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    left, right = rng.random((256, 256), dtype=np.float32), rng.random((256, 256), dtype=np.float32)
    best = float("inf")
    # One thread and many short tries: on a busy machine most are interrupted, and the best one tells what it can do.
    with threadpool_limits(1):
        for _ in range(60):
            start = time.perf_counter()
            left @ right
            best = min(best, time.perf_counter() - start)
    return 2 * 256**3 / best * (os.cpu_count() or 1)


def writing_rungs(names: Sequence[str]) -> list[str]:
    """Those of `names` that write texts; the lookup repeats texts, and writes none."""
    return [
        name
        for name in names
        if name in _WRITERS
        or (name in known_rungs() and name not in RUNG_ORDER and "write" in student_class(name).modes)
    ]


def plan_rungs(
    problems: Sequence[Problem],
    n_train: int,
    mean_chars: float,
    options: LearnOptions,
    *,
    answer_chars: float = 0.0,
) -> list[RungPlan]:
    """Plan every rung that was asked for, in order.

    Parameters
    ----------
    problems
        What the run takes on.
    n_train
        Calls to learn from.
    mean_chars, answer_chars
        Mean length of an input, and of the texts of an answer.
    options
        ``rungs`` names some; by default all are planned, those that write only where a text is to be written.
    """
    for name in options.rungs:
        student_class_or_error(name)
    _refuse_no_base(options.writer_base)
    names = options.rungs or tuple(known_rungs())
    if not options.rungs and not any(problem.mode == "write" for problem in problems):
        names = tuple(name for name in names if name not in _WRITERS)
    for name in options.rungs:
        source = student_class(name).made_from
        if source is not None and source not in names:
            raise ConfigError(
                f"the rung {name} is made from {source}, which is not among the rungs",
                given=f"--rungs {','.join(options.rungs)}",
                todo=f"add {source} to --rungs",
            )
    ordered = [name for name in known_rungs() if name in names]
    return [_plan_one(name, problems, n_train, (mean_chars, answer_chars), options) for name in ordered]


def student_class_or_error(name: str) -> None:
    """Check a rung's name without importing it."""
    if name not in known_rungs():
        raise ConfigError(f"there is no rung {name!r}", todo=f"use some of {', '.join(known_rungs())}")


def _plan_one(
    name: str, problems: Sequence[Problem], n_train: int, chars: tuple[float, float], options: LearnOptions
) -> RungPlan:
    mean_chars, answer_chars = chars
    if name in _WRITERS:
        fit, call = _writer_work(n_train, mean_chars + answer_chars, options.writer_base)
        # Another form of a fitted writer takes an export, at most a short training.
        return RungPlan(name, fit if name == "writer" else 20 + 0.2 * fit, call)
    tokens = min(mean_chars / _CHARS_PER_TOKEN + 2, 256)
    classes = sum(max(len(problem.values), 1) for problem in problems)
    points = sum(problem.mode == "point" for problem in problems)
    work = {
        # Measured shapes: liblinear grows with rows x classes, the tagger with rows x spans.
        "lookup": (2e-5 * n_train, 1e-5),
        "linear": (2e-6 * n_train * classes + 2e-4 * n_train + 1e-3 * n_train * points, 4e-5 + 6e-4 * points),
    }
    if name in work:
        return RungPlan(name, *work[name])
    flops = matmul_flops()
    forward = 2 * _ENCODER_WEIGHTS * tokens / (0.35 * flops)
    epochs = epochs_for(n_train, batch_size_for(n_train))
    train = 6 * _ENCODER_WEIGHTS * tokens * epochs / (0.25 * flops)
    encoder = {
        "frozen": (10 + forward * n_train + 1e-4 * n_train * classes**0.5, forward),
        "tuned": (20 + train * n_train, forward),
        "distilled": (20 + 0.8 * train * n_train, forward / 2),
    }
    fit, call = encoder.get(name, (60.0, forward))
    return RungPlan(name, fit, call)


def _writer_work(n_train: int, chars: float, base: str | None) -> tuple[float, float]:
    """Seconds to fit and seconds per call of a writer: 6 and 2 FLOPs per weight and token."""
    weights = _WRITER_WEIGHTS if base is None else _base_weights(base)
    tokens = chars / (_WRITER_CHARS if base is None else _CHARS_PER_TOKEN) + 4
    epochs, least, most = _WRITER_STEPS[base is None]
    steps = min(max(epochs * n_train / _WRITER_ROWS, least), most)
    flops = matmul_flops()
    rows = min(_WRITER_ROWS, max(n_train, 1))
    work = 6 * weights * tokens * rows * steps
    train = (min(work, _SCRATCH_FLOPS) if base is None else work) / (0.25 * flops)
    # One token after the other: memory, not arithmetic, is the limit, hence a tenth of the rate.
    return 20 + train, 2 * weights * tokens / (0.1 * flops)


def _refuse_no_base(base: str | None) -> None:
    """Refuse a folder without a model before anything is trained; whether the hub has an id is known only by asking.

    Left to the writer's own training, the mistake would come after the cheaper rungs were fitted, or never where
    the writer is beyond the time allowed.
    """
    if base is None:
        return
    folder = Path(base).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(
                "the folder of --writer-base holds no language model",
                given=str(folder),
                todo="it needs config.json, tokenizer.json and weights as safetensors",
            )
    elif base.startswith(("/", "./", "../", "~")) or base.count("/") > 1:  # no hub id looks like this
        raise ConfigError(
            "there is no folder as --writer-base names it",
            given=str(folder),
            todo="name a folder with config.json, tokenizer.json and weights as safetensors, or a hub id such as "
            "Qwen/Qwen2.5-0.5B-Instruct",
        )


def _base_weights(base: str) -> float:
    """Weights of a base in a local folder, from its files (two bytes each); a guess for a hub id."""
    sizes = [path.stat().st_size for path in Path(base).glob("*.safetensors")] if Path(base).is_dir() else []
    return sum(sizes) / 2 if sizes else _BASE_WEIGHTS
