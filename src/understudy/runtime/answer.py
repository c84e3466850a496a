"""Load an artefact and answer with it: the public face of the runtime.

Needs numpy; onnxruntime and tokenizers only if the artefact holds an encoder. Never torch, scikit-learn or pickle.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.calls.call import ABSENT, InputParts
from understudy.runtime.artefact import read_manifest
from understudy.runtime.component import Component, WritingComponent, load_component
from understudy.runtime.stages import Cascade, CascadeResult, Stage
from understudy.task.problem import Problem
from understudy.task.task import Task

__all__ = ["Answer", "FieldAnswer", "Understudy", "load"]

COMPONENTS_FOLDER = "components"


@dataclass(frozen=True, slots=True)
class FieldAnswer:
    """One field of an answer.

    Attributes
    ----------
    value
        The student's value, ``None`` for JSON null, ABSENT for a key that should not be there. Meaningless if
        `is_answered` is false and `confidence` is 0.
    confidence
        Estimated probability that the teacher would say the same.
    is_answered
        Whether this field alone passes its own certified threshold.
    """

    value: Any
    confidence: float
    is_answered: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What an artefact says about one input.

    Attributes
    ----------
    value
        The output in the teacher's shape, or ``None`` when deferred.
    is_answered
        Whether the whole record passes the certified threshold. ``False`` means: ask the teacher.
    confidence
        Estimated probability that every required field is the teacher's.
    rung
        Which rung spoke.
    fields
        Per field.
    reason
        Why it was deferred, or ``None``.
    """

    value: Any
    is_answered: bool
    confidence: float
    rung: str
    fields: Mapping[str, FieldAnswer]
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form, one line of ``understudy answer``."""
        return {
            "output": self.value,
            "answered": self.is_answered,
            "confidence": round(self.confidence, 6),
            "rung": self.rung,
            "reason": self.reason,
            "fields": {
                name: {
                    **({} if field.value is ABSENT else {"value": field.value}),
                    "confidence": round(field.confidence, 6),
                    "answered": field.is_answered,
                }
                for name, field in self.fields.items()
            },
        }


class Understudy:
    """A loaded artefact.

    Parameters
    ----------
    folder
        Where it came from.
    manifest
        Its manifest, verified.
    cascade
        Its stages over loaded components.

    Attributes
    ----------
    task
        What it is for.
    threshold, field_thresholds
        Of the record and per field; ``None`` where nothing is certified.
    is_writer
        Whether a component of it writes texts piece by piece, which takes its time.
    never_answered
        Required fields that no rung writes.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], cascade: Cascade) -> None:
        self.folder, self.manifest, self.cascade = folder, manifest, cascade
        self.task = Task.from_dict(manifest["task"])
        self.threshold: float | None = manifest["threshold"]
        self.field_thresholds: Mapping[str, float | None] = manifest.get("field_thresholds", {})
        deferred: Sequence[str] = manifest.get("deferred_fields", ())
        self.is_writer = any(isinstance(one, WritingComponent) for one in cascade.components.values())
        self._writes_records = any(
            isinstance(one, WritingComponent) and not one.is_plain for one in cascade.components.values()
        )
        self.never_answered = [
            field.name for field in self.task.fields if field.name in deferred and field.required
        ]

    def answer(self, given: str | Mapping[str, Any]) -> Answer:
        """Answer one text, or one record of named texts."""
        return self.answer_batch([given])[0]

    def answer_batch(self, inputs: Sequence[str | Mapping[str, Any]]) -> list[Answer]:
        """Answer many; each answer is what :meth:`answer` would give alone, bit for bit."""
        return self.answer_parts([self.task.parts(given) for given in inputs])

    def answer_parts(self, parts: Sequence[InputParts]) -> list[Answer]:
        """Answers for inputs that are already cut into parts."""
        return self._answers(self.predict(parts)) if parts else []

    @property
    def is_live(self) -> bool:
        """Whether a text may be passed on while it is being written.

        How sure the student is of a text is known at its end, so only where that decides nothing any more: the
        certified threshold is 0, the output is one plain text, and one component writes it.
        """
        if self.threshold is None or self.threshold > 0 or self.never_answered or not self.task.is_plain:
            return False
        problem = self.cascade.problems[0]
        return problem.mode == "write" and not problem.values and self.cascade.writer is not None

    def stream(self, given: str | Mapping[str, Any]) -> Generator[str, None, Answer]:
        """The answer's text in pieces; returns the answer, bit for bit what :meth:`answer` gives.

        Where the artefact :attr:`is_live` a piece comes as soon as it is written. Else the text comes in one piece,
        once it is known that it is answered; nothing comes of a deferred one. Closing the generator ends the
        writing. A value that is no text comes as JSON.
        """
        return self.stream_parts(self.task.parts(given))

    def stream_parts(self, parts: InputParts) -> Generator[str, None, Answer]:
        """:meth:`stream` for an input that is already cut into parts."""
        if self.is_live:
            result = yield from self.cascade.stream(parts)
            answer = self._answers(result)[0]
            if int(result.stage[0]) == len(self.cascade.stages) - 1:
                return answer  # its text has been passed on already
        else:
            answer = self.answer_parts([parts])[0]
        if answer.is_answered and answer.value is not ABSENT:
            value = answer.value
            yield value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return answer

    def answer_unwritten(self, parts: InputParts) -> Answer | None:
        """The answer, if a stage before the first that writes is sure enough; such an answer costs no writing."""
        writes = (
            any(isinstance(self.cascade.components[name], WritingComponent) for name in stage.members)
            for stage in self.cascade.stages
        )
        before = next((at for at, is_writing in enumerate(writes) if is_writing), 0)
        result = self.cascade.first_sure(parts, before)
        return None if result is None else self._answers(result)[0]

    def predict(self, parts: Sequence[InputParts]) -> CascadeResult:
        """Raw predictions for inputs that are already cut into parts."""
        return self.cascade.predict(parts)

    def _answers(self, result: CascadeResult) -> list[Answer]:
        names = [problem.field.name for problem in self.cascade.problems]
        thresholds = [self.field_thresholds.get(name) for name in names]
        stages = self.cascade.stages
        out = []
        for row, (sure, spoke) in enumerate(
            zip(result.confidence.tolist(), result.stage.tolist(), strict=True)
        ):
            fields = {}
            for name, threshold, prediction in zip(names, thresholds, result.fields, strict=True):
                confidence = float(prediction.confidence[row])
                passes = stages[spoke].is_certified_alone or (
                    threshold is not None and confidence >= threshold
                )
                fields[name] = FieldAnswer(prediction.values[row], confidence, passes)
            reason = self._why_deferred(sure, stages[spoke].is_certified_alone)
            value = (
                None if reason else self.task.assemble({name: field.value for name, field in fields.items()})
            )
            out.append(Answer(value, reason is None, sure, stages[spoke].rung, fields, reason))
        return out

    def _why_deferred(self, confidence: float, is_certified_alone: bool) -> str | None:
        if self.never_answered:
            return f"no rung writes {', '.join(self.never_answered)}"
        if is_certified_alone:
            return None
        if self.threshold is None:
            return "nothing is certified"
        if self._writes_records and confidence == 0.0:
            # Counted as a wrong answer when a threshold of 0 was certified; deferring it can only do better.
            return "what it wrote could not be read"
        if not confidence >= self.threshold:
            return "unsure"
        return None


def load(folder: str | Path, *, verify: bool = True) -> Understudy:
    """Load an artefact.

    Parameters
    ----------
    folder
        The folder that ``understudy learn`` wrote.
    verify
        Check every file's hash first (recommended; reads each file once).

    Raises
    ------
    ArtefactError
        If it is damaged, incomplete, changed or of a newer format.
    """
    at = Path(folder)
    manifest = read_manifest(at, verify=verify)
    stages = [Stage.from_dict(stage) for stage in manifest["stages"]]
    names = sorted({name for stage in stages for name in stage.members})
    components: dict[str, Component] = {name: load_component(at / COMPONENTS_FOLDER / name) for name in names}
    problems = [Problem.from_dict(problem) for problem in manifest["problems"]]
    required = [problem.field.required for problem in problems]
    return Understudy(at, manifest, Cascade(problems, required, stages, components))
