"""Serves students that write: a language model that answers in text, or in JSON held to the task's form.

Needs numpy, tokenizers, llguidance for answers in JSON, and the engine's own library. The answer to an input
does not depend on its batch (see ``generate``).
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from tokenizers import Tokenizer

from understudy.calls.call import ABSENT, InputParts
from understudy.errors import ArtefactError
from understudy.runtime.confidence import (
    CONFIDENCES,
    Confidence,
    ConfidenceKind,
    class_scores,
    token_confidence,
)
from understudy.runtime.constraint import JsonConstraint
from understudy.runtime.decoder import Decoder
from understudy.runtime.engines import load_engine
from understudy.runtime.generate import Sampling, Written, generate, write_tokens
from understudy.runtime.prediction import FieldPrediction, FloatArray
from understudy.runtime.text_pieces import TextPieces
from understudy.runtime.writing import Prompt, WriteFormat
from understudy.runtime.written_values import token_owners, typed_value, value_spans
from understudy.task.field import values_equal
from understudy.task.problem import Problem

__all__ = ["CONFIDENCES", "Confidence", "ConfidenceKind", "WriterComponent"]

_CHARS_PER_TOKEN = 16
"""Longer texts are cut before they are tokenised; a token of ordinary text has about four characters."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer: a value per problem, and per problem and kind how sure each is."""

    values: list[Any]
    mean_logprob: list[float]
    margin: list[float]


class _Loaded:
    """The parts that are read on first use."""

    def __init__(self, folder: Path, spec: Mapping[str, Any], problems: Sequence[Problem]) -> None:
        try:
            self.tokeniser = Tokenizer.from_file(str(folder / spec["tokenizer"]))
        except Exception as error:  # tokenizers raises plain Exception
            raise ArtefactError("a tokenizer cannot be read", given=f"{folder}: {error}") from error
        self.decoder: Decoder = load_engine(folder, spec["engine"])
        self.constraint: JsonConstraint | None = None
        if not WriteFormat.from_dict(spec["format"]).is_plain:
            self.constraint = JsonConstraint(
                self.tokeniser,
                problems,
                vocab_size=self.decoder.vocab_size,
                end_ids=[int(one) for one in spec["end_ids"]],
            )


class WriterComponent:
    """Answers some fields of a task by writing.

    Parameters
    ----------
    folder, spec
        The component's folder and description: ``engine`` (from the export), ``tokenizer`` (a file),
        ``end_ids``, ``format`` (:class:`~understudy.runtime.writing.WriteFormat`), ``max_prompt_tokens``,
        ``max_new_tokens``, ``confidence`` (:class:`Confidence`) and ``seed``. The model is loaded when it is
        first asked.
    problems
        What it answers.
    """

    def __init__(self, folder: Path, spec: Mapping[str, Any], problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        self._folder, self._spec = folder, spec
        self._format = WriteFormat.from_dict(spec["format"])
        self._confidence = Confidence.from_dict(spec.get("confidence", {}))
        self._end_ids = [int(one) for one in spec["end_ids"]]
        self._most_prompt, self._most_new = int(spec["max_prompt_tokens"]), int(spec["max_new_tokens"])
        self._seed = int(spec.get("seed", 0))
        self._lock = threading.Lock()
        self._parts: _Loaded | None = None
        self.truncated_count = 0
        """Inputs so far of which the end was cut off because they are longer than the prompt may be."""

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Read an exported writer.

        Raises
        ------
        ArtefactError
            If a setting is missing or damaged.
        """
        try:
            problems = [Problem.from_dict(one) for one in spec["problems"]]
            is_there = (folder / spec["tokenizer"]).is_file() and isinstance(spec["engine"], Mapping)
            component = cls(folder, spec, problems)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError("a writer's description is damaged", given=f"{folder}: {error}") from error
        if not is_there:
            raise ArtefactError("a writer's tokenizer or engine is missing", given=str(folder))
        return component

    @property
    def is_plain(self) -> bool:
        """Whether it writes the text of one field as it is, so that :meth:`stream` yields pieces."""
        return self._format.is_plain

    def predict(self, inputs: Sequence[InputParts]) -> list[FieldPrediction]:
        """One prediction per problem; see ``runtime.component.Component``.

        An answer that did not end within ``max_new_tokens`` has confidence 0, and is ``None`` where it cannot
        be read (a plain text is kept as far as it was written).
        """
        kind = self._confidence.kind
        values, sure = self._answer(inputs, has_samples=kind == "samples")
        return self._predictions(values, sure[kind])

    def signals(
        self, inputs: Sequence[InputParts]
    ) -> tuple[list[FieldPrediction], dict[ConfidenceKind, list[FloatArray]]]:
        """Predictions with the confidence in force, and every kind of confidence: per problem an array (n,).

        ``samples`` is among them if ``confidence.samples`` is above 0.
        """
        values, sure = self._answer(inputs, has_samples=self._confidence.samples > 0)
        return self._predictions(values, sure[self._confidence.kind]), sure

    def stream(self, parts: InputParts) -> Generator[str, None, list[FieldPrediction]]:
        """Yield the pieces of a plain text as it is written; return what :meth:`predict` does for it.

        An answer in JSON is yielded in no pieces, and only returned.
        """
        if not self._format.is_plain:
            return self.predict([parts])
        loaded = self._loaded()
        prompt = self._prompts([parts])[0]
        pieces = TextPieces(
            lambda tokens: str(loaded.tokeniser.decode(list(tokens), skip_special_tokens=True))
        )
        written = Written()
        for written in write_tokens(
            loaded.decoder, prompt, end_ids=self._end_ids, max_new_tokens=self._most_new
        ):
            if piece := pieces.more(written.tokens):
                yield piece
        answer = self._read(written)
        if piece := pieces.rest(answer.values[0]):
            yield piece
        sure = self._confidences([answer], [prompt], has_samples=self._confidence.kind == "samples")
        return self._predictions([answer.values], sure[self._confidence.kind])

    def is_truncated(self, parts: InputParts) -> bool:
        """Whether only the beginning of this input would be read."""
        return self._prompt(self._loaded(), parts).is_truncated

    @property
    def max_new_tokens(self) -> int:
        """Most tokens that it writes in an answer."""
        return self._most_new

    def count_prompt_tokens(self, parts: InputParts) -> int:
        """Tokens that it reads for an input."""
        return len(self._prompt(self._loaded(), parts).ids)

    def token_ends(self, text: str) -> list[int]:
        """Per token of a text, as its tokeniser cuts it, the character behind its last one."""
        loaded = self._loaded()
        with self._lock:
            loaded.tokeniser.encode_special_tokens = True
            offsets = loaded.tokeniser.encode(_clean(text), add_special_tokens=False).offsets
        return [end for _, end in offsets]

    def _loaded(self) -> _Loaded:
        with self._lock:
            if self._parts is None:
                self._parts = _Loaded(self._folder, self._spec, self.problems)
            return self._parts

    def _prompt(self, loaded: _Loaded, parts: InputParts) -> Prompt:
        room = min(self._most_prompt, loaded.decoder.context_tokens - 1)
        most_chars = room * _CHARS_PER_TOKEN
        cut = tuple(_clean(part[:most_chars]) for part in parts)
        with self._lock:  # the tokeniser is told how to read special tokens, call by call
            prompt = self._format.prompt(loaded.tokeniser, cut, room)
        is_cut = any(len(part) > most_chars for part in parts)
        # A model cannot begin with nothing; the end of the text before is where texts begin.
        return Prompt(prompt.ids[:room] or [self._end_ids[0]], prompt.is_truncated or is_cut)

    def _prompts(self, inputs: Sequence[InputParts]) -> list[list[int]]:
        loaded = self._loaded()
        prompts = [self._prompt(loaded, parts) for parts in inputs]
        with self._lock:
            self.truncated_count += sum(prompt.is_truncated for prompt in prompts)
        return [prompt.ids for prompt in prompts]

    def _write(
        self, prompts: Sequence[Sequence[int]], sampling: Sequence[Sampling] | None = None
    ) -> list[_Answer]:
        loaded = self._loaded()
        written = generate(
            loaded.decoder,
            prompts,
            end_ids=self._end_ids,
            max_new_tokens=self._most_new,
            constraint=loaded.constraint,
            sampling=sampling,
        )
        return [self._read(one) for one in written]

    def _answer(
        self, inputs: Sequence[InputParts], *, has_samples: bool
    ) -> tuple[list[list[Any]], dict[ConfidenceKind, list[FloatArray]]]:
        prompts = self._prompts(inputs)
        answers = self._write(prompts)
        return [one.values for one in answers], self._confidences(answers, prompts, has_samples=has_samples)

    def _confidences(
        self, answers: Sequence[_Answer], prompts: Sequence[Sequence[int]], *, has_samples: bool
    ) -> dict[ConfidenceKind, list[FloatArray]]:
        shape = (len(answers), len(self.problems))
        means = np.array([one.mean_logprob for one in answers], dtype=np.float64).reshape(shape)
        margins = np.array([one.margin for one in answers], dtype=np.float64).reshape(shape)
        sure: dict[ConfidenceKind, list[FloatArray]] = {
            "mean_logprob": list(means.T.copy()),
            "margin": list(margins.T.copy()),
        }
        if has_samples:
            count = self._confidence.samples
            draws = [Sampling(self._confidence.temperature, self._seed + draw) for draw in range(count)]
            # The draws of one prompt stand together, so that it is read once.
            others = self._write([prompt for prompt in prompts for _ in draws], draws * len(prompts))
            same = np.zeros(shape)
            for at, other in enumerate(others):
                pairs = zip(self.problems, other.values, answers[at // count].values, strict=True)
                same[at // count] += [values_equal(problem.field, *pair) for problem, *pair in pairs]
            mixed = np.where(means > 0, (same + means) / (count + 1), 0.0)
            sure["samples"] = list(mixed.T.copy())
        return sure

    def _read(self, written: Written) -> _Answer:
        """Values and confidences of one answer."""
        loaded = self._loaded()
        if loaded.constraint is None:
            text = loaded.tokeniser.decode(written.tokens, skip_special_tokens=True)
            sure = (
                token_confidence(written, range(len(written.logprobs))) if written.is_finished else (0.0, 0.0)
            )
            return _Answer([text], [sure[0]], [sure[1]])
        pieces = [loaded.constraint.text_bytes([token]) for token in written.tokens]
        text = b"".join(pieces).decode("utf-8", "replace")
        values = self._format.read(self.problems, text) if written.is_finished else None
        if values is None:
            nothing = [0.0] * len(self.problems)
            return _Answer([None] * len(self.problems), nothing, nothing)
        return self._read_record(written, pieces, text, values)

    def _read_record(
        self, written: Written, pieces: Sequence[bytes], text: str, values: Sequence[Any]
    ) -> _Answer:
        spans = {span.key: span for span in value_spans(text)}
        inside = {at for span in spans.values() for at in token_owners(pieces, span.first, span.last)}
        outside = [at for at in range(len(pieces)) if at not in inside]
        found: list[Any] = []
        sure: list[tuple[float, float]] = []
        for problem, given in zip(self.problems, values, strict=True):
            value, is_legal = typed_value(problem, given)
            span = spans.get(problem.field.name)
            is_optional = any(one is ABSENT for one in problem.values)
            if span is None:
                # What left the key out is the structure around the values.
                owners = outside
            else:
                owners = token_owners(pieces, span.before if is_optional else span.first, span.last)
            found.append(value)
            sure.append(token_confidence(written, owners) if is_legal else (0.0, 0.0))
        return _Answer(found, [one for one, _ in sure], [one for _, one in sure])

    def _predictions(
        self, values: Sequence[Sequence[Any]], sure: Sequence[FloatArray]
    ) -> list[FieldPrediction]:
        out = []
        for at, problem in enumerate(self.problems):
            own = [row[at] for row in values]
            scores = class_scores(problem, own, sure[at]) if problem.mode == "classify" else None
            out.append(FieldPrediction(own, sure[at], scores))
        return out


def _clean(text: str) -> str:
    """Lone surrogates are no characters; each becomes one replacement character."""
    if text.isascii():
        return text
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
