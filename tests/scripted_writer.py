"""A component that writes by rote, a token (three characters) at a time, and artefacts around it: for tests of what
stands around a writer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from understudy.calls.call import InputParts
from understudy.runtime.artefact import write_manifest
from understudy.runtime.component import write_component_file
from understudy.runtime.lookup import lookup_key
from understudy.runtime.prediction import FieldPrediction
from understudy.runtime.stages import FieldCalibration, Stage
from understudy.task.field import PLAIN_FIELD, Field
from understudy.task.problem import Problem
from understudy.task.task import Task

TOKEN_CHARS = 3
UNSURE_WORD = "quartz"


def written_for(text: str) -> str:
    """What the rote writer writes: the words of the input backwards, with some that need several bytes."""
    return f"Réponse 👩‍👩‍👧 {' '.join(reversed(text.split()))} — 完了"


@dataclass
class RoteWriter:
    """Writes :func:`written_for`; less sure of inputs with UNSURE_WORD, and done with nothing about "endless".

    Attributes
    ----------
    seconds
        It takes for each token.
    most
        Tokens of an answer; one that would be longer is cut there, with confidence 0.
    sizes, n_tokens, n_closed
        Inputs of each run of ``predict``; tokens written by ``stream``; streams that were ended early.
    """

    problem: Problem
    seconds: float = 0.0
    most: int = 400
    sizes: list[int] = field(default_factory=list)
    n_tokens: int = 0
    n_closed: int = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (self.problem,)

    @property
    def is_plain(self) -> bool:
        return True

    @property
    def max_new_tokens(self) -> int:
        return self.most

    @classmethod
    def load(cls, _folder: Path, spec: dict[str, Any]) -> RoteWriter:
        return cls(Problem.from_dict(spec["problems"][0]), spec["seconds"], spec["most"])

    def tokens(self, parts: InputParts) -> tuple[list[str], float]:
        if "broken" in parts[0]:
            raise RuntimeError
        text = "again " * 10_000 if "endless" in parts[0] else written_for(parts[0])
        cut = [text[at : at + TOKEN_CHARS] for at in range(0, len(text), TOKEN_CHARS)]
        sure = 0.0 if len(cut) > self.most else 0.2 if UNSURE_WORD in parts[0] else 0.9
        return cut[: self.most], sure

    def predict(self, inputs: Sequence[InputParts]) -> list[FieldPrediction]:
        self.sizes.append(len(inputs))
        made = [self.tokens(parts) for parts in inputs]
        time.sleep(self.seconds * max(len(tokens) for tokens, _ in made))
        texts = ["".join(tokens) for tokens, _ in made]
        return [FieldPrediction(list(texts), np.array([sure for _, sure in made]))]

    def stream(self, parts: InputParts) -> Generator[str, None, list[FieldPrediction]]:
        tokens, sure = self.tokens(parts)
        try:
            for token in tokens:
                time.sleep(self.seconds)
                self.n_tokens += 1
                if "cracked" in parts[0] and token != tokens[0]:
                    raise RuntimeError
                yield token
        except GeneratorExit:
            self.n_closed += 1
            raise
        return [FieldPrediction(["".join(tokens)], np.array([sure]))]

    def count_prompt_tokens(self, parts: InputParts) -> int:
        return -(-sum(map(len, parts)) // TOKEN_CHARS)

    def token_ends(self, text: str) -> list[int]:
        return [min(at + TOKEN_CHARS, len(text)) for at in range(0, len(text), TOKEN_CHARS)]


def register_rote(folder: Path) -> Path:
    """A folder to put on the path, in which the component is registered as a third party's would be."""
    info = folder / "rote-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: rote\nVersion: 1\n", encoding="utf-8")
    entry = "[understudy.components]\nrote = scripted_writer:RoteWriter.load\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf-8")
    return folder


def write_text_artefact(
    folder: Path,
    write_component: Callable[[Path, Problem], object],
    *,
    threshold: float | None,
    first_answers: dict[str, str] | None = None,
    field_name: str = PLAIN_FIELD,
) -> Path:
    """An artefact of one text field; `first_answers` are those of a lookup that is asked before the writer."""
    text = Problem(Field(field_name, "text"), "write")
    own = ((FieldCalibration(),),)
    stages = [Stage("writer", ("writer",), own)]
    components = folder / "components"
    (components / "writer").mkdir(parents=True)
    write_component(components / "writer", text)
    if first_answers is not None:
        stages.insert(0, Stage("lookup", ("lookup",), own, floor=1e-6, is_certified_alone=True))
        (components / "lookup").mkdir()
        write_component_file(components / "lookup", "lookup", [text], confidence=0.99)
        table = {lookup_key((given,)): [at] for at, given in enumerate(first_answers)}
        stored = {"values": list(first_answers.values()), "answers": table}
        (components / "lookup" / "answers.json").write_text(json.dumps(stored), encoding="utf-8")
    manifest = {
        "name": "reply",
        "id": f"text-{threshold}",
        "task": Task("reply", (text.field,)).to_dict(),
        "problems": [text.to_dict()],
        "teacher": {"model": "gpt-4o-mini", "mean_usd": 7.8e-6},
        "stages": [stage.to_dict() for stage in stages],
        "threshold": threshold,
        "measured": {"student_seconds": 0.01, "student_usd": 1e-7},
    }
    write_manifest(folder, manifest)
    return folder


def write_rote_artefact(folder: Path, *, seconds: float = 0.0, most: int = 400, **given: Any) -> Path:
    """An artefact that writes by rote; `given` as for :func:`write_text_artefact`."""

    def write_component(folder: Path, problem: Problem) -> None:
        write_component_file(folder, "rote", [problem], seconds=seconds, most=most)

    return write_text_artefact(folder, write_component, **given)
