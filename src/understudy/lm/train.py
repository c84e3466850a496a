"""The training loop: AdamW on batches, one step after the other, to be read from top to bottom.

The same model, data and settings give the same losses on one machine with one number of threads and processes, to
the last bit on a CPU, whether the run was cut and resumed or not. Where the loop runs, and in how many processes, is
for accelerate to find out (:mod:`understudy.lm.processes`).

Knows sequences and labels, not what the text means. What a batch is trained towards can be replaced
(:data:`~understudy.lm.objective.Objective`); the default predicts the next token.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from understudy.errors import ConfigError, UnderstudyError
from understudy.lm.balance import router_loss, update_bias
from understudy.lm.checkpoint import TrainingState, read_newest, restore, write_checkpoint
from understudy.lm.decoder import expert_blocks, shape_of
from understudy.lm.experts import ExpertBlock
from understudy.lm.failures import explains_memory, explains_writing, kept_words
from understudy.lm.flops import train_flops_per_token
from understudy.lm.load import LayerLoad, gate_drift, layer_load
from understudy.lm.objective import Objective, body_of, next_token_loss
from understudy.lm.pace import Pace, PaceMeter
from understudy.lm.packing import Batches
from understudy.lm.processes import Lesson, add_up, make_accelerator, share_of, whole
from understudy.lm.record import StepRecord, append_record, read_records, write_records
from understudy.lm.settings import TrainSettings
from understudy.training.loop import numeric_scope

__all__ = ["Objective", "Run", "next_token_loss", "train", "validation_loss"]

# Of a model's config: where it came from and in which arithmetic, not what it is.
_PASSING = frozenset({"_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures"})


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


def train(
    model: PreTrainedModel,
    data: Batches,
    settings: TrainSettings,
    folder: Path,
    *,
    valid: Batches | None = None,
    objective: Objective = next_token_loss,
    valid_objective: Objective = next_token_loss,
    start: str | None = None,
    on_step: Callable[[StepRecord, Pace], None] | None = None,
    peak_flops: float | None = None,
    hour_usd: float | None = None,
) -> Run:
    """Train `model` in place, or go on with the run that was begun in `folder`.

    Parameters
    ----------
    model
        Any model of transformers that `objective` understands, or peft's wrapper of one; freshly made the same way
        when a run is resumed. Ends in evaluation mode. Weights that ask for no gradient stay.
    data, valid
        Sequences to train on and to measure with. Every process draws the whole batch and takes its share.
    settings
        See :class:`~understudy.lm.settings.TrainSettings`.
    folder
        ``checkpoints/`` and ``steps.jsonl`` go there.
    objective, valid_objective
        What is minimised, and what is measured on `valid`; see :data:`~understudy.lm.objective.Objective`.
    start
        Names the weights that `model` came with, where they were not drawn: a resumed run must name the same.
    on_step
        Called after each step with its record and pace.
    peak_flops, hour_usd
        For the pace: the processor's peak in operations per second, the machine's price for an hour.

    Raises
    ------
    ConfigError
        If the run in `folder` had other settings, model shape or data, or the processes cannot share a batch.
    ArtefactError
        If its newest checkpoint is damaged.
    UnderstudyError
        If a loss or gradient is not finite, memory does not suffice, or the disk is full. The last checkpoint
        stays as it was.
    """
    accelerator = make_accelerator(settings)
    binding = _binding(model, data, settings, start)
    meter_of = _meter(settings, train_flops_per_token(model, settings.sequence_tokens), peak_flops, hour_usd)
    if settings.is_compiled:
        body_of(model).compile()
    lesson, optimiser = accelerator.prepare(Lesson(model, objective), _optimiser(model, settings))
    model = accelerator.unwrap_model(lesson).model
    starts = [whole(block.router.weight.detach()).clone() for block in expert_blocks(model)]
    state = TrainingState(0, 0.0, starts)
    records: list[StepRecord] = []
    checkpoint = read_newest(folder / "checkpoints", binding)
    if checkpoint is not None:
        state = restore(checkpoint, model, optimiser)
        records = read_records(folder, state.step)
    accelerator.wait_for_everyone()  # before the first of them writes
    n_steps, is_writer = settings.schedule.n_steps, accelerator.is_main_process
    pace: Pace | None = None
    meter = meter_of(state.seconds)
    if is_writer:
        with explains_writing(folder, checkpoint):
            write_records(folder, records)
    while state.step < n_steps:
        batch = data.batch(state.step, settings.batch_sequences)
        with explains_memory(settings, checkpoint):
            record = _gradients(accelerator, lesson, model, batch, settings, state)
            _check_finite(record, checkpoint)
            _update(model, optimiser, settings, record)
        state.step += 1
        is_last = state.step == n_steps
        if valid is not None and (is_last or state.step % settings.validate_every == 0):
            with explains_memory(settings, checkpoint):
                loss = validation_loss(model, valid, settings, objective=valid_objective)
            record = replace(record, valid_loss=loss)
        records.append(record)
        if is_writer:
            with explains_writing(folder, checkpoint):
                append_record(folder, record)
        pace = meter.read(n_steps - state.step)
        if is_last or state.step % settings.checkpoint_every == 0:
            state.seconds = meter.seconds()
            with explains_writing(folder, checkpoint):
                checkpoint = write_checkpoint(
                    folder / "checkpoints",
                    model,
                    optimiser,
                    state,
                    binding,
                    keep=settings.keep_checkpoints,
                    is_writer=is_writer,
                )
            accelerator.wait_for_everyone()
        if on_step is not None and is_writer:
            on_step(record, pace)
    model.eval()
    assert checkpoint is not None
    return Run(tuple(records), state.seconds, pace, checkpoint)


def _binding(
    model: PreTrainedModel, data: Batches, settings: TrainSettings, start: str | None
) -> dict[str, Any]:
    """Give all that a run must share with the checkpoint that it goes on from."""
    try:
        shape = shape_of(model).to_dict()
    except ConfigError:  # a model of another kind: all that its config says
        shape = {key: value for key, value in model.config.to_dict().items() if key not in _PASSING}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return {
        "settings": settings.binding(),
        "shape": shape,
        "trained_parameters": sum(parameter.numel() for parameter in trained),
        "data": data.fingerprint,
        "order_seed": data.seed,
        "start": start,
    }


def _meter(
    settings: TrainSettings, flops_per_token: int, peak_flops: float | None, hour_usd: float | None
) -> Callable[[float], PaceMeter]:
    """Give what makes the watch, once it is known how long earlier parts of the run took."""

    def make(seconds_before: float) -> PaceMeter:
        return PaceMeter(
            settings.batch_tokens,
            flops_per_token,
            seconds_before=seconds_before,
            peak_flops=peak_flops,
            hour_usd=hour_usd,
        )

    return make


def _gradients(
    accelerator: Accelerator,
    lesson: torch.nn.Module,
    model: PreTrainedModel,
    batch: Any,
    settings: TrainSettings,
    state: TrainingState,
) -> StepRecord:
    """Forward and backward in passes; leaves clipped gradients on the model, and changes nothing else."""
    model.train()
    blocks = expert_blocks(model)
    # Of the whole step, in all processes; counted before the batch moves, so that no one waits for a GPU.
    n_labels, n_sequences = max(batch.n_labels, 1), batch.n_sequences
    n_processes = accelerator.num_processes
    losses, added = [], []
    loads = [torch.zeros(1 + block.router.config.n_experts, device=accelerator.device) for block in blocks]
    share = share_of(batch, accelerator)
    parts = share.split(settings.micro_sequences or share.n_sequences)
    for number, cut in enumerate(parts, 1):
        part = cut.to(accelerator.device)
        is_last = number == len(parts)
        # Gradients of the passes add up where they are; only the last pass sends them around.
        with nullcontext() if is_last else accelerator.no_sync(lesson):
            with numeric_scope(accelerator.device.type, settings.precision):
                loss = lesson(part) / n_labels
            routings = [routing for block in blocks if (routing := block.routing) is not None]
            extra = router_loss(routings, settings.balance)
            total = loss if extra is None else loss + extra * (part.n_sequences / n_sequences)
            # Between processes, gradients are averaged; they are parts of one sum.
            accelerator.backward(total * n_processes if n_processes > 1 else total)
        losses.append(loss.detach())
        added.append((total - loss).detach())
        for block, load in zip(blocks, loads, strict=True):
            _count(block, load)
    norm = whole(accelerator.clip_grad_norm_(lesson.parameters(), settings.clip_norm))
    sums = [torch.stack(losses).double().sum()[None], torch.stack(added).double().sum()[None]]
    # Everything that is known of the step, in one piece: a GPU is waited for once.
    found = add_up(torch.cat([*sums, *(load.double() for load in loads)]), accelerator)
    loss_sum, added_sum, *counts = found.tolist()
    rate = settings.learning_rate * settings.schedule.factor(state.step)
    return StepRecord(state.step + 1, loss_sum, added_sum, float(norm), rate, _loads(blocks, counts, state))


def _count(block: ExpertBlock, load: torch.Tensor) -> None:
    """Add a pass's dropped assignments and those of each expert to `load`, and let the pass's graph go."""
    assert block.routing is not None
    load[0] += block.n_dropped
    load[1:] += block.routing.loads()
    block.routing = None


def _loads(blocks: list[ExpertBlock], counts: list[float], state: TrainingState) -> tuple[LayerLoad, ...]:
    measured, at = [], 0
    for block, start in zip(blocks, state.router_starts, strict=True):
        end = at + 1 + block.router.config.n_experts
        n_dropped, *layer = map(int, counts[at:end])
        cosine = gate_drift(whole(block.router.weight.detach()), start)
        measured.append(layer_load(layer, n_dropped=n_dropped, gate_cosine=cosine))
        at = end
    return tuple(measured)


def _update(
    model: PreTrainedModel, optimiser: torch.optim.Optimizer, settings: TrainSettings, record: StepRecord
) -> None:
    """Move the weights, and the routers' biases where those balance."""
    for group in optimiser.param_groups:
        group["lr"] = record.learning_rate
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    if settings.balance.kind == "bias":
        # Smaller with the learning rate: at the end, steps as large as at the start would only chase the last batch.
        bias_rate = settings.balance.bias_rate * settings.schedule.factor(record.step - 1)
        for block, load in zip(expert_blocks(model), record.loads, strict=True):
            counts = torch.tensor(load.counts, device=block.router.bias.device)
            update_bias(block.router, counts, bias_rate)


def _check_finite(record: StepRecord, checkpoint: Path | None) -> None:
    if record.is_finite:
        return
    raise UnderstudyError(
        "training has diverged: a loss or gradient is not a finite number",
        given=f"step {record.step}: loss {record.loss:g}, gradient norm {record.gradient_norm:g}, "
        f"learning rate {record.learning_rate:g}",
        todo=f"{kept_words(checkpoint)}; train in another folder with a lower learning rate or a longer warm-up",
    )


@torch.no_grad()
def validation_loss(
    model: PreTrainedModel,
    valid: Batches,
    settings: TrainSettings,
    *,
    objective: Objective = next_token_loss,
) -> float:
    """Loss per label (nats for the default) over `validate_sequences` sequences, evenly spaced in `valid`.

    Each process measures all of them, so that each has the same figure to the last bit.
    """
    was_training = model.training
    model.eval()
    n = min(settings.validate_sequences, valid.n_sequences)
    numbers = [at * valid.n_sequences // n for at in range(n)]
    total, n_labels = 0.0, 0
    for cut in valid.take(numbers).split(settings.micro_sequences or settings.batch_sequences):
        part = cut.to(model.device)
        with numeric_scope(model.device.type, settings.precision):
            total += float(objective(model, part))
        n_labels += cut.n_labels
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
