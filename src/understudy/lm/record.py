"""What each training step did, and the file ``steps.jsonl`` that keeps it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from understudy.errors import ArtefactError
from understudy.lm.load import LayerLoad

__all__ = ["StepRecord", "append_record", "read_records", "write_records"]

_FILE = "steps.jsonl"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step did.

    Attributes
    ----------
    step
        Number of the step, from 1.
    loss
        Objective per labelled token (nats for the default), before the step's update.
    router_loss
        What balancing added to it, weights included.
    gradient_norm
        Before clipping.
    learning_rate
        Of this step.
    loads
        Of each layer with experts, before the update.
    valid_loss
        On held-out text after the update, where it was measured.
    """

    step: int
    loss: float
    router_loss: float
    gradient_norm: float
    learning_rate: float
    loads: tuple[LayerLoad, ...]
    valid_loss: float | None = None

    @property
    def is_finite(self) -> bool:
        """Whether losses and gradient are numbers."""
        return all(map(math.isfinite, (self.loss, self.router_loss, self.gradient_norm)))


def append_record(folder: Path, record: StepRecord) -> None:
    """Add a line to the file in `folder`."""
    with (folder / _FILE).open("a", encoding="utf-8") as stream:
        stream.write(_line(record))


def write_records(folder: Path, records: Sequence[StepRecord]) -> None:
    """Write the file anew, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f"{_FILE}.part"
    half.write_text("".join(map(_line, records)), encoding="utf-8")
    half.replace(folder / _FILE)


def read_records(folder: Path, n_steps: int) -> list[StepRecord]:
    """Read the first `n_steps` lines; later ones, perhaps cut, are of steps that a kill undid.

    Raises
    ------
    ArtefactError
        If there are fewer, or one cannot be read.
    """
    path = folder / _FILE
    lines = path.read_text(encoding="utf-8").splitlines()[:n_steps] if path.is_file() else []
    try:
        if len(lines) < n_steps:
            raise ValueError(f"{len(lines)} steps, and the checkpoint is of step {n_steps}")
        return [_read(line) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtefactError(
            "the record of steps cannot be read",
            given=f"{path}: {error}",
            todo="put the file back, or train in another folder; the checkpoints beside it are whole models",
        ) from error


def _line(record: StepRecord) -> str:
    return json.dumps(asdict(record)) + "\n"


def _read(line: str) -> StepRecord:
    row = json.loads(line)
    loads = tuple(LayerLoad(**{**load, "counts": tuple(load["counts"])}) for load in row["loads"])
    return StepRecord(**{**row, "loads": loads})
