"""What a training plan starts from: what is given, and with what means."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.economics.training_cost import DEFAULT_MFU, Accelerator
from understudy.economics.training_memory import Batch
from understudy.errors import ConfigError

__all__ = ["Aim", "Means"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is given: one of FLOP, money, hours, loss, parameters or a model to match, and what the model is for.

    Attributes
    ----------
    flops, usd, hours, loss, parameters
        Exactly one of them; `hours` with a number of devices, `parameters` with `tokens` or by themselves (then
        trained on the compute-optimal amount).
    like_parameters
        Another start: as good as a compute-optimal model of this size.
    tokens
        Tokens to train on, with `parameters`.
    inference_tokens
        Tokens that the model will read and write in its life; makes smaller models pay. FLOP, money and hours stay
        a hard limit of training; a loss, a size and a model to match fix the loss instead.
    unique_tokens
        Tokens there are; beyond them data repeat.
    """

    flops: float | None = None
    usd: float | None = None
    hours: float | None = None
    loss: float | None = None
    parameters: float | None = None
    like_parameters: float | None = None
    tokens: float | None = None
    inference_tokens: float | None = None
    unique_tokens: float | None = None

    def __post_init__(self) -> None:
        ways = [
            name
            for name in ("flops", "usd", "hours", "loss", "parameters", "like_parameters")
            if getattr(self, name) is not None
        ]
        if len(ways) != 1:
            raise ConfigError(
                "a plan starts from one of FLOP, money, hours, loss, parameters or a model to match",
                given=", ".join(ways) or "none",
                todo="give --flop, --usd, --hours with --devices, --loss, --params or --like-params",
            )
        if self.tokens is not None and self.parameters is None:
            raise ConfigError("tokens to train on go with a number of parameters", todo="give --params")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """With what: accelerators, how well they are used, how training is spread.

    Attributes
    ----------
    accelerator
        One device.
    devices
        How many; ``None``: the fewest on which training fits.
    mfu, pue
        See :func:`understudy.economics.training_cost.training_cost`.
    batch
        Sequence length, micro-batch, recomputation.
    zero_stage
        See :class:`understudy.economics.training_memory.Sharding`.
    n_vocab
        Rows of the embedding.
    """

    accelerator: Accelerator
    devices: int | None = None
    mfu: float = DEFAULT_MFU
    pue: float = 1.2
    batch: Batch = Batch()  # noqa: RUF009  (frozen)
    zero_stage: int = 3
    n_vocab: int = 32_000
