"""A writer small enough that an answer takes milliseconds: random weights, a byte-level tokeniser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from lm.tiny_decoder import DENSE
from understudy.calls.call import ABSENT
from understudy.export.decoder import export_decoder
from understudy.lm.decoder import build_decoder
from understudy.runtime.component import write_component_file
from understudy.runtime.writing import WriteFormat
from understudy.task.field import Field
from understudy.task.problem import Problem

END = 0
TEXT = Problem(Field("answer", "text"), "write")
PLACES = ("north", "south", None, True, 2.5)
RECORD = (
    Problem(Field("place", "choice", PLACES, nullable=True), "classify", PLACES),
    Problem(Field("topics", "choices", ("a", "bé")), "multilabel", ("a", "bé")),
    Problem(Field("order.code", "span", nullable=True, optional=True), "point", (None, ABSENT)),
    Problem(Field("amount", "number"), "regress"),
    Problem(Field("note", "text", optional=True), "write", (ABSENT,)),
)


def byte_tokeniser() -> Tokenizer:
    """All bytes, a few merges, and the end token with id 0."""
    tokeniser = Tokenizer(models.BPE())
    tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokeniser.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<end>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokeniser.train_from_iterator(['{"place":"north","topics":["a"]} the order from the south'] * 3, trainer)
    return tokeniser


def write_tiny_writer(
    folder: Path, problems: Sequence[Problem], *, sharpness: float = 10.0, **settings: Any
) -> Path:
    """Export a writer; `sharpness` scales its random weights, `settings` go to ``component.json``."""
    tokeniser = byte_tokeniser()
    shape = replace(DENSE, vocab_size=tokeniser.get_vocab_size() + 4, context_tokens=160)
    model = build_decoder(shape, seed=2).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.mul_(sharpness)
    tokeniser.save(str(folder / "tokenizer.json"))
    given = {
        "engine": export_decoder(model, folder, precision="float32"),
        "tokenizer": "tokenizer.json",
        "end_ids": [END],
        "format": WriteFormat(is_plain=problems[0] is TEXT).to_dict(),
        "max_prompt_tokens": 60,
        "max_new_tokens": 90,
        "confidence": {"kind": "mean_logprob", "samples": 2, "temperature": 1.0},
        "seed": 0,
    }
    write_component_file(folder, "writer", problems, **{**given, **settings})
    return folder
