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

__all__ = ["TrainingState", "list_checkpoints", "read_newest", "restore", "sha256_of", "write_checkpoint"]

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
) -> Path:
    """Write a checkpoint of `state.step` into `folder`, then remove all but the newest `keep`."""
    name = f"step-{state.step:08d}"
    half, whole = folder / f"{name}.part", folder / name
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    with quiet_transformers():
        model.save_pretrained(half, max_shard_size="1000GB")
    tensors = {"random": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random_cuda"] = torch.cuda.get_rng_state()
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{key}": value.contiguous() for key, value in moments.items()}
    tensors |= {f"router_start.{at}": value.contiguous() for at, value in enumerate(state.router_starts)}
    save_file(tensors, half / _TENSORS)
    facts = {
        "step": state.step,
        "seconds": state.seconds,
        "binding": dict(binding),
        "sha256": {path.name: sha256_of(path) for path in sorted(half.iterdir())},
    }
    (half / _FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    shutil.rmtree(whole, ignore_errors=True)
    half.rename(whole)
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return whole


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
    load_model(model, checkpoint / _WEIGHTS)
    tensors = load_file(checkpoint / _TENSORS)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimiser":
            number, _, key = rest.partition(".")
            moments.setdefault(int(number), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": moments, "param_groups": groups})
    torch.set_rng_state(tensors["random"])
    if torch.cuda.is_available() and "random_cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random_cuda"])
    facts = json.loads((checkpoint / _FACTS).read_text(encoding="utf-8"))
    n_starts = sum(name.startswith("router_start.") for name in tensors)
    starts = [tensors[f"router_start.{at}"].to(model.device) for at in range(n_starts)]
    return TrainingState(int(facts["step"]), float(facts["seconds"]), starts)


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


def sha256_of(path: Path) -> str:
    """Hash a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
