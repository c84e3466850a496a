"""The training loop of decoders: AdamW on packed text, one step after the other, to be read from top to bottom.

The same model, data and settings give the same losses on one machine with one number of threads, to the last
bit on a CPU, whether the run was cut and resumed or not. Where the loop runs (CPU or one GPU) is for accelerate
to find out; several processes at once are refused.

Knows tokens and labels, not what the text means. What a batch is trained towards can be replaced
(:data:`Objective`); the default predicts the next token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.nn import functional
from transformers import PreTrainedModel

from understudy.errors import ConfigError, UnderstudyError
from understudy.lm.balance import router_loss, update_bias
from understudy.lm.checkpoint import TrainingState, read_newest, restore, write_checkpoint
from understudy.lm.decoder import expert_blocks, shape_of
from understudy.lm.load import gate_drift, layer_load
from understudy.lm.pace import Pace, PaceMeter
from understudy.lm.packing import NOTHING, Batches, Pack
from understudy.lm.record import StepRecord, append_record, read_records, write_records
from understudy.lm.settings import TrainSettings
from understudy.training.loop import numeric_scope

__all__ = ["Objective", "Run", "next_token_loss", "train", "validation_loss"]

Objective = Callable[[PreTrainedModel, Pack], torch.Tensor]
"""Loss of a batch, summed over its labelled tokens: the loop divides by their number in the whole step."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes
    ----------
    records
        Of all steps, also those before it was resumed.
    seconds
        Time in the loop, over all its parts.
    pace
        At the end; ``None`` where no step was left to do.
    checkpoint
        The last one.
    """

    records: tuple[StepRecord, ...]
    seconds: float
    pace: Pace | None
    checkpoint: Path


def next_token_loss(model: PreTrainedModel, pack: Pack) -> torch.Tensor:
    """Cross-entropy of the next token in nats, summed over labelled tokens."""
    logits = model(
        input_ids=pack.tokens_BS,
        position_ids=pack.positions_BS,
        attention_mask=pack.attends(),
        use_cache=False,
    ).logits
    flat, labels = logits.float().flatten(0, 1), pack.labels_BS.flatten()
    if pack.weights_BS is None:
        return functional.cross_entropy(flat, labels, ignore_index=NOTHING, reduction="sum")
    each = functional.cross_entropy(flat, labels, ignore_index=NOTHING, reduction="none")
    return (each * pack.weights_BS.flatten()).sum()


def train(
    model: PreTrainedModel,
    data: Batches,
    settings: TrainSettings,
    folder: Path,
    *,
    valid: Batches | None = None,
    objective: Objective = next_token_loss,
    start: str | None = None,
    on_step: Callable[[StepRecord, Pace], None] | None = None,
    peak_flops: float | None = None,
    hour_usd: float | None = None,
) -> Run:
    """Train `model` in place, or go on with the run that was begun in `folder`.

    Parameters
    ----------
    model
        From :mod:`understudy.lm.decoder` or :mod:`understudy.lm.upcycle`, freshly made the same way when a run is
        resumed; ends in evaluation mode.
    data, valid
        Packed text to train on and to measure with.
    settings
        See :class:`~understudy.lm.settings.TrainSettings`.
    folder
        ``checkpoints/`` and ``steps.jsonl`` go there.
    objective
        See :data:`Objective`.
    start
        Names the weights that `model` came with, where they were not drawn: a resumed run must name the same.
    on_step
        Called after each step with its record and pace.
    peak_flops, hour_usd
        For the pace: the processor's peak in operations per second, the machine's price for an hour.

    Raises
    ------
    ConfigError
        If the run in `folder` had other settings, model shape or data, or there are several processes.
    ArtefactError
        If its newest checkpoint is damaged.
    UnderstudyError
        If a loss or gradient is not finite. The last checkpoint stays as it was.
    """
    accelerator = Accelerator()
    if accelerator.num_processes > 1:
        raise ConfigError("this loop trains in one process", given=f"{accelerator.num_processes} processes")
    binding = _binding(model, data, settings, start)
    flops_per_token = shape_of(model).train_flops_per_token(settings.sequence_tokens)
    model, optimiser = accelerator.prepare(model, _optimiser(model, settings))
    starts = [block.router.weight.detach().clone() for block in expert_blocks(model)]
    state = TrainingState(0, 0.0, starts)
    records: list[StepRecord] = []
    checkpoint = read_newest(folder / "checkpoints", binding)
    if checkpoint is not None:
        state = restore(checkpoint, model, optimiser)
        records = read_records(folder, state.step)
    n_steps = settings.schedule.n_steps
    pace: Pace | None = None
    meter = PaceMeter(
        settings.batch_tokens,
        flops_per_token,
        seconds_before=state.seconds,
        peak_flops=peak_flops,
        hour_usd=hour_usd,
    )
    write_records(folder, records)
    while state.step < n_steps:
        batch = data.batch(state.step, settings.batch_sequences).to(accelerator.device)
        record = _gradients(accelerator, model, batch, objective, settings, state)
        _check_finite(record, checkpoint)
        _update(model, optimiser, settings, record)
        state.step += 1
        is_last = state.step == n_steps
        if valid is not None and (is_last or state.step % settings.validate_every == 0):
            record = replace(record, valid_loss=validation_loss(model, valid, settings))
        records.append(record)
        append_record(folder, record)
        pace = meter.read(n_steps - state.step)
        if is_last or state.step % settings.checkpoint_every == 0:
            state.seconds = meter.seconds()
            checkpoint = write_checkpoint(
                folder / "checkpoints", model, optimiser, state, binding, keep=settings.keep_checkpoints
            )
        if on_step is not None:
            on_step(record, pace)
    model.eval()
    assert checkpoint is not None
    return Run(tuple(records), state.seconds, pace, checkpoint)


def _binding(
    model: PreTrainedModel, data: Batches, settings: TrainSettings, start: str | None
) -> dict[str, Any]:
    """Give all that a run must share with the checkpoint that it goes on from."""
    return {
        "settings": settings.binding(),
        "shape": shape_of(model).to_dict(),
        "data": data.fingerprint,
        "order_seed": data.seed,
        "start": start,
    }


def _gradients(
    accelerator: Accelerator,
    model: PreTrainedModel,
    batch: Pack,
    objective: Objective,
    settings: TrainSettings,
    state: TrainingState,
) -> StepRecord:
    """Forward and backward in passes; leaves clipped gradients on the model, and changes nothing else."""
    model.train()
    blocks = expert_blocks(model)
    n_labels, n_sequences = max(batch.n_labels, 1), len(batch.tokens_BS)
    loss, added = 0.0, 0.0
    loads = [torch.zeros(block.router.config.n_experts, dtype=torch.int64) for block in blocks]
    n_dropped = [0] * len(blocks)
    for part in batch.split(settings.micro_sequences or n_sequences):
        with numeric_scope(accelerator.device.type, settings.precision):
            part_loss = objective(model, part) / n_labels
        routings = [routing for block in blocks if (routing := block.routing) is not None]
        extra = router_loss(routings, settings.balance)
        total = part_loss if extra is None else part_loss + extra * (len(part.tokens_BS) / n_sequences)
        accelerator.backward(total)
        loss += float(part_loss.detach())
        added += float((total - part_loss).detach())
        for at, block in enumerate(blocks):
            loads[at] += routings[at].loads().cpu()
            n_dropped[at] += block.n_dropped
            block.routing = None  # lets the graph go
    norm = float(accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm))
    measured = tuple(
        layer_load(counts.tolist(), n_dropped=lost, gate_cosine=gate_drift(block.router.weight, start))
        for block, start, counts, lost in zip(blocks, state.router_starts, loads, n_dropped, strict=True)
    )
    rate = settings.learning_rate * settings.schedule.factor(state.step)
    return StepRecord(state.step + 1, loss, added, norm, rate, measured)


def _update(
    model: PreTrainedModel, optimiser: torch.optim.Optimizer, settings: TrainSettings, record: StepRecord
) -> None:
    """Move the weights, and the routers' biases where those balance."""
    for group in optimiser.param_groups:
        group["lr"] = record.learning_rate
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    if settings.balance.kind == "bias":
        for block, load in zip(expert_blocks(model), record.loads, strict=True):
            counts = torch.tensor(load.counts, device=block.router.bias.device)
            update_bias(block.router, counts, settings.balance.bias_rate)


def _check_finite(record: StepRecord, checkpoint: Path | None) -> None:
    if record.is_finite:
        return
    kept = "no checkpoint was written yet" if checkpoint is None else f"{checkpoint} is kept"
    raise UnderstudyError(
        "training has diverged: a loss or gradient is not a finite number",
        given=f"step {record.step}: loss {record.loss:g}, gradient norm {record.gradient_norm:g}, "
        f"learning rate {record.learning_rate:g}",
        todo=f"{kept}; train in another folder with a lower learning rate or a longer warm-up",
    )


@torch.no_grad()
def validation_loss(model: PreTrainedModel, valid: Batches, settings: TrainSettings) -> float:
    """Cross-entropy per token in nats over `validate_sequences` sequences, evenly spaced in `valid`."""
    was_training = model.training
    model.eval()
    n = min(settings.validate_sequences, valid.n_sequences)
    numbers = [at * valid.n_sequences // n for at in range(n)]
    total, n_labels = 0.0, 0
    for part in (
        valid.take(numbers).to(model.device).split(settings.micro_sequences or settings.batch_sequences)
    ):
        with numeric_scope(model.device.type, settings.precision):
            total += float(next_token_loss(model, part))
        n_labels += part.n_labels
    model.train(was_training)
    return total / max(n_labels, 1)


def _optimiser(model: PreTrainedModel, settings: TrainSettings) -> torch.optim.Optimizer:
    # Norms and other vectors are not decayed, as is the custom since GPT-2's reproductions.
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in trained if one.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [one for one in trained if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)
