"""Checkpoints from which a run goes on as if it had never stopped.

One folder per checkpoint: the model as transformers writes it, so that it can also be used as it is;
``training.safetensors`` with the optimiser's averages, the random state and the routers as they were at the
start; and ``checkpoint.json`` with the step, the settings and the hash of every other file. It is written under a
temporary name and renamed, so that a kill leaves no half checkpoint under a good name. There is no pickle.

The place in the data is the number of steps done: batches are functions of their number.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, load_model, save_file
from transformers import PreTrainedModel

from understudy.errors import ArtefactError, ConfigError
from understudy.lm.decoder import quiet_transformers
from understudy.lm.processes import is_sharded, pieces_like, whole

__all__ = [
    "TrainingState",
    "list_checkpoints",
    "read_newest",
    "restore",
    "sha256_of",
    "weights_digest",
    "write_checkpoint",
]

_FACTS, _TENSORS, _WEIGHTS = "checkpoint.json", "training.safetensors", "model.safetensors"


@dataclass(slots=True)
class TrainingState:
    """Where a run stands, beside model and optimiser.

    Attributes
    ----------
    step
        Steps done.
    seconds
        Time in the loop so far, over all parts of a run that was cut.
    router_starts
        Router matrices before the first step, in the order of layers.
    """

    step: int
    seconds: float
    router_starts: list[torch.Tensor]


def list_checkpoints(folder: Path) -> list[Path]:
    """List the finished checkpoints in `folder`, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / _FACTS).is_file())


def write_checkpoint(
    folder: Path,
    model: PreTrainedModel,
    optimiser: torch.optim.Optimizer,
    state: TrainingState,
    binding: Mapping[str, Any],
    *,
    keep: int,
    is_writer: bool = True,
) -> Path:
    """Write a checkpoint of `state.step` into `folder`, then remove all but the newest `keep`.

    All processes of a run call it, since weights may have to be put together; one of them is the writer.

    Raises
    ------
    OSError, SafetensorError
        If it cannot be written; nothing is left of it then, and those before it stay.
    """
    name = f"step-{state.step:08d}"
    half, finished = folder / f"{name}.part", folder / name
    weights = _weights(model)
    tensors = {"random": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random_cuda"] = torch.cuda.get_rng_state()
    for parameter_name, moments in _moments(model, optimiser).items():
        tensors |= {f"optimiser.{parameter_name}.{key}": value for key, value in moments.items()}
    tensors |= {f"router_start.{at}": value.contiguous() for at, value in enumerate(state.router_starts)}
    if not is_writer:
        return finished
    shutil.rmtree(half, ignore_errors=True)
    try:
        half.mkdir(parents=True)
        if isinstance(model, PreTrainedModel):
            with quiet_transformers():
                model.save_pretrained(half, state_dict=weights, max_shard_size="1000GB")
        else:
            assert weights is not None
            save_file(weights, half / _WEIGHTS)
        save_file(tensors, half / _TENSORS)
        facts = {
            "step": state.step,
            "seconds": state.seconds,
            "binding": dict(binding),
            "sha256": {path.name: sha256_of(path) for path in sorted(half.iterdir())},
        }
        (half / _FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        shutil.rmtree(finished, ignore_errors=True)
        half.rename(finished)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return finished


def _weights(model: torch.nn.Module) -> dict[str, torch.Tensor] | None:
    """Give the weights to write; ``None``: those of a transformers model as they lie.

    Of a wrapped model (peft's), that is what is trained and no more: the rest is the model that was wrapped.
    """
    if isinstance(model, PreTrainedModel):
        if not is_sharded(model):
            return None
        return {name: whole(tensor).cpu() for name, tensor in model.state_dict().items()}
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    states = model.state_dict().items()
    return {name: whole(tensor).cpu().contiguous() for name, tensor in states if name in trained}


def _parameter_names(model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> list[str]:
    """Names of the optimiser's parameters, in its own order."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(parameter)] for group in optimiser.param_groups for parameter in group["params"]]


def _moments(model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, dict[str, torch.Tensor]]:
    names, states = _parameter_names(model, optimiser), optimiser.state_dict()["state"]
    return {
        names[number]: {key: whole(value).contiguous() for key, value in moments.items()}
        for number, moments in states.items()
    }


def read_newest(folder: Path, binding: Mapping[str, Any]) -> Path | None:
    """Find the newest checkpoint in `folder`, or ``None`` if there is none.

    Raises
    ------
    ArtefactError
        If it is damaged; the message says which earlier one is whole.
    ConfigError
        If it belongs to a run with other settings; the message names them.
    """
    found = list_checkpoints(folder)
    if not found:
        return None
    newest = found[-1]
    if (damage := _damage(newest)) is not None:
        whole = next((path for path in reversed(found[:-1]) if _damage(path) is None), None)
        goes_on = "start anew" if whole is None else f"go on from {whole.name}, which is whole"
        raise ArtefactError(
            "the newest checkpoint is damaged",
            given=f"{newest}: {damage}",
            todo=f"delete that folder and run the same command again, to {goes_on}",
        )
    theirs = json.loads((newest / _FACTS).read_text(encoding="utf-8"))["binding"]
    ours = json.loads(json.dumps(dict(binding)))
    if differing := _differences(theirs, ours):
        raise ConfigError(
            "the run to go on with has other settings",
            given="; ".join(differing),
            todo="give the same settings, or another folder",
        )
    return newest


def restore(checkpoint: Path, model: PreTrainedModel, optimiser: torch.optim.Optimizer) -> TrainingState:
    """Put model, optimiser and random state back to where `checkpoint` was written."""
    if isinstance(model, PreTrainedModel) and not is_sharded(model):
        load_model(model, checkpoint / _WEIGHTS)
    else:
        _copy_weights(load_file(checkpoint / _WEIGHTS), model)
    tensors = load_file(checkpoint / _TENSORS)
    names = _parameter_names(model, optimiser)
    numbers, parameters = {name: at for at, name in enumerate(names)}, dict(model.named_parameters())
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for full_name, tensor in tensors.items():
        kind, _, rest = full_name.partition(".")
        if kind == "optimiser":
            name, _, key = rest.rpartition(".")
            moments.setdefault(numbers[name], {})[key] = pieces_like(tensor, parameters[name])
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": moments, "param_groups": groups})
    torch.set_rng_state(tensors["random"])
    if torch.cuda.is_available() and "random_cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random_cuda"])
    facts = json.loads((checkpoint / _FACTS).read_text(encoding="utf-8"))
    n_starts = sum(name.startswith("router_start.") for name in tensors)
    starts = [tensors[f"router_start.{at}"].to(model.device) for at in range(n_starts)]
    return TrainingState(int(facts["step"]), float(facts["seconds"]), starts)


@torch.no_grad()
def _copy_weights(weights: Mapping[str, torch.Tensor], model: torch.nn.Module) -> None:
    """Copy the weights into a model of which they may be a part, and which may lie in pieces."""
    states = model.state_dict(keep_vars=True)
    for name, tensor in weights.items():
        states[name].copy_(pieces_like(tensor, states[name]))


def _damage(checkpoint: Path) -> str | None:
    """Say what is wrong with the files of a checkpoint."""
    try:
        facts = json.loads((checkpoint / _FACTS).read_text(encoding="utf-8"))
        for name, digest in facts["sha256"].items():
            if not (checkpoint / name).is_file():
                return f"{name} is missing"
            if sha256_of(checkpoint / name) != digest:
                return f"{name} is not what was written"
    except (OSError, ValueError, KeyError) as error:
        return f"{_FACTS} cannot be read: {error}"
    return None


def _differences(theirs: Any, ours: Any, path: Sequence[str] = ()) -> list[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        keys = sorted({*theirs, *ours})
        return [one for key in keys for one in _differences(theirs.get(key), ours.get(key), [*path, key])]
    return [] if theirs == ours else [f"{'.'.join(path)} was {theirs!r}, is {ours!r}"]


def weights_digest(folder: Path) -> str | None:
    """Name the weights in a folder of transformers' kind, in one file or several; ``None`` where none lie there."""
    digests = [sha256_of(path) for path in sorted(folder.glob("model*.safetensors"))]
    if len(digests) > 1:
        return hashlib.sha256("".join(digests).encode()).hexdigest()
    return digests[0] if digests else None


def sha256_of(path: Path) -> str:
    """Hash a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
