"""Rung `writer`: a small language model that writes the answer. The last rung, for texts that must be composed.

From scratch, with a tokenizer of the task's own, or from a base by hub id or folder. All modes: one text alone is
written as it is, whole records as one flat JSON object.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.runtime.component import COMPONENT_FILE, load_component
from understudy.runtime.prediction import FieldPrediction
from understudy.students.base import Student
from understudy.students.confidence_choice import choose_confidence
from understudy.students.targets import Targets, as_inputs, as_targets
from understudy.task.problem import MODES, ProblemMode

if TYPE_CHECKING:
    from understudy.lm.fitted_writer import FittedWriter

__all__ = ["WriterStudent"]

_STATE = "writer"


class WriterStudent(Student):
    """A small language model.

    Parameters
    ----------
    base
        Hub id or folder of a causal model (Llama, Mistral, Qwen 2 or 3) or an encoder with a decoder (T5); ``None``:
        from scratch.
    tuning
        ``full``, ``lora`` or ``qlora``: what is trained of a base.
    precision
        Of the exported weights: ``float32``, ``int8`` or ``int4``.
    instructions
        What the task's prompt says beside the input, for a base that reads.
    vocab_size
        Tokens of a tokenizer from scratch; ``None`` chooses by the amount of text.
    steps, learning_rate
        Of the training loop; ``None`` chooses by the data (``lm.writer_recipe``).
    lora_rank
        Of the adapters.
    max_prompt_tokens, max_new_tokens
        Caps; lengths in the data may ask for less.
    rationale_weight
        Of reasons beside answers, where the log has reasons; 0 leaves them out.
    seed
        Of weights, order and samples.
    checkpoint
        Folder that a killed training resumes from, or ``None``.
    on_progress
        Called with step, steps and loss.
    """

    rung: ClassVar[str] = "writer"
    learns_rationales: ClassVar[bool] = True
    modes: ClassVar[frozenset[ProblemMode]] = frozenset(MODES)
    can_refit: ClassVar[bool] = False
    is_slow: ClassVar[bool] = True

    def __init__(
        self,
        base: str | None = None,
        tuning: Literal["full", "lora", "qlora"] = "full",
        precision: Literal["float32", "int8", "int4"] = "int8",
        instructions: str | None = None,
        vocab_size: int | None = None,
        steps: int | None = None,
        learning_rate: float | None = None,
        lora_rank: int = 16,
        max_prompt_tokens: int = 1024,
        max_new_tokens: int = 512,
        rationale_weight: float = 1.0,
        seed: int = 0,
        checkpoint: Path | None = None,
        on_progress: Callable[[int, int, float], None] | None = None,
    ) -> None:
        self.base = base
        self.tuning = tuning
        self.precision = precision
        self.instructions = instructions
        self.vocab_size = vocab_size
        self.steps = steps
        self.learning_rate = learning_rate
        self.lora_rank = lora_rank
        self.max_prompt_tokens = max_prompt_tokens
        self.max_new_tokens = max_new_tokens
        self.rationale_weight = rationale_weight
        self.seed = seed
        self.checkpoint = checkpoint
        self.on_progress = on_progress

    def fit(
        self,
        inputs: Sequence[str | InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        *,
        sample_weight: npt.NDArray[np.float64] | None = None,
        rationales: Sequence[str | None] | None = None,
    ) -> Self:
        """Train the model on the rows in which every field is known.

        Parameters
        ----------
        inputs, targets, sample_weight
            See :class:`Student`.
        rationales
            Why the teacher answered as it did, per row, where the log says: a second thing to write while training.

        Raises
        ------
        DataError
            If there is no row to learn from.
        ConfigError
            If the base cannot be used.
        UnderstudyError
            If training diverges, or memory does not suffice.
        """
        from understudy.lm.finetune import FinetuneSettings, fit_writer

        settings = FinetuneSettings(
            base=self.base,
            tuning=self.tuning,
            lora_rank=self.lora_rank,
            instructions=self.instructions,
            vocab_size=self.vocab_size,
            steps=self.steps,
            learning_rate=self.learning_rate,
            max_prompt_tokens=self.max_prompt_tokens,
            max_new_tokens=self.max_new_tokens,
            rationale_weight=self.rationale_weight,
            seed=self.seed,
        )
        wanted = as_targets(targets)
        self.fitted_: FittedWriter = fit_writer(
            as_inputs(inputs),
            wanted,
            settings,
            sample_weight=sample_weight,
            rationales=rationales if self.rationale_weight > 0 else None,
            on_progress=self.on_progress,
            checkpoint=self.checkpoint,
        )
        self.problems_ = self.fitted_.problems
        self.record_ = self.fitted_.record
        return self

    def predict_fields(self, inputs: Sequence[str | InputParts]) -> list[FieldPrediction]:
        """Predictions of the float model, by the runtime that serves: it is exported as float32 for that."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            self.fitted_.export(folder, precision="float32")
            return load_component(folder).predict(as_inputs(inputs))

    def export(self, folder: Path) -> None:
        """Write the model in `precision`, and all that it is asked with."""
        self.fitted_.export(folder, precision=self.precision)

    def settle(self, folder: Path, inputs: Sequence[str | InputParts], targets: Sequence[Targets]) -> None:
        """Choose, for the component in `folder`, how sure it says it is: what orders these answers best.

        Parameters
        ----------
        folder
            What :meth:`export` wrote; its ``component.json`` is rewritten with the choice and the figures.
        inputs, targets
            Rows that were not learnt from (`select`).
        """
        chosen = choose_confidence(folder, as_inputs(inputs), targets)
        if chosen is None:
            return
        path = folder / COMPONENT_FILE
        spec = json.loads(path.read_text(encoding="utf-8"))
        spec["confidence"] |= {"kind": chosen.kind, "samples": chosen.samples}
        spec["confidence_choice"] = {"areas": chosen.areas, "error_rate": chosen.error_rate, "n": chosen.n}
        text = json.dumps(spec, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        path.write_text(text, encoding="utf-8")

    def save_state(self, folder: Path) -> None:
        """Keep the float model in ``folder/writer``, for rungs that compress it."""
        (folder / _STATE).mkdir()
        self.fitted_.save(folder / _STATE)

    def load_state(self, folder: Path) -> bool:
        """Take up what :meth:`save_state` kept, as if fitted; ``False`` if `folder` holds nothing."""
        from understudy.lm.fitted_writer import FittedWriter

        if not (folder / _STATE).is_dir():
            return False
        self.fitted_ = FittedWriter.load(folder / _STATE)
        self.problems_, self.record_ = self.fitted_.problems, self.fitted_.record
        return True
