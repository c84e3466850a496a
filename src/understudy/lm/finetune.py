"""Trains a writer on prompts and answers, from scratch or from a base, and returns it ready to be exported.

Puts the parts of this package in order: rows (``answers``), sizes and steps (``writer_recipe``), base (``base_model``,
``adapters``), the loop (``train``), the best step (``best``).
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from understudy.calls.call import InputParts
from understudy.errors import ConfigError, DataError
from understudy.lm.adapters import Tuning, load_for_tuning, merged
from understudy.lm.answers import TextRow, TokenBudget, is_plain_text, text_rows, token_budget, token_rows
from understudy.lm.base_model import BaseModel, resolve_base_model
from understudy.lm.best import BestWeights
from understudy.lm.decoder import build_decoder
from understudy.lm.fitted_writer import FittedWriter
from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.seq2seq import PromptBatches, answer_loss
from understudy.lm.tokeniser import end_id, train_tokeniser
from understudy.lm.train import train
from understudy.lm.writer_recipe import (
    WriterPlan,
    base_plan,
    scratch_plan,
    scratch_shape,
    scratch_vocabulary,
)
from understudy.runtime.constraint import JsonConstraint
from understudy.runtime.writing import WriteFormat
from understudy.training.target_arrays import FieldTargets

__all__ = ["FinetuneSettings", "fit_writer"]

_HELD_SHARE, _LEAST_FOR_HOLDING = 0.05, 100
_MOST_HELD = 256


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """How a writer is trained.

    Attributes
    ----------
    base
        Hub id or folder; ``None``: from scratch.
    tuning, lora_rank
        What is trained of a base; see :func:`understudy.lm.adapters.load_for_tuning`.
    instructions
        What the task's prompt says beside the input, for a base that reads; ``None``: nothing.
    vocab_size
        Tokens of a tokenizer from scratch; ``None``: by the text.
    steps, learning_rate
        ``None``: by the data (``writer_recipe``).
    max_prompt_tokens, max_new_tokens
        Caps; the lengths in the data may ask for less.
    rationale_weight
        Of reasons beside answers, where there are any.
    seed
        Of weights, order and adapters.
    """

    base: str | None = None
    tuning: Tuning = "full"
    lora_rank: int = 16
    instructions: str | None = None
    vocab_size: int | None = None
    steps: int | None = None
    learning_rate: float | None = None
    max_prompt_tokens: int = 1024
    max_new_tokens: int = 512
    rationale_weight: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tuning not in ("full", "lora", "qlora"):
            raise ConfigError("tuning must be full, lora or qlora", given=f"tuning = {self.tuning!r}")
        if self.base is None and self.tuning != "full":
            raise ConfigError(
                f"tuning = {self.tuning} needs a base: adapters change one, and from scratch there is none",
                todo="name a base, or use tuning = full",
            )
        for name in ("lora_rank", "max_prompt_tokens", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more", given=f"{name} = {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class _Start:
    """The model before training, and how it is spoken to."""

    model: Any
    tokeniser: Tokenizer
    end_ids: tuple[int, ...]
    format: WriteFormat
    budget: TokenBudget
    base: BaseModel | None


def fit_writer(
    inputs: Sequence[InputParts],
    targets: Sequence[FieldTargets],
    settings: FinetuneSettings,
    *,
    sample_weight: npt.NDArray[np.float64] | None = None,
    rationales: Sequence[str | None] | None = None,
    on_progress: Callable[[int, int, float], None] | None = None,
    checkpoint: Path | None = None,
) -> FittedWriter:
    """Train a writer; the same data and settings give the same one on one machine.

    About one row in twenty is held out where there are 100 or more: of the steps at which those are measured, the
    best ships.

    Parameters
    ----------
    inputs, targets
        `n` inputs, and one target per field.
    settings
        See :class:`FinetuneSettings`.
    sample_weight
        Of each row, shape (n,), at least 0.
    rationales
        The teacher's reason per row, where there is one.
    on_progress
        Called with step, steps and loss.
    checkpoint
        Folder that a killed training resumes from; removed at the end. ``None``: a temporary one.

    Raises
    ------
    DataError
        If there is nothing to learn, or no answer is short enough.
    ArtefactError
        If no answer in JSON can be written with the base's tokeniser.
    ConfigError
        If the base cannot be used, or `checkpoint` is of a run with other settings.
    UnderstudyError
        If training diverges, or memory does not suffice.
    """
    form = WriteFormat(is_plain=is_plain_text([target.problem for target in targets]))
    texts = text_rows(inputs, targets, form, sample_weight=sample_weight, rationales=rationales)
    start = (
        _from_scratch(texts, form, settings) if settings.base is None else _from_base(texts, form, settings)
    )
    if not form.is_plain:
        # Raises where no answer could be held to its form: better now than after training.
        problems, size = [target.problem for target in targets], start.tokeniser.get_vocab_size()
        JsonConstraint(start.tokeniser, problems, vocab_size=size, end_ids=start.end_ids)
    some, others = _hold_out(texts, settings.seed)
    learnt, held = _encoded(some, start, settings), _encoded(others, start, settings)
    if not learnt:
        raise DataError(
            "no answer is short enough to learn",
            given=f"max_new_tokens = {settings.max_new_tokens}",
            todo="raise max_new_tokens",
        )
    plan = _plan(learnt, start, settings)
    with _folder(checkpoint) as folder, torch.random.fork_rng():
        torch.manual_seed(settings.seed)  # a base may drop out
        record = _train(start, learnt, held, plan, settings, folder, on_progress)
    model = start.model
    if start.base is not None:
        model = merged(model, start.base, settings.tuning, rank=settings.lora_rank)
    return FittedWriter(
        model=model.to("cpu").eval(),
        tokeniser=start.tokeniser,
        end_ids=start.end_ids,
        format=start.format,
        problems=tuple(target.problem for target in targets),
        max_prompt_tokens=start.budget.prompt,
        max_new_tokens=start.budget.answer,
        seed=settings.seed,
        base=None if start.base is None else {**start.base.provenance(), "tuning": settings.tuning},
        record=record
        | {"n_cut_prompts": start.budget.n_cut_prompts, "n_dropped_answers": start.budget.n_dropped_answers},
    )


def _from_scratch(texts: list[TextRow], form: WriteFormat, settings: FinetuneSettings) -> _Start:
    written = [text for row in texts for text in (*row.parts, row.answer)]
    n_bytes = sum(len(text.encode()) for text in written)
    vocab_size = settings.vocab_size or scratch_vocabulary(n_bytes)
    tokeniser = train_tokeniser(written, vocab_size=vocab_size)
    end = end_id(tokeniser)
    budget = token_budget(
        texts, tokeniser, form, most_prompt=settings.max_prompt_tokens, most_answer=settings.max_new_tokens
    )
    shape = scratch_shape(tokeniser.get_vocab_size(), budget.n_answer_tokens, budget.context)
    model = build_decoder(shape, seed=settings.seed, end_token=end)
    return _Start(model, tokeniser, (end,), form, budget, None)


def _from_base(texts: list[TextRow], form: WriteFormat, settings: FinetuneSettings) -> _Start:
    assert settings.base is not None
    base = resolve_base_model(settings.base)
    theirs = base.tokeniser()
    words = base.format(theirs, instructions=settings.instructions, is_plain=form.is_plain)
    tokeniser: Tokenizer = theirs.backend_tokenizer
    tokeniser.no_padding()
    tokeniser.no_truncation()
    ends = base.end_ids(theirs)
    budget = token_budget(
        texts,
        tokeniser,
        words,
        most_prompt=settings.max_prompt_tokens,
        most_answer=settings.max_new_tokens,
        context=base.context_tokens,
    )
    model = load_for_tuning(base, settings.tuning, rank=settings.lora_rank, seed=settings.seed)
    return _Start(model, tokeniser, ends, words, budget, base)


def _hold_out(texts: list[TextRow], seed: int) -> tuple[list[TextRow], list[TextRow]]:
    """Rows to learn, and answers to measure with; equal inputs are on one side."""
    inputs = list(dict.fromkeys(row.parts for row in texts))
    if len(inputs) < _LEAST_FOR_HOLDING:
        return texts, []
    count = min(round(_HELD_SHARE * len(inputs)), _MOST_HELD)
    apart = {inputs[int(at)] for at in np.random.default_rng(seed).permutation(len(inputs))[:count]}
    held = [row for row in texts if row.parts in apart and not row.is_reason]
    return [row for row in texts if row.parts not in apart], held


def _encoded(texts: list[TextRow], start: _Start, settings: FinetuneSettings) -> list[TokenRow]:
    weight, end = settings.rationale_weight, start.end_ids[0]
    return token_rows(texts, start.tokeniser, start.format, start.budget, end, rationale_weight=weight)


def _plan(rows: list[TokenRow], start: _Start, settings: FinetuneSettings) -> WriterPlan:
    lengths = [len(row) for row in rows]
    if start.base is None:
        return scratch_plan(
            lengths,
            n_parameters=sum(one.numel() for one in start.model.parameters()),
            learning_rate=settings.learning_rate,
            steps=settings.steps,
            seed=settings.seed,
        )
    return base_plan(
        lengths,
        is_full=settings.tuning == "full",
        is_packed=not start.base.is_seq2seq,
        learning_rate=settings.learning_rate,
        steps=settings.steps,
        seed=settings.seed,
    )


def _train(
    start: _Start,
    learnt: list[TokenRow],
    held: list[TokenRow],
    plan: WriterPlan,
    settings: FinetuneSettings,
    folder: Path,
    on_progress: Callable[[int, int, float], None] | None,
) -> dict[str, Any]:
    n_steps = plan.settings.schedule.n_steps
    best = BestWeights(
        start.model,
        folder / "best",
        None if on_progress is None else lambda step, loss: on_progress(step, n_steps, loss),
    )
    words: dict[str, Any] = (
        {"objective": answer_loss, "valid_objective": answer_loss} if _is_seq2seq(start) else {}
    )
    run = train(
        start.model,
        _batches(learnt, start, plan),
        plan.settings,
        folder,
        valid=_batches(held, start, plan) if held else None,
        start=_named(start, settings),
        on_step=best,
        **words,
    )
    if held:
        best.put_back()
    return {
        "steps": n_steps,
        "epochs": plan.epochs,
        "n_rows": len(learnt),
        "n_held": len(held),
        "n_answer_tokens": sum(len(row.answer) for row in learnt),
        "trained_parameters": sum(one.numel() for one in start.model.parameters() if one.requires_grad),
        "first_loss": run.records[0].loss,
        "last_loss": run.records[-1].loss,
        "held_loss": best.loss if held else None,
        "best_step": best.step if held else n_steps,
        "seconds": run.seconds,
    }


def _is_seq2seq(start: _Start) -> bool:
    return start.base is not None and start.base.is_seq2seq


def _batches(rows: list[TokenRow], start: _Start, plan: WriterPlan) -> Any:
    pad, seed = start.end_ids[0], plan.settings.seed
    if _is_seq2seq(start):
        return PromptBatches(rows, pad_id=pad, seed=seed)
    longest = max(plan.settings.sequence_tokens, *map(len, rows))
    return RowBatches(rows, sequence_tokens=longest, pad_id=pad, seed=seed)


def _named(start: _Start, settings: FinetuneSettings) -> str | None:
    """Name the weights that training starts from, so that no other run is resumed."""
    if start.base is None:
        return hashlib.sha256(start.tokeniser.to_str().encode()).hexdigest()
    return f"{start.base.weights_sha256} {settings.tuning} {settings.lora_rank}"


@contextmanager
def _folder(checkpoint: Path | None) -> Iterator[Path]:
    if checkpoint is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
        return
    yield checkpoint
    shutil.rmtree(checkpoint, ignore_errors=True)
