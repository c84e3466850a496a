"""One distillation from a teacher and a log to a folder that transformers loads, and what it came to, as plain facts.

Puts the parts in order; knows no options of a command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

from understudy.errors import ArtefactError, ConfigError
from understudy.lm.checkpoint import weights_digest
from understudy.lm.config import DecoderConfig
from understudy.lm.corpus import CorpusSettings, prepare_corpus
from understudy.lm.decoder import build_decoder, load_decoder, quiet_transformers, shape_of
from understudy.lm.distil import DIVERGENCES, OTHER_TOKENS, Distillation, state_objective, told_objective
from understudy.lm.distil_data import read_pairs, read_told_pairs, rows_from
from understudy.lm.distil_on_policy import on_policy_objective
from understudy.lm.distil_other_tokens import OtherTeacher, has_same_tokens, other_tokens_objective
from understudy.lm.pace import Pace
from understudy.lm.packing import Batches
from understudy.lm.record import StepRecord
from understudy.lm.rows import RowBatches
from understudy.lm.settings import TrainSettings
from understudy.lm.teacher_states import TeacherStates
from understudy.lm.tokeniser import END, end_id, read_tokeniser, save_tokeniser, train_tokeniser
from understudy.lm.train import Objective, next_token_loss, train, validation_loss

__all__ = ["DistilJob", "run_distil"]

_TOKENISER_PAIRS = 20_000


@dataclass(frozen=True, slots=True)
class DistilJob:
    """What to distil.

    Attributes
    ----------
    how
        The loss.
    settings
        Of the loop.
    shape
        The student's, where it is drawn; its vocabulary is set to the tokeniser's.
    student
        Folder of the model that it starts from, tokenizer included; ``None`` draws one.
    teacher
        Folder of a causal model of transformers' with its tokenizer; ``None`` where the log is teacher enough.
    calls
        Logs to learn from; empty: running text.
    texts
        Folder of running text; ``None``: Python's standard library.
    tokeniser
        Folder of the student's tokenizer, or ``own`` to learn one from the answers; ``None``: the student's, else
        the teacher's, else its own.
    """

    how: Distillation
    settings: TrainSettings
    shape: DecoderConfig
    student: Path | None = None
    teacher: Path | None = None
    calls: tuple[Path, ...] = ()
    texts: Path | None = None
    tokeniser: str | None = None


@dataclass(frozen=True, slots=True)
class _Teacher:
    model: PreTrainedModel
    tokeniser: Tokenizer
    end: int


def run_distil(
    job: DistilJob, folder: Path, *, on_step: Callable[[StepRecord, Pace], None] | None = None
) -> dict[str, Any]:
    """Distil, or go on with what a cut run left in `folder`; write ``model/`` there; return what it came to.

    Raises
    ------
    ConfigError
        If the loss does not fit what is given: no teacher, or another tokeniser.
    DataError, ArtefactError, UnderstudyError
        As :func:`~understudy.lm.distil_data.rows_from` and :func:`~understudy.lm.train.train`.
    """
    _check(job)
    teacher = None if job.teacher is None else _load_teacher(job.teacher)
    tokeniser, end = _tokeniser_of(job)
    end_number = end_id(tokeniser, end)
    is_same = teacher is not None and has_same_tokens(teacher.tokeniser, tokeniser)
    if job.how.loss in (*DIVERGENCES, "on_policy") and not is_same:
        raise ConfigError(
            f"the loss {job.how.loss} compares token by token, and teacher and student have other tokens",
            given=f"{len(tokeniser.get_vocab()):,} tokens of the student's, not the same as the teacher's",
            todo=f"leave --tokenizer out, or use --loss {', '.join(OTHER_TOKENS)} or sequence",
        )
    model = _student(job, tokeniser, end_number, teacher if is_same else None)
    _check_student(job, model, tokeniser, teacher)
    train_data, valid, told = _data(job, folder, tokeniser, end_number)
    run = train(
        model,
        train_data,
        job.settings,
        folder,
        valid=valid,
        objective=_objective(job.how, teacher, told, tokeniser, end_number),
        start=_start_of(job),
        on_step=on_step,
    )
    with quiet_transformers():
        load_decoder(run.checkpoint).save_pretrained(folder / "model")
    save_tokeniser(tokeniser, folder / "model", end)
    return {
        "model": str(folder / "model"),
        "loss": job.how.loss,
        "parameters": shape_of(model).n_parameters(),
        "teacher_parameters": None if teacher is None else teacher.model.num_parameters(),
        "steps": len(run.records),
        "first_loss": run.records[0].loss,
        "last_loss": run.records[-1].loss,
        "valid_loss": run.records[-1].valid_loss,
        "teacher_valid_loss": validation_loss(teacher.model, valid, job.settings)
        if teacher is not None and is_same
        else None,
        "seconds": run.seconds,
    }


def _start_of(job: DistilJob) -> str:
    """Name everything beside the settings that a resumed run must share: the loss, and both models' weights."""
    names: dict[str, Any] = {"how": asdict(job.how)}
    for side, folder in (("student", job.student), ("teacher", job.teacher)):
        names[side] = None if folder is None else weights_digest(folder)
    return json.dumps(names, sort_keys=True)


def _check(job: DistilJob) -> None:
    needs_teacher = job.how.loss in (*DIVERGENCES, *OTHER_TOKENS, "on_policy")
    if needs_teacher and job.teacher is None:
        raise ConfigError(
            f"the loss {job.how.loss} asks a teacher",
            todo="give --teacher FOLDER, or use --loss top_k or sequence, which take a log",
        )
    if job.how.loss in ("top_k", "on_policy", *OTHER_TOKENS) and not job.calls:
        raise ConfigError(
            f"the loss {job.how.loss} needs prompts and answers", todo="give --calls LOG, not running text"
        )
    if not job.calls and job.tokeniser == "own":
        raise ConfigError(
            "a tokenizer of its own is learnt from answers", todo="give --calls LOG, or a tokenizer's folder"
        )
    if not job.calls and job.teacher is None and job.student is None:
        raise ConfigError(
            "there is neither a teacher nor a log to learn from",
            todo="give --teacher FOLDER or --calls LOG; without either it is `understudy lm train`",
        )


def _check_student(
    job: DistilJob, model: PreTrainedModel, tokeniser: Tokenizer, teacher: _Teacher | None
) -> None:
    """Check a student's own size against the tokens, the teacher's scores and the sequences."""
    size, longest = model.config.vocab_size, model.config.max_position_embeddings
    if tokeniser.get_vocab_size() > size:
        raise ConfigError(
            "the tokenizer knows more tokens than the student",
            given=f"tokenizer {tokeniser.get_vocab_size():,}, vocab_size = {size:,}",
            todo="leave --tokenizer out: a student that is given brings its own",
        )
    compares = job.how.loss in (*DIVERGENCES, "on_policy")
    if compares and teacher is not None and teacher.model.config.vocab_size != size:
        raise ConfigError(
            f"the loss {job.how.loss} compares score by score, and one model has more rows of scores",
            given=f"vocab_size = {size:,} of the student's, {teacher.model.config.vocab_size:,} of the teacher's",
            todo=f"leave --student out, or use --loss {', '.join(OTHER_TOKENS)} or sequence",
        )
    if job.settings.sequence_tokens > longest:
        raise ConfigError(
            f"--sequence must be at most {longest}, the student's longest",
            given=f"--sequence {job.settings.sequence_tokens}",
        )


def _load_teacher(folder: Path) -> _Teacher:
    if not (folder / "config.json").is_file():
        raise ConfigError(
            "this folder holds no teacher",
            given=str(folder),
            todo="it needs config.json, model.safetensors and a tokenizer",
        )
    tokeniser, end = read_tokeniser(folder)
    try:
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    except Exception as error:  # safetensors, JSON and transformers raise what they like
        raise ArtefactError("the teacher cannot be read", given=f"{folder}: {error}") from error
    return _Teacher(model.eval().requires_grad_(False), tokeniser, end_id(tokeniser, end))


def _tokeniser_of(job: DistilJob) -> tuple[Tokenizer, str]:
    if job.tokeniser not in (None, "own"):
        return read_tokeniser(Path(str(job.tokeniser)))
    if job.tokeniser is None and (job.student or job.teacher):
        return read_tokeniser(job.student or job.teacher or Path())
    if job.student is not None:
        raise ConfigError("a student that is given has its tokenizer", todo="leave --tokenizer out")
    pairs = read_pairs(job.calls)[:_TOKENISER_PAIRS]
    texts = (text for pair in pairs for text in (*pair.parts, pair.answer))
    return train_tokeniser(texts, vocab_size=job.shape.vocab_size), END


def _student(job: DistilJob, tokeniser: Tokenizer, end: int, teacher: _Teacher | None) -> PreTrainedModel:
    if job.student is not None:
        return load_decoder(job.student)
    # A teacher may have more rows than its tokenizer has tokens; the student's scores must stand beside its.
    size = max(tokeniser.get_vocab_size(), 0 if teacher is None else teacher.model.config.vocab_size)
    return build_decoder(replace(job.shape, vocab_size=size), seed=job.settings.seed, end_token=end)


def _data(
    job: DistilJob, folder: Path, tokeniser: Tokenizer, end_number: int
) -> tuple[Batches, Batches, dict[Any, Any]]:
    settings = job.settings
    if not job.calls:
        source = Path(job.tokeniser) if job.tokeniser else job.student or job.teacher
        corpus = prepare_corpus(
            folder / "text",
            CorpusSettings(
                texts=None if job.texts is None else str(job.texts),
                train_tokens=settings.schedule.n_steps * settings.batch_tokens,
                seed=settings.seed,
                tokeniser=str(source),
            ),
        )
        return *corpus.packed(settings.sequence_tokens, settings.seed), {}
    if job.how.loss == "top_k":
        pairs, told = read_told_pairs(job.calls, tokeniser, end_number)
    else:
        pairs, told = read_pairs(job.calls), []
    rows = rows_from(
        pairs,
        tokeniser,
        end_number,
        sequence_tokens=settings.sequence_tokens,
        seed=settings.seed,
        told=told,
    )
    train_data, valid = (
        RowBatches(part, sequence_tokens=settings.sequence_tokens, pad_id=end_number, seed=settings.seed)
        for part in (rows.train, rows.valid)
    )
    return train_data, valid, rows.told


def _objective(
    how: Distillation, teacher: _Teacher | None, told: dict[Any, Any], tokeniser: Tokenizer, end: int
) -> Objective:
    if how.loss == "sequence":
        return next_token_loss
    if how.loss == "top_k":
        return told_objective(how, told)
    assert teacher is not None  # checked before anything was read
    if how.loss == "on_policy":
        return on_policy_objective(how, teacher.model, end_id=end)
    if how.loss in OTHER_TOKENS:
        other = OtherTeacher(teacher.model, teacher.tokeniser, teacher.end, tokeniser, end)
        return other_tokens_objective(how, other)
    return state_objective(how, TeacherStates(teacher.model))
