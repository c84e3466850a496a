"""One training job from a shape to a folder that transformers loads, and what it came to, as plain facts.

Puts the parts of this package in order; knows no options of a command line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from understudy.errors import ConfigError
from understudy.lm.checkpoint import weights_digest
from understudy.lm.config import DecoderConfig
from understudy.lm.corpus import Corpus
from understudy.lm.decoder import build_decoder, load_decoder, quiet_transformers
from understudy.lm.failures import explains_writing
from understudy.lm.load import LayerLoad, layer_load
from understudy.lm.pace import Pace
from understudy.lm.processes import processes
from understudy.lm.record import StepRecord
from understudy.lm.settings import TrainSettings
from understudy.lm.tokeniser import end_id, save_tokeniser
from understudy.lm.train import Run, train

__all__ = ["Job", "compare_shapes", "run_job"]

# float32 weights, gradients, and AdamW's two averages.
_TRAINING_BYTES_PER_PARAMETER = 16


@dataclass(frozen=True, slots=True)
class Job:
    """What to train.

    Attributes
    ----------
    shape
        The decoder; its vocabulary is at least that of the corpus.
    settings
        Of the loop.
    model_seed
        Of the weights drawn.
    start
        Folder of the model whose weights it starts with, instead of drawing them; `shape` is that model's.
    peak_flops, hour_usd
        For shares of the peak and costs; ``None`` leaves those unknown.
    """

    shape: DecoderConfig
    settings: TrainSettings
    model_seed: int = 0
    start: Path | None = None
    peak_flops: float | None = None
    hour_usd: float | None = None


def run_job(
    job: Job, corpus: Corpus, folder: Path, *, on_step: Callable[[StepRecord, Pace], None] | None = None
) -> dict[str, Any]:
    """Train, or go on with what a cut run left in `folder`; write ``model/`` there; return what it came to.

    Raises
    ------
    ConfigError, ArtefactError, UnderstudyError
        As :func:`~understudy.lm.train.train`.
    """
    n_tokens = corpus.tokeniser.get_vocab_size()
    if n_tokens > job.shape.vocab_size:
        raise ConfigError(
            "the tokenizer knows more tokens than the model",
            given=f"tokenizer {n_tokens:,}, vocab_size = {job.shape.vocab_size:,}",
        )
    data, valid = corpus.packed(job.settings.sequence_tokens, job.settings.seed)
    run = train(
        _first_model(job, corpus),
        data,
        job.settings,
        folder,
        valid=valid,
        start=None if job.start is None else weights_digest(job.start),
        on_step=on_step,
        peak_flops=job.peak_flops,
        hour_usd=job.hour_usd,
    )
    here = processes()
    if here.is_main_process:
        with quiet_transformers(), explains_writing(folder, run.checkpoint):
            load_decoder(run.checkpoint).save_pretrained(folder / "model")
            save_tokeniser(corpus.tokeniser, folder / "model", corpus.end)
    here.wait_for_everyone()
    return _facts(job, run, folder)


def _first_model(job: Job, corpus: Corpus) -> PreTrainedModel:
    if job.start is not None:
        return load_decoder(job.start)
    end = end_id(corpus.tokeniser, corpus.end)
    return build_decoder(job.shape, seed=job.model_seed, end_token=end)


def _facts(job: Job, run: Run, folder: Path) -> dict[str, Any]:
    last, n_steps = run.records[-1], len(run.records)
    n_parameters = job.shape.n_parameters()
    return {
        "model": str(folder / "model"),
        "checkpoint": str(run.checkpoint),
        "shape": job.shape.to_dict(),
        "parameters": n_parameters,
        "active_parameters": job.shape.n_parameters(is_active_only=True),
        "train_flops_per_token": job.shape.train_flops_per_token(job.settings.sequence_tokens),
        "training_bytes": n_parameters * _TRAINING_BYTES_PER_PARAMETER,
        "steps": n_steps,
        "tokens": n_steps * job.settings.batch_tokens,
        "first_loss": run.records[0].loss,
        "last_loss": last.loss,
        "valid_loss": last.valid_loss,
        "loads": [load.to_dict() for load in last.loads],
        "end_loads": [load.to_dict() for load in _end_loads(run.records)],
        "seconds": run.seconds,
        "tokens_per_second": n_steps * job.settings.batch_tokens / run.seconds,
        "flops_share": None if run.pace is None else run.pace.flops_share,
        "cost_usd": None if job.hour_usd is None else run.seconds / 3600 * job.hour_usd,
    }


def _end_loads(records: Sequence[StepRecord]) -> list[LayerLoad]:
    """Loads of each layer over the last tenth of the steps: one batch of a small run is mostly chance."""
    ending = records[-max(1, len(records) // 10) :]
    found = []
    for layers in zip(*(record.loads for record in ending), strict=True):
        counts = [sum(each) for each in zip(*(layer.counts for layer in layers), strict=True)]
        n_dropped = sum(layer.n_dropped for layer in layers)
        found.append(layer_load(counts, n_dropped=n_dropped, gate_cosine=layers[-1].gate_cosine))
    return found


def compare_shapes(shape: DecoderConfig) -> dict[str, DecoderConfig]:
    """Give a mixture and its dense twins by name: with as many active parameters, and as many in all."""
    return {
        "mixture": shape,
        "dense, equal active": shape.dense_twin("active"),
        "dense, equal total": shape.dense_twin("total"),
    }
