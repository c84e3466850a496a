"""How fast a run is, what share of the processor's peak that is, how long it still takes, what it has cost."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

import torch

__all__ = ["Pace", "PaceMeter", "measure_peak_flops"]

_WINDOW_STEPS = 20


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of a run at one step.

    Attributes
    ----------
    tokens_per_second
        Over the last steps (20 at most); ``None`` before the second step, since the first one also warms up.
    flops_share
        Model FLOPs utilisation, 0 to 1: operations that the model needs per second, over the peak; ``None``
        where no peak is known.
    seconds, seconds_left
        In the loop so far, earlier parts of the run included; to go, at this pace.
    cost_usd
        `seconds` at the given price; ``None`` without a price.
    """

    tokens_per_second: float | None
    flops_share: float | None
    seconds: float
    seconds_left: float | None
    cost_usd: float | None


class PaceMeter:
    """A watch that is read once a step.

    Parameters
    ----------
    step_tokens, flops_per_token
        Tokens of a step, and operations that the model needs for one
        (:meth:`~understudy.lm.config.DecoderConfig.train_flops_per_token`).
    seconds_before
        Time that earlier parts of the run took.
    peak_flops
        Operations per second that the processor can do, or ``None``.
    hour_usd
        Price of the machine for an hour, or ``None``.
    """

    def __init__(
        self,
        step_tokens: int,
        flops_per_token: int,
        *,
        seconds_before: float = 0.0,
        peak_flops: float | None = None,
        hour_usd: float | None = None,
    ) -> None:
        self._step_tokens, self._flops_per_token = step_tokens, flops_per_token
        self._peak_flops, self._hour_usd = peak_flops, hour_usd
        self._began = time.monotonic() - seconds_before
        self._marks: deque[float] = deque(maxlen=_WINDOW_STEPS + 1)

    def seconds(self) -> float:
        """Time in the loop so far."""
        return time.monotonic() - self._began

    def read(self, steps_left: int) -> Pace:
        """Read the watch after a step."""
        seconds = self.seconds()
        self._marks.append(seconds)
        speed: float | None = None
        if len(self._marks) > 1 and seconds > self._marks[0]:
            speed = (len(self._marks) - 1) * self._step_tokens / (seconds - self._marks[0])
        share: float | None = None
        if speed is not None and self._peak_flops is not None:
            share = speed * self._flops_per_token / self._peak_flops
        return Pace(
            tokens_per_second=speed,
            flops_share=share,
            seconds=seconds,
            seconds_left=None if speed is None else steps_left * self._step_tokens / speed,
            cost_usd=None if self._hour_usd is None else seconds / 3600 * self._hour_usd,
        )


def measure_peak_flops(
    device: torch.device, dtype: torch.dtype, *, size: int = 1024, repeats: int = 5
) -> float:
    """Measure operations per second of a square matrix product: the fastest of a few.

    What this machine reaches with this library, so that the share of it says how well the training loop uses what
    can be had here. It is below the vendor's figure, against which published utilisations are counted.

    Parameters
    ----------
    device, dtype
        Where and in what arithmetic.
    size
        Rows and columns; 2 size^3 operations a product.
    repeats
        Products timed, after one that is not.
    """
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for number in range(repeats + 1):
        _wait(device)
        began = time.perf_counter()
        a @ b
        _wait(device)
        if number:
            best = min(best, time.perf_counter() - began)
    return 2.0 * size**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
