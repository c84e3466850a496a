"""The one training loop: AdamW, warm-up and linear decay, batches of similar length, seeded, resumable.

Two runs with the same settings on one machine end in the same bits, killed and resumed or not, unless a time
limit cut them: with a limit the learning rate falls with the clock, so that a short run still ends with small
steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from understudy.training.batches import epoch_batches
from understudy.training.network import EncoderNetwork

__all__ = ["LoopSettings", "Progress", "TrainingRecord", "computes_in_bfloat16", "train"]

Progress = Callable[[int, int, float], None]
"""Called with the step, the number of steps and the smoothed loss."""
CHECKPOINT_SECONDS = 60.0
PROGRESS_SECONDS = 1.0
LossOfBatch = Callable[[npt.NDArray[np.int64]], torch.Tensor]


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Settings of the loop.

    Attributes
    ----------
    epochs, batch_size
        Passes over the rows, rows per step.
    encoder_rate, head_rate
        Peak learning rates.
    warm_up
        Share of the steps over which the rates rise.
    weight_decay, clip_norm
        AdamW's decay (matrices only); largest norm of the gradient.
    seed
        Of order and dropout.
    max_seconds
        Time limit, or ``None``.
    precision
        ``bfloat16`` or ``float32`` arithmetic (weights stay float32); ``auto`` takes bfloat16 where the
        processor has it.
    """

    epochs: float = 5
    batch_size: int = 32
    encoder_rate: float = 2e-4
    head_rate: float = 2e-3
    warm_up: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0
    max_seconds: float | None = None
    precision: Literal["auto", "bfloat16", "float32"] = "auto"


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What happened.

    Attributes
    ----------
    steps, planned_steps
        Steps done; steps of the whole plan (more than done where time ran out).
    loss
        Smoothed loss at the end.
    seconds
        Time in the loop, over all resumed runs.
    """

    steps: int
    planned_steps: int
    loss: float
    seconds: float


def computes_in_bfloat16(device: str) -> bool:
    """Whether bfloat16 products are done in hardware (2.3 times as fast as float32 where measured)."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, check, bool)()) for check in checks)


@contextmanager
def numeric_scope(device: str, precision: str) -> Iterator[None]:
    """Arithmetic of the forward pass."""
    is_short = precision == "bfloat16" or (precision == "auto" and computes_in_bfloat16(device))
    with torch.autocast(device.split(":", maxsplit=1)[0], dtype=torch.bfloat16, enabled=is_short):
        yield


def train(
    network: EncoderNetwork,
    lengths: npt.NDArray[np.int64],
    loss_of_batch: LossOfBatch,
    settings: LoopSettings,
    *,
    on_progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> TrainingRecord:
    """Train `network` in place.

    Parameters
    ----------
    network
        What is trained; ends in evaluation mode.
    lengths
        Tokens per row, shape (n,).
    loss_of_batch
        Loss of the rows of a batch.
    settings
        See :class:`LoopSettings`.
    on_progress
        Called about once a second.
    checkpoint
        File to resume from and to save to now and then; removed at the end. A checkpoint of other settings or
        data is ignored.
    """
    per_epoch = -(-len(lengths) // settings.batch_size)
    planned = max(1, round(settings.epochs * per_epoch))
    optimiser = _optimiser(network, settings)
    fingerprint = _fingerprint(settings, lengths, network)
    step, smooth, before = 0, 0.0, 0.0
    torch.manual_seed(settings.seed)
    if checkpoint is not None and (saved := _read_checkpoint(checkpoint, fingerprint)) is not None:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        torch.set_rng_state(saved["random"])
        step, smooth, before = int(saved["step"]), float(saved["loss"]), float(saved["seconds"])
    network.train()
    began = last_said = last_saved = time.monotonic()
    batches: list[npt.NDArray[np.int64]] = []
    epoch = -1
    while step < planned:
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            batches = epoch_batches(lengths, settings.batch_size, settings.seed, epoch)
        spent = before + time.monotonic() - began
        share = step / planned
        if settings.max_seconds is not None:
            share = max(share, spent / settings.max_seconds)
            if share >= 1.0:
                break
        loss = _step(network, optimiser, loss_of_batch, batches[step % per_epoch], share, settings)
        step += 1
        smooth = loss if step == 1 else 0.98 * smooth + 0.02 * loss
        now = time.monotonic()
        if on_progress is not None and (now - last_said >= PROGRESS_SECONDS or step == planned):
            on_progress(step, planned, smooth)
            last_said = now
        if checkpoint is not None and now - last_saved >= CHECKPOINT_SECONDS and step < planned:
            seconds = before + now - began
            _write_checkpoint(checkpoint, fingerprint, network, optimiser, step, smooth, seconds)
            last_saved = time.monotonic()
    network.eval()
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return TrainingRecord(step, planned, smooth, before + time.monotonic() - began)


def _step(
    network: EncoderNetwork,
    optimiser: torch.optim.Optimizer,
    loss_of_batch: LossOfBatch,
    batch: npt.NDArray[np.int64],
    share: float,
    settings: LoopSettings,
) -> float:
    rate = min(share / settings.warm_up, 1.0) if settings.warm_up else 1.0
    rate = max(min(rate, (1.0 - share) / (1.0 - settings.warm_up)), 1e-3)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * rate
    loss = loss_of_batch(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return float(loss.detach())


def _optimiser(network: EncoderNetwork, settings: LoopSettings) -> torch.optim.Optimizer:
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad or not parameter.numel():
            continue
        rate = settings.encoder_rate if name.startswith("encoder.") else settings.head_rate
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": 0.0, "peak": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ],
        fused=True,
    )


def _fingerprint(
    settings: LoopSettings, lengths: npt.NDArray[np.int64], network: EncoderNetwork
) -> dict[str, Any]:
    return {
        **asdict(settings),
        "rows": len(lengths),
        "tokens": int(lengths.sum()),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "torch": str(torch.__version__),
    }


def _write_checkpoint(
    path: Path,
    fingerprint: dict[str, Any],
    network: EncoderNetwork,
    optimiser: torch.optim.Optimizer,
    step: int,
    loss: float,
    seconds: float,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".part")
    state = {
        "fingerprint": fingerprint,
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "step": step,
        "loss": loss,
        "seconds": seconds,
    }
    torch.save(state, half)
    half.replace(path)


def _read_checkpoint(path: Path, fingerprint: dict[str, Any]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        saved: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception:  # a torn or foreign file: start anew, as if there were none
        return None
    return saved if saved.get("fingerprint") == fingerprint else None
