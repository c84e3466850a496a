"""Rungs `writer_int4`, `writer_pruned`, `writer_gguf`: the fitted writer in another form, each with a cost of its own.

They learn nothing of their own but for the pruned one, which is trained on for a while. Each is judged, certified and
priced as any rung: whether smaller is good enough is for the ladder to find out.
"""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.errors import ConfigError
from understudy.runtime.component import load_component
from understudy.runtime.prediction import FieldPrediction
from understudy.students.base import Student
from understudy.students.targets import Targets, as_inputs, as_targets
from understudy.students.writer import WriterStudent
from understudy.task.problem import MODES, ProblemMode

if TYPE_CHECKING:
    from understudy.lm.fitted_writer import FittedWriter

__all__ = ["CompressedWriter", "WriterGgufStudent", "WriterInt4Student", "WriterPrunedStudent"]

_STATE = "writer"
"""Where :meth:`understudy.students.writer.WriterStudent.save_state` keeps the float model."""


class CompressedWriter(Student):
    """What the three share: the float model of the rung `writer`, and a confidence chosen for the form that ships."""

    modes: ClassVar[frozenset[ProblemMode]] = frozenset(MODES)
    can_refit: ClassVar[bool] = False
    is_slow: ClassVar[bool] = True
    made_from: ClassVar[str | None] = "writer"

    source: Path | None

    def _whole(self) -> FittedWriter:
        """The fitted writer, unpruned.

        Raises
        ------
        ConfigError
            If `source` is not given, or no writer was kept there.
        """
        from understudy.lm.fitted_writer import FittedWriter

        if self.source is None or not (self.source / _STATE).is_dir():
            raise ConfigError(
                f"the rung {self.rung} is another form of a fitted writer, and there is none",
                given=f"source = {self.source}",
                todo="fit the rung writer first; its save_state keeps what is needed here",
            )
        return FittedWriter.load(self.source / _STATE)

    def fit(
        self,
        inputs: Sequence[str | InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        *,
        sample_weight: npt.NDArray[np.float64] | None = None,
    ) -> Self:
        """Take the fitted writer, and make of it what is to be exported.

        Parameters
        ----------
        inputs, targets, sample_weight
            The rows that the writer was fitted on; see :class:`Student`.

        Raises
        ------
        ConfigError
            If there is no fitted writer, or its model cannot be made smaller in this way.
        MissingDependencyError
            If the form needs a package that is not installed.
        """
        self.fitted_: FittedWriter = self._make(self._whole(), as_inputs(inputs), targets, sample_weight)
        self.problems_ = self.fitted_.problems
        self.record_ = self.fitted_.record
        return self

    def _make(
        self,
        whole: FittedWriter,
        inputs: list[InputParts],  # noqa: ARG002  (for those that train on)
        targets: Sequence[Targets] | Sequence[Any],  # noqa: ARG002
        sample_weight: npt.NDArray[np.float64] | None,  # noqa: ARG002
    ) -> FittedWriter:
        return whole

    def predict_fields(self, inputs: Sequence[str | InputParts]) -> list[FieldPrediction]:
        """Predictions of the float model, by the runtime that serves: it is exported as float32 for that."""
        with tempfile.TemporaryDirectory() as scratch:
            self.fitted_.export(Path(scratch), precision="float32")
            return load_component(Path(scratch)).predict(as_inputs(inputs))

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the component in this rung's form."""

    def settle(self, folder: Path, inputs: Sequence[str | InputParts], targets: Sequence[Targets]) -> None:
        """Choose the confidence anew, for fewer bits or layers are sure in other places."""
        WriterStudent().settle(folder, inputs, targets)


class WriterInt4Student(CompressedWriter):
    """The writer with weights of 4 bits, in blocks, rounded to the nearest.

    Parameters
    ----------
    source
        Folder in which the fitted writer's ``save_state`` kept its float model.
    """

    rung: ClassVar[str] = "writer_int4"

    def __init__(self, source: Path | None = None) -> None:
        self.source = source

    def export(self, folder: Path) -> None:
        """Write an ONNX engine of 4-bit weights."""
        self.fitted_.export(folder, precision="int4")


class WriterPrunedStudent(CompressedWriter):
    """The writer with fewer layers and channels, trained towards the whole one; 8-bit weights.

    Parameters
    ----------
    source
        Folder in which the fitted writer's ``save_state`` kept its float model.
    layers, channels
        What is left; ``None``: three quarters of each.
    steps
        Of the training afterwards; ``None``: by the data.
    seed
        Of the order of rows.
    checkpoint
        Folder that a killed training resumes from, or ``None``.
    on_progress
        Called with step, steps and loss.
    """

    rung: ClassVar[str] = "writer_pruned"

    def __init__(
        self,
        source: Path | None = None,
        layers: int | None = None,
        channels: int | None = None,
        steps: int | None = None,
        seed: int = 0,
        checkpoint: Path | None = None,
        on_progress: Callable[[int, int, float], None] | None = None,
    ) -> None:
        self.source = source
        self.layers = layers
        self.channels = channels
        self.steps = steps
        self.seed = seed
        self.checkpoint = checkpoint
        self.on_progress = on_progress

    def _make(
        self,
        whole: FittedWriter,
        inputs: list[InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        sample_weight: npt.NDArray[np.float64] | None,
    ) -> FittedWriter:
        from understudy.lm.checkpoint import sha256_of
        from understudy.lm.prune import PruneAim
        from understudy.lm.shrink_writer import ShrinkSettings, shrink_writer

        assert self.source is not None, "checked where the writer was read"
        is_default = self.layers is None and self.channels is None
        weights = sorted((self.source / _STATE).glob("*.safetensors"))
        settings = ShrinkSettings(
            aim=None if is_default else PruneAim(n_layers=self.layers, d_ff=self.channels),
            steps=self.steps,
            seed=self.seed,
            start=" ".join(map(sha256_of, weights)),
        )
        return shrink_writer(
            whole,
            inputs,
            as_targets(targets),
            settings,
            sample_weight=sample_weight,
            on_progress=self.on_progress,
            checkpoint=self.checkpoint,
        )

    def export(self, folder: Path) -> None:
        """Write an ONNX engine of 8-bit weights."""
        self.fitted_.export(folder, precision="int8")


class WriterGgufStudent(CompressedWriter):
    """The writer as a GGUF file, run by llama.cpp.

    Parameters
    ----------
    source
        Folder in which the fitted writer's ``save_state`` kept its float model.
    quantisation
        Format of the weights; see :func:`understudy.export.gguf_file.export_gguf`.
    """

    rung: ClassVar[str] = "writer_gguf"

    def __init__(self, source: Path | None = None, quantisation: str = "q4_k_s") -> None:
        self.source = source
        self.quantisation = quantisation

    def _make(
        self,
        whole: FittedWriter,
        inputs: list[InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        sample_weight: npt.NDArray[np.float64] | None,
    ) -> FittedWriter:
        from understudy.runtime.llama_library import llama_library

        llama_library()  # the rung is skipped here, and not after an export, where llama.cpp is missing
        return super()._make(whole, inputs, targets, sample_weight)

    def export(self, folder: Path) -> None:
        """Write a GGUF file and what stands beside it."""
        from understudy.export.gguf_file import export_gguf

        fitted = self.fitted_
        engine = export_gguf(
            fitted.model,
            fitted.tokeniser,
            folder,
            end_id=fitted.end_ids[0],
            quantisation=self.quantisation,
        )
        fitted.write_component(folder, engine)
