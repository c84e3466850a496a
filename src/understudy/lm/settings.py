"""The settings of a training run, checked; nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from understudy.errors import ConfigError
from understudy.lm.balance import BalanceSettings
from understudy.lm.schedule import Schedule

__all__ = ["TrainSettings"]

_PRECISIONS = ("auto", "bfloat16", "float32")
# A run that is resumed may change these: they change no weight.
_FREE = ("checkpoint_every", "keep_checkpoints", "validate_every", "validate_sequences")


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a decoder is trained.

    Attributes
    ----------
    schedule
        Steps, and the learning rate over them.
    learning_rate
        At its peak.
    batch_sequences, micro_sequences
        Sequences per step, over all processes, and per pass in each process (``None``: all at once). Gradients of
        the passes are added, each weighed by its labels, so that only rounding depends on the second and on the
        number of processes; the router's losses are per pass, weighed by sequences.
    sequence_tokens
        Length of a packed sequence.
    weight_decay, betas, clip_norm
        AdamW's decay (matrices only) and averages, and the largest norm of the gradient; the defaults are those
        of Llama 2 (Touvron et al. 2023, section 2.2).
    balance
        How experts are kept evenly busy.
    seed
        Of the order of sequences, from 0. The weights' seed is that of the model.
    precision
        ``bfloat16`` or ``float32`` arithmetic (weights stay float32); ``auto`` takes bfloat16 where the
        processor has it.
    is_compiled
        Whether torch.compile compiles the model without its output matrix. It takes a minute or more before the
        first step and changes rounding.
    checkpoint_every, keep_checkpoints
        Steps between checkpoints (one more comes at the end), and how many of the newest stay.
    validate_every, validate_sequences
        Steps between measurements on held-out text (one more comes at the end), and sequences in one.
    """

    schedule: Schedule
    learning_rate: float = 3e-3
    batch_sequences: int = 8
    micro_sequences: int | None = None
    sequence_tokens: int = 256
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip_norm: float = 1.0
    balance: BalanceSettings = field(default_factory=BalanceSettings)
    seed: int = 0
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    is_compiled: bool = False
    checkpoint_every: int = 100
    keep_checkpoints: int = 2
    validate_every: int = 100
    validate_sequences: int = 32

    def __post_init__(self) -> None:
        counts = ("batch_sequences", "checkpoint_every", "keep_checkpoints", "validate_every")
        for name, is_good, allowed in (
            *((name, getattr(self, name) >= 1, "1 or more") for name in counts),
            (
                "micro_sequences",
                self.micro_sequences is None or self.micro_sequences >= 1,
                "1 or more, or None",
            ),
            ("sequence_tokens", self.sequence_tokens >= 2, "2 or more"),
            ("validate_sequences", self.validate_sequences >= 1, "1 or more"),
            ("learning_rate", self.learning_rate > 0, "above 0"),
            ("weight_decay", self.weight_decay >= 0, "0 or more"),
            ("betas", all(0 <= beta < 1 for beta in self.betas), "two numbers from 0 to below 1"),
            ("clip_norm", self.clip_norm > 0, "above 0"),
            ("seed", 0 <= self.seed < 2**63, "0 or more, below 2^63"),
            ("precision", self.precision in _PRECISIONS, " or ".join(_PRECISIONS)),
        ):
            if not is_good:
                raise ConfigError(f"{name} must be {allowed}", given=f"{name} = {getattr(self, name)!r}")

    @property
    def batch_tokens(self) -> int:
        """Tokens per step."""
        return self.batch_sequences * self.sequence_tokens

    def binding(self) -> dict[str, Any]:
        """Give the settings that a resumed run must share with the one that was cut."""
        values = asdict(self)
        values["betas"] = list(self.betas)
        return {name: value for name, value in values.items() if name not in _FREE}
