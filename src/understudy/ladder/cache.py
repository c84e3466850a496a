"""Finished rungs by content: a killed run, started again, trains none of them twice.

The key is made of everything that decides the result (data, split, rung, settings, version), so a stale entry
cannot be used. An entry is written under a temporary name and renamed; half an entry does not exist.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import ConfigError
from understudy.runtime.prediction import FieldPrediction
from understudy.task.problem import decode_value, encode_value

__all__ = ["Entry", "RungCache", "content_key", "load_predictions", "save_predictions", "sweep_scratch"]

_ENTRY = "entry.json"


def sweep_scratch(folder: Path, pattern: str, before_pid: str) -> None:
    """Remove scratch folders whose names end in the number of a process that is gone."""
    for scratch in folder.glob(pattern):
        pid = scratch.name.rpartition(before_pid)[2]
        # Without /proc nobody can tell; a left-over folder is the lesser evil.
        if pid.isdigit() and Path("/proc/self").exists() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(scratch, ignore_errors=True)


def content_key(**parts: Any) -> str:
    """A short hash of named parts (JSON values)."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:24]


def save_predictions(path: Path, predictions: Sequence[FieldPrediction]) -> None:
    """Write predictions as ``PATH.json`` (values) and ``PATH.npz`` (numbers)."""
    arrays: dict[str, Any] = {}
    for at, prediction in enumerate(predictions):
        arrays[f"confidence-{at}"] = prediction.confidence
        if prediction.scores is not None:
            arrays[f"scores-{at}"] = prediction.scores
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    values = [[encode_value(value) for value in prediction.values] for prediction in predictions]
    path.with_suffix(".json").write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def load_predictions(path: Path) -> list[FieldPrediction]:
    """Inverse of :func:`save_predictions`."""
    values = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        return [
            FieldPrediction(
                [decode_value(value) for value in column],
                arrays[f"confidence-{at}"],
                arrays.get(f"scores-{at}"),
            )
            for at, column in enumerate(values)
        ]


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished piece of work: its folder and its facts."""

    folder: Path
    facts: Mapping[str, Any]
    was_cached: bool


class RungCache:
    """A folder of entries; without a folder, a temporary one that is removed on :meth:`close`."""

    def __init__(self, folder: Path | None) -> None:
        self._temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="understudy-")) if folder is None else folder
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                "the cache folder cannot be made",
                given=f"{folder}: {error}",
                todo="give another with --cache",
            ) from error

    def get(self, key: str) -> Entry | None:
        """The entry of `key`, or ``None``."""
        folder = self.folder / key
        try:
            facts = json.loads((folder / _ENTRY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return Entry(folder, facts, was_cached=True)

    def make(self, key: str, build: Callable[[Path], Mapping[str, Any]]) -> Entry:
        """The entry of `key`; if there is none, `build` fills a folder and returns its facts."""
        if (found := self.get(key)) is not None:
            return found
        scratch = self.folder / f".{key}.{os.getpid()}"
        if scratch.exists():
            shutil.rmtree(scratch)
        scratch.mkdir()
        try:
            facts = build(scratch)
            (scratch / _ENTRY).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
            target = self.folder / key
            if target.exists():
                shutil.rmtree(target)
            scratch.rename(target)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        return Entry(self.folder / key, facts, was_cached=False)

    def sweep(self) -> None:
        """Remove what killed runs left half done (folders of processes that are gone)."""
        sweep_scratch(self.folder, ".*.*", ".")

    def close(self) -> None:
        """Remove a temporary cache."""
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)
