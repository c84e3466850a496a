"""Compresses a decoder step by step, and measures every version: size, speed, held-out loss, density.

``prune`` and ``distil`` make a smaller float model of the one before; ``int8``, ``int4`` and GGUF formats are files
made of the float model that stands when they come, so none of them is made of another. Puts the parts of this package
in order; knows no command line.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from understudy.density.ruler import Ruler
from understudy.errors import ConfigError, UnderstudyError
from understudy.export.decoder import export_decoder
from understudy.export.gguf_file import QUANTISATIONS, export_gguf
from understudy.lm.checkpoint import sha256_of
from understudy.lm.corpus import Corpus
from understudy.lm.decoder import load_decoder, quiet_transformers
from understudy.lm.importance import measure_importance
from understudy.lm.pace import Pace
from understudy.lm.packing import Pack
from understudy.lm.prune import PruneAim, default_aim, prune
from understudy.lm.quality import SequenceLosses, decoder_losses, model_losses
from understudy.lm.record import StepRecord
from understudy.lm.recover import towards_logits
from understudy.lm.settings import TrainSettings
from understudy.lm.speed import WritingSpeed, writing_speed
from understudy.lm.tokeniser import end_id, save_tokeniser
from understudy.lm.train import train
from understudy.lm.versions import Version, density_change, describe
from understudy.runtime.decoder import Decoder
from understudy.runtime.engines import load_engine

__all__ = ["STEPS", "CompressSettings", "compress", "parse_steps"]

_FLOAT_STEPS, _ONNX_STEPS = ("prune", "distil"), ("int8", "int4")
GGUF_DEFAULT = "q4_k_s"
STEPS = (*_FLOAT_STEPS, *_ONNX_STEPS, "gguf", *(f"gguf-{name}" for name in QUANTISATIONS))
"""Names of steps; ``gguf`` is ``gguf-q4_k_s``."""


@dataclass(frozen=True, slots=True)
class CompressSettings:
    """How to compress and to measure.

    Attributes
    ----------
    steps
        Of :data:`STEPS`, in their order.
    training
        Of the step ``distil``.
    aim
        Of the step ``prune``; ``None``: :func:`~understudy.lm.prune.default_aim`.
    temperature, label_share
        Of the distillation, see :func:`~understudy.lm.recover.towards_logits`.
    calibration_sequences, measured_sequences
        Training sequences that importance is measured on, held-out ones that loss is measured on; fewer where there
        are no more.
    confidence
        Of intervals of the loss.
    """

    steps: tuple[str, ...]
    training: TrainSettings
    aim: PruneAim | None = None
    temperature: float = 1.0
    label_share: float = 0.0
    calibration_sequences: int = 64
    measured_sequences: int = 128
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise ConfigError("confidence must be between 0 and 1", given=f"confidence = {self.confidence!r}")
        for name in ("calibration_sequences", "measured_sequences"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more", given=f"{name} = {getattr(self, name)!r}")


def parse_steps(words: str) -> tuple[str, ...]:
    """Read ``prune,distil,int8``.

    Raises
    ------
    ConfigError
        On an unknown or repeated step, none, or ``distil`` without ``prune`` before it.
    """
    steps = tuple(word.strip() for word in words.split(",") if word.strip())
    unknown = [step for step in steps if step not in STEPS]
    if unknown or not steps:
        raise ConfigError(
            "there is no such step" if unknown else "there are no steps",
            given=", ".join(unknown) or repr(words),
            todo=f"steps are {', '.join(STEPS)}",
        )
    if len(set(steps)) < len(steps):
        raise ConfigError("a step stands twice", given=words)
    if "distil" in steps and "prune" not in steps[: steps.index("distil")]:
        raise ConfigError(
            "the step distil needs prune before it: a model cannot learn from itself", given=words
        )
    return steps


def compress(
    folder: Path,
    corpus: Corpus,
    settings: CompressSettings,
    out: Path,
    *,
    ruler: Ruler | None = None,
    ruler_tokens: float | None = None,
    on_version: Callable[[Version], None] | None = None,
    on_step: Callable[[StepRecord, Pace], None] | None = None,
) -> list[Version]:
    """Go through the steps; each version lies in a folder of its own in `out`, with ``engine/`` beside float weights.

    A distillation that was cut goes on where it was; everything else is made anew, which takes little.

    Parameters
    ----------
    folder
        Of the original, as transformers writes it.
    corpus
        Text to prune and distil on, and held-out text to measure with, in the model's tokens.
    out
        Where versions and ``compression.json`` go.
    ruler, ruler_tokens
        For density; see :func:`~understudy.lm.versions.density_change`.
    on_version, on_step
        Called after each version, and each step of the distillation.

    Raises
    ------
    ConfigError
        If a step cannot be done with this model, or another run lies in `out`.
    UnderstudyError
        As :func:`~understudy.lm.train.train`.
    """
    _check_place(folder, out, settings.steps)
    run = _Run(folder, corpus, settings, out, ruler, ruler_tokens, on_step)
    versions: list[Version] = []
    for step in ("original", *settings.steps):
        versions.append(run.take(step))
        if on_version is not None:
            on_version(versions[-1])
    facts = [version.to_dict() for version in versions]
    (out / "compression.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")
    return versions


def _check_place(folder: Path, out: Path, steps: tuple[str, ...]) -> None:
    """Refuse to write over the original: the folder of each step is made anew."""
    written = {(out / step).resolve() for step in ("original", *steps)}
    if clash := written & {folder.resolve(), *folder.resolve().parents}:
        raise ConfigError(
            "the model lies where a version would be written",
            given=f"{folder}, in {', '.join(map(str, clash))}, which is made anew",
            todo="give another folder to write (--out)",
        )


@dataclass(slots=True)
class _Run:
    """Where a run stands: the float model of now (`last` is its version), and what the original came to."""

    source: Path
    corpus: Corpus
    settings: CompressSettings
    out: Path
    ruler: Ruler | None
    ruler_tokens: float | None
    on_step: Callable[[StepRecord, Pace], None] | None
    model: PreTrainedModel = field(init=False)
    original: PreTrainedModel = field(init=False)
    held_out: Pack = field(init=False)
    first: SequenceLosses | None = None
    last: Version | None = None
    beside: Decoder | None = None

    def __post_init__(self) -> None:
        self.model = self.original = load_decoder(self.source)
        if self.corpus.tokeniser.get_vocab_size() > self.model.config.vocab_size:
            raise ConfigError(
                "the text has more kinds of tokens than the model knows", given=str(self.source)
            )
        _, valid = self.corpus.packed(self.settings.training.sequence_tokens, self.settings.training.seed)
        n = min(self.settings.measured_sequences, valid.n_sequences)
        self.held_out = valid.take([at * valid.n_sequences // n for at in range(n)])

    def take(self, step: str) -> Version:
        """Do one step and measure what came of it."""
        place = self.out / step
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        if step == "prune":
            self.model = self._pruned()
        elif step == "distil":
            self.model = self._distilled()
        is_float = step in ("original", *_FLOAT_STEPS)
        reason: str | None = None
        size: int | None = None
        speed: WritingSpeed | None = None
        losses: SequenceLosses | None = None
        engine = place / "engine" if is_float else place
        if is_float:
            self._save(place)
            losses = model_losses(self.model, self.held_out)
        try:
            size, speed, exported = self._export(step, engine)
            losses = losses if is_float else exported
        except UnderstudyError as error:
            reason = str(error)
        return self._version(step, place, size, speed, losses, reason)

    def _version(
        self,
        step: str,
        place: Path,
        size: int | None,
        speed: WritingSpeed | None,
        losses: SequenceLosses | None,
        reason: str | None,
    ) -> Version:
        is_float = step in ("original", *_FLOAT_STEPS)
        loss, change = describe(losses, self.first, self.settings.confidence)
        before = self.last
        n_parameters = sum(parameter.numel() for parameter in self.model.parameters())
        version = Version(
            step,
            None if before is None else before.step,
            place,
            n_parameters,
            is_float,
            size,
            speed,
            loss,
            change,
            density_change(
                self.ruler,
                None
                if before is None
                else (before.n_parameters, None if before.loss is None else before.loss.value, None),
                (n_parameters, None if loss is None else loss.value, None if is_float else size),
                n_tokens=self.ruler_tokens,
            ),
            reason,
        )
        if is_float:  # what comes next is made of this one
            self.last = version
        if step == "original":
            self.first = losses
        return version

    def _pruned(self) -> PreTrainedModel:
        training = self.settings.training
        data, _ = self.corpus.packed(training.sequence_tokens, training.seed)
        size = min(training.batch_sequences, data.n_sequences)
        n_batches = max(1, min(self.settings.calibration_sequences, data.n_sequences) // size)
        importance = measure_importance(self.model, [data.batch(number, size) for number in range(n_batches)])
        return prune(self.model, importance, self.settings.aim or default_aim(self.model))

    def _distilled(self) -> PreTrainedModel:
        data, _ = self.corpus.packed(self.settings.training.sequence_tokens, self.settings.training.seed)
        assert self.last is not None, "the original is always the first version"
        # What it starts from, what it learns from and how: all that a run that was cut must share.
        start = {
            "pruned": sha256_of(self.last.folder / "model.safetensors"),
            "teacher": sha256_of(self.out / "original" / "model.safetensors"),
            "temperature": self.settings.temperature,
            "label_share": self.settings.label_share,
        }
        run = train(
            self.model,
            data,
            self.settings.training,
            self.out / "distilling",
            objective=towards_logits(
                self.original,
                temperature=self.settings.temperature,
                label_share=self.settings.label_share,
            ),
            start=json.dumps(start),
            on_step=self.on_step,
        )
        return load_decoder(run.checkpoint)

    def _save(self, place: Path) -> None:
        with quiet_transformers():
            self.model.save_pretrained(place)
        save_tokeniser(self.corpus.tokeniser, place, self.corpus.end)

    def _export(self, step: str, place: Path) -> tuple[int, WritingSpeed, SequenceLosses | None]:
        """Write what would be served; measure it."""
        place.mkdir(exist_ok=True)
        engine = self._write_engine(step, place)
        size = sum(path.stat().st_size for path in place.iterdir())
        (place / "engine.json").write_text(json.dumps(engine, indent=1), encoding="utf-8")
        decoder = load_engine(place, engine)
        speed = writing_speed(decoder, reference=self.beside)
        if step == "original":
            self.beside = decoder
        is_exact = step in ("original", *_FLOAT_STEPS)
        return size, speed, None if is_exact else decoder_losses(decoder, self.held_out)

    def _write_engine(self, step: str, place: Path) -> dict[str, Any]:
        name, _, quantisation = step.partition("-")
        if name == "gguf":
            return export_gguf(
                self.model,
                self.corpus.tokeniser,
                place,
                end_id=end_id(self.corpus.tokeniser, self.corpus.end),
                quantisation=quantisation or GGUF_DEFAULT,
            )
        return export_decoder(self.model, place, precision=step if step in _ONNX_STEPS else "float32")
