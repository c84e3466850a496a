"""A trained writer: a float model with all that turns an input into its answer, saved, loaded and exported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel

from understudy.errors import ArtefactError
from understudy.lm.base_model import SEQ2SEQ_TYPES
from understudy.lm.decoder import quiet_transformers
from understudy.lm.tokeniser import save_tokeniser
from understudy.runtime.component import write_component_file
from understudy.runtime.writing import WriteFormat
from understudy.task.problem import Problem

__all__ = ["DEFAULT_CONFIDENCE", "FittedWriter"]

DEFAULT_CONFIDENCE: dict[str, Any] = {"kind": "mean_logprob", "samples": 0, "temperature": 1.0}
_STATE = "writer.json"


@dataclass(frozen=True, slots=True)
class FittedWriter:
    """A trained writer.

    Attributes
    ----------
    model
        Float32, without adapters, in evaluation mode.
    tokeniser
        Its tokenizer.
    end_ids
        Tokens that end an answer; training used the first.
    format
        Words around an input, and how values become a text.
    problems
        What it answers, in order.
    max_prompt_tokens, max_new_tokens
        Longest prompt and longest answer.
    seed
        Of the samples that a confidence may be drawn from.
    base
        Where the weights come from; ``None``: from scratch.
    record
        How training went: counts, losses, seconds.
    """

    model: PreTrainedModel
    tokeniser: Tokenizer
    end_ids: tuple[int, ...]
    format: WriteFormat
    problems: tuple[Problem, ...]
    max_prompt_tokens: int
    max_new_tokens: int
    seed: int
    base: dict[str, Any] | None
    record: dict[str, Any]

    def export(
        self,
        folder: Path,
        *,
        precision: Literal["float32", "int8", "int4"],
        confidence: Mapping[str, Any] = DEFAULT_CONFIDENCE,
    ) -> None:
        """Write a component of type ``writer`` with an ONNX engine into the empty `folder`.

        Parameters
        ----------
        folder
            An empty folder.
        precision
            ``float32``, ``int8`` or ``int4``, of the weights.
        confidence
            How sure it says it is; see :class:`understudy.runtime.writer.WriterComponent`.
        """
        from understudy.export.decoder import export_decoder

        engine = export_decoder(self.model, folder, precision=precision)
        self.write_component(folder, engine, confidence=confidence)

    def write_component(
        self, folder: Path, engine: Mapping[str, Any], *, confidence: Mapping[str, Any] = DEFAULT_CONFIDENCE
    ) -> None:
        """Write what stands beside an `engine` that is in `folder` already: the tokenizer and ``component.json``."""
        self.tokeniser.encode_special_tokens = False
        self.tokeniser.save(str(folder / "tokenizer.json"))
        write_component_file(
            folder,
            "writer",
            self.problems,
            engine=dict(engine),
            tokenizer="tokenizer.json",
            **self._settings(),
            confidence=dict(confidence),
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "end_ids": list(self.end_ids),
            "format": self.format.to_dict(),
            "max_prompt_tokens": self.max_prompt_tokens,
            "max_new_tokens": self.max_new_tokens,
            "seed": self.seed,
            "base": self.base,
        }

    def save(self, folder: Path) -> None:
        """Keep the float model in `folder` as transformers does, and the rest beside it, for :meth:`load`."""
        with quiet_transformers():
            self.model.save_pretrained(folder)
        self.tokeniser.encode_special_tokens = False
        save_tokeniser(self.tokeniser, folder, str(self.tokeniser.id_to_token(self.end_ids[0])))
        facts = {
            **self._settings(),
            "problems": [problem.to_dict() for problem in self.problems],
            "record": self.record,
        }
        text = json.dumps(facts, ensure_ascii=False, indent=1)
        (folder / _STATE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> FittedWriter:
        """Read what :meth:`save` kept.

        Raises
        ------
        ArtefactError
            If it is not there, or cannot be read.
        """
        try:
            facts = json.loads((folder / _STATE).read_text(encoding="utf-8"))
            kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
            auto = AutoModelForSeq2SeqLM if kind in SEQ2SEQ_TYPES else AutoModelForCausalLM
            with quiet_transformers():
                model = auto.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
            return cls(
                model=model.eval(),
                tokeniser=Tokenizer.from_file(str(folder / "tokenizer.json")),
                end_ids=tuple(facts["end_ids"]),
                format=WriteFormat.from_dict(facts["format"]),
                problems=tuple(map(Problem.from_dict, facts["problems"])),
                max_prompt_tokens=facts["max_prompt_tokens"],
                max_new_tokens=facts["max_new_tokens"],
                seed=facts["seed"],
                base=facts["base"],
                record=facts["record"],
            )
        except Exception as error:  # JSON, safetensors and transformers raise what they like
            raise ArtefactError("a trained writer cannot be read", given=f"{folder}: {error}") from error
