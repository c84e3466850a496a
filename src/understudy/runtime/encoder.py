"""Serves encoder students (frozen, tuned, distilled): one graph, one pass, every field of the task.

Needs onnxruntime, tokenizers and numpy. The answer to an input does not depend on its batch, the number of
threads or of processes: each input is one run of its own (see ``onnx_model``). On another processor int8
kernels may round differently; :meth:`EncoderComponent.verify_probe` tells whether they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.errors import ArtefactError
from understudy.runtime.heads import Answer, Head, gather_predictions, head_answers
from understudy.runtime.onnx_model import OnnxModel
from understudy.runtime.prediction import FieldPrediction, FloatArray
from understudy.runtime.tokens import TokenFrame, Tokenised, Tokeniser
from understudy.task.problem import Problem

__all__ = ["EncoderComponent", "ProbeResult"]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How far this machine's answers are from those recorded at export.

    Attributes
    ----------
    largest_difference
        Largest absolute difference of any output on the probe texts; 0 if every bit is the same.
    is_same
        Whether every recorded decision (the largest score of each head) is the same.
    """

    largest_difference: float
    is_same: bool


class EncoderComponent:
    """Answers some fields of a task with an ONNX encoder.

    Parameters
    ----------
    problems, heads
        What it answers, and where the scores stand.
    tokeniser, model
        The encoder.
    probe
        Inputs and the outputs that were recorded at export.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        heads: Sequence[Head],
        tokeniser: Tokeniser,
        model: OnnxModel,
        probe: Mapping[str, Any] | None = None,
    ) -> None:
        self.problems = tuple(problems)
        self._heads = tuple(heads)
        self._tokeniser, self._model = tokeniser, model
        self._probe = probe
        self.truncated_count = 0
        """Inputs so far of which the end was cut off because they are longer than the encoder can read."""

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any], *, threads: int | None = None) -> Self:
        """Read an exported encoder.

        Raises
        ------
        ArtefactError
            If a file or a setting is missing or damaged.
        """
        try:
            frame, heads = TokenFrame.from_dict(spec["frame"]), [Head.from_dict(one) for one in spec["heads"]]
            problems = [Problem.from_dict(one) for one in spec["problems"]]
            tokeniser = Tokeniser.load(folder / spec["tokenizer"], frame, int(spec["max_tokens"]))
            model = OnnxModel(folder / spec["model"], threads)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError("an encoder's description is damaged", given=f"{folder}: {error}") from error
        return cls(problems, heads, tokeniser, model, spec.get("probe"))

    def predict(self, inputs: Sequence[InputParts]) -> list[FieldPrediction]:
        """One prediction per problem; see ``runtime.component.Component``."""
        answers = self._model.map(self._answer, list(inputs))
        self.truncated_count += sum(is_truncated for is_truncated, _ in answers)
        return gather_predictions(self.problems, [found for _, found in answers])

    def is_truncated(self, parts: InputParts) -> bool:
        """Whether the encoder would read only the beginning of this input."""
        return self._tokeniser(parts).is_truncated

    def outputs(self, parts: InputParts) -> tuple[Tokenised, FloatArray, FloatArray]:
        """Tokens, per-input outputs (r,) and per-token outputs (t, 3p) of one input."""
        tokens = self._tokeniser(parts)
        made = self._model.run(tokens)
        row, token = made.get("row"), made.get("token")
        return (
            tokens,
            np.zeros(0) if row is None else row[0].astype(np.float64),
            np.zeros((len(tokens.ids), 0)) if token is None else token[0].astype(np.float64),
        )

    def _answer(self, parts: InputParts) -> tuple[bool, list[Answer]]:
        tokens, row, token = self.outputs(parts)
        return tokens.is_truncated, head_answers(self.problems, self._heads, row, token, tokens, parts)

    def verify_probe(self) -> ProbeResult | None:
        """Run the probe texts and compare with what export recorded; ``None`` if nothing was recorded."""
        if not self._probe:
            return None
        largest, is_same = 0.0, True
        for parts, wanted in zip(self._probe["inputs"], self._probe["outputs"], strict=True):
            _, row, token = self.outputs(tuple(parts))
            for got, recorded in ((row, wanted["row"]), (token, wanted["token"])):
                expected: npt.NDArray[np.float64] = np.array(recorded, dtype=np.float64).reshape(got.shape)
                largest = max(largest, float(np.abs(got - expected).max(initial=0.0)))
            expected_row = np.array(wanted["row"], dtype=np.float64)
            is_same &= all(
                head.row[0] == head.row[1]
                or row[slice(*head.row)].argmax() == expected_row[slice(*head.row)].argmax()
                for head in self._heads
            )
        return ProbeResult(largest, is_same)
