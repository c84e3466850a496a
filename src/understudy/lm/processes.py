"""One to many processes that train one model: each takes its share of a step's sequences, and they add up.

Everything that the processes must agree on is either a function of the step (the batch, its number of labels, the
learning rate) or added up over them (gradients, losses, the load of experts), so that all decide alike and nothing
else is sent around. accelerate wraps the model: DDP, or FSDP 2, where weights and averages lie in pieces
(DTensors); the helpers here put such pieces together and cut them again.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel

from understudy.errors import ConfigError
from understudy.lm.objective import Objective
from understudy.lm.settings import TrainSettings

__all__ = [
    "Lesson",
    "add_up",
    "check_shares",
    "is_sharded",
    "make_accelerator",
    "pieces_like",
    "processes",
    "share_of",
    "whole",
]


class Lesson(torch.nn.Module):
    """A model with what it is trained towards: this is what accelerate wraps.

    DDP and FSDP exchange weights and gradients around the call of what they wrap. With the objective inside, it may
    call any part of the model.
    """

    def __init__(self, model: PreTrainedModel, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self._objective = (
            objective,
        )  # in a tuple, lest a module in it (a teacher) be taken for a part to train
        self._no_split_modules = getattr(
            model, "_no_split_modules", None
        )  # FSDP wraps each of these by itself

    def forward(self, batch: Any) -> torch.Tensor:
        """Give the loss of a batch, summed over its labelled tokens."""
        return self._objective[0](self.model, batch)


def processes() -> PartialState:
    """Join the other processes, where there are any, and say which one this is.

    Raises
    ------
    ConfigError
        If there are several, and accelerate does not see them.
    """
    here = PartialState(cpu=_runs_on_cpus())
    promised = int(os.environ.get("WORLD_SIZE", "1"))
    if promised != here.num_processes:
        raise ConfigError(
            "accelerate does not see the other processes",
            given=f"WORLD_SIZE = {promised}, found {here.num_processes}",
            todo="start them by --processes, torchrun or accelerate launch",
        )
    return here


def _runs_on_cpus() -> bool:
    """Left alone, accelerate joins several processes on GPUs only; on a CPU each would train for itself."""
    is_alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    return not is_alone and (not torch.accelerator.is_available() or torch.backends.mps.is_available())


def make_accelerator(settings: TrainSettings) -> Accelerator:
    """Find out where the loop runs, and in how many processes.

    Raises
    ------
    ConfigError
        If the sequences of a step cannot be shared evenly, or the processes share weights by FSDP 1.
    """
    processes()
    accelerator = Accelerator(cpu=_runs_on_cpus())
    check_shares(settings.batch_sequences, accelerator.num_processes)
    if str(accelerator.distributed_type) == "DistributedType.FSDP" and not accelerator.is_fsdp2:
        raise ConfigError(
            "of FSDP, version 2 is understood",
            given="FSDP version 1",
            todo="set fsdp_version: 2 in accelerate's config, or --fsdp_version 2",
        )
    return accelerator


def check_shares(batch_sequences: int, count: int) -> None:
    """Refuse a step that `count` processes cannot share evenly.

    Raises
    ------
    ConfigError
        It names the next batch that they can.
    """
    if batch_sequences % count:
        raise ConfigError(
            "the sequences of a step cannot be shared evenly between the processes",
            given=f"batch_sequences = {batch_sequences}, {count} processes",
            todo=f"give a multiple of {count} (--batch {-(-batch_sequences // count) * count})",
        )


def share_of(batch: Any, accelerator: Accelerator) -> Any:
    """Give this process's sequences of a batch whose number of sequences all processes divide."""
    if accelerator.num_processes == 1:
        return batch
    return batch.split(batch.n_sequences // accelerator.num_processes)[accelerator.process_index]


def add_up(values: torch.Tensor, accelerator: Accelerator) -> torch.Tensor:
    """Add `values` up over the processes; all get the sum."""
    if accelerator.num_processes == 1:
        return values
    total: torch.Tensor = accelerator.reduce(values, reduction="sum")
    return total


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether the weights lie in pieces."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Put a tensor together that may lie in pieces; all processes must ask at once."""
    if isinstance(tensor, DTensor):
        full: torch.Tensor = tensor.full_tensor()
        return full
    return tensor


def pieces_like(tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Cut a tensor into pieces where `other`, of the same shape, lies in pieces."""
    if not isinstance(other, DTensor) or tensor.shape != other.shape:
        return tensor
    pieces: torch.Tensor = distribute_tensor(
        tensor.to(other.device), device_mesh=other.device_mesh, placements=other.placements
    )
    return pieces
