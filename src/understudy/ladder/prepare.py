"""What a rung is before it is fitted: its key in the cache, and a student with the settings that it knows of.

Nothing here depends on the clock, so that the same data, options and seed make the same rung.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy import _version
from understudy.dataset.dataset import Dataset
from understudy.ladder.base_files import base_identity
from understudy.ladder.cache import content_key
from understudy.ladder.fit_rung import FittedRung, Reporter
from understudy.ladder.options import LearnOptions
from understudy.ladder.rungs import student_class, writing_rungs
from understudy.students.base import Student

if TYPE_CHECKING:
    from understudy.students.tuned import TunedStudent

__all__ = ["rung_key", "student_maker"]

_PROGRESS_SECONDS = 5.0


def rung_key(name: str, data: Dataset, options: LearnOptions) -> str:
    """The key of a rung in the cache: everything that decides what comes out."""
    is_writer = bool(writing_rungs([name]))
    is_encoder = name not in ("linear", "lookup") and not is_writer
    extra: dict[str, Any] = {}
    if any(problem.mode == "write" for problem in data.problems):
        # Which rows are learnt and judged on depends on the fields that must be known.
        extra["fields"] = [problem.field.name for problem in data.problems]
    if is_writer:
        extra |= {"writer_base": base_identity(options.writer_base), "writer_tuning": options.writer_tuning}
    return content_key(
        **extra,
        data=data.fingerprint(),
        rung=name,
        seed=options.seed,
        learn_from=options.learn_from,
        reference=options.reference,
        base=base_identity(options.base) if is_encoder else None,
        rationales=options.use_rationales if is_encoder or is_writer else None,
        version=_version.__version__,
    )


def student_maker(
    name: str,
    data: Dataset,
    options: LearnOptions,
    fitted: Mapping[str, FittedRung],
    checkpoint: Path,
    report: Reporter,
) -> Callable[[], Student]:
    """Makes students with the settings that they know of; nothing depends on the clock."""
    last = [time.monotonic()]

    def progress(done: int, total: int, *_loss: float) -> None:
        if time.monotonic() - last[0] > _PROGRESS_SECONDS:
            last[0] = time.monotonic()
            report(f"{name}: {done} of {total}")

    settings: dict[str, Any] = {
        "seed": options.seed,
        "base": options.base,
        "checkpoint": checkpoint,
        "on_progress": progress,
    }
    if writing_rungs([name]):
        settings["base"] = options.writer_base
        settings["tuning"] = options.writer_tuning
        settings["instructions"] = data.task.instructions or None
    source = student_class(name).made_from
    if source is not None:
        settings["source"] = fitted[source].component.parent

    def make() -> Student:
        found = student_class(name)
        known = found().get_params()
        if "tuned" in known and "tuned" in fitted:
            tuned = _load_tuned(options, fitted["tuned"].component.parent)
            settings["tuned"] = tuned
            settings["layers"] = max(1, tuned.n_layers // 2)
        return found(**{key: value for key, value in settings.items() if key in known})

    return make


def _load_tuned(options: LearnOptions, folder: Path) -> TunedStudent:
    """The tuned rung as it was fitted, also when that was in an earlier run."""
    from understudy.students.tuned import TunedStudent

    tuned = TunedStudent(base=options.base, seed=options.seed)
    found = tuned.load_state(folder)
    assert found, "a cached tuned rung keeps its state"
    return tuned
