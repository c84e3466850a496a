"""What a user may set for a run of the ladder. One dial, the target; the rest has defaults."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from understudy.errors import ConfigError

__all__ = ["LearnFrom", "LearnOptions", "Of", "WriterTuning"]

Of = Literal["answered", "all"]
LearnFrom = Literal["teacher", "gold", "both"]
WriterTuning = Literal["full", "lora", "qlora"]


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """Settings of one run.

    Attributes
    ----------
    target
        Share that must be certified, in (0, 1).
    of
        ``answered``: of the calls that the student answers, at least `target` are right.
        ``all``: of all calls, at most 1 - `target` are answered wrongly.
    confidence
        1 - delta of the certificate, in (0, 1).
    learn_from
        Which answers are learnt: the teacher's, the gold ones, or gold where known and else the teacher's.
    against
        Which answers the target refers to; ``None``: gold when learning from gold, else the teacher's.
    rungs
        Names of rungs to consider, or empty for all that fit the task.
    max_minutes
        Time for training. A rung whose predicted time does not fit is skipped and named in "what next".
    max_usd
        Money for machine time at `core_hour_usd`.
    core_hour_usd
        Price of one core for one hour.
    calls_per_month
        Volume for pay-back; ``None``: unknown.
    base
        Base encoder: hub id or folder.
    writer_base
        Base language model of the rungs that write: hub id or folder; ``None``: from scratch.
    writer_tuning
        What is trained of `writer_base`: all weights (``full``), adapters (``lora``), or adapters of a base kept in
        4 bits (``qlora``).
    seed
        Of splits, samples and training.
    threads
        Threads for training encoders, and cores that machine time is charged for; ``None``: all.
    cache
        Folder of finished rungs; ``None`` turns the cache off.
    use_rationales
        Whether rungs that can also learn to say the teacher's recorded reasons (an auxiliary target; it costs about
        two thirds more training time, and where measured it helped by less than one standard error).
    keep_texts
        Whether the report may quote inputs (disagreements to read).
    """

    target: float = 0.95
    of: Of = "answered"
    confidence: float = 0.95
    learn_from: LearnFrom = "teacher"
    against: Literal["teacher", "gold"] | None = None
    rungs: tuple[str, ...] = ()
    max_minutes: float = 30.0
    max_usd: float | None = None
    core_hour_usd: float = 0.04
    calls_per_month: float | None = None
    base: str = "sentence-transformers/all-MiniLM-L6-v2"
    writer_base: str | None = None
    writer_tuning: WriterTuning = "full"
    seed: int = 0
    threads: int | None = None
    cache: Path | None = Path(".understudy-cache")
    use_rationales: bool = False
    keep_texts: bool = True

    def __post_init__(self) -> None:
        for name in ("target", "confidence"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ConfigError(
                    f"--{name} must lie between 0 and 1", given=str(value), todo="for example 0.95"
                )
        for name in ("max_minutes", "max_usd", "core_hour_usd", "calls_per_month"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ConfigError(f"--{name.replace('_', '-')} must not be negative", given=str(value))
        choices: dict[str, tuple[str, ...]] = {
            "of": ("answered", "all"),
            "learn_from": ("teacher", "gold", "both"),
            "writer_tuning": ("full", "lora", "qlora"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"--{name.replace('_', '-')} is unknown",
                    given=getattr(self, name),
                    todo=f"one of {', '.join(allowed)}",
                )
        if self.writer_tuning != "full" and self.writer_base is None:
            raise ConfigError(
                "adapters need a base to sit on",
                given=f"--writer-tuning {self.writer_tuning}",
                todo="name one with --writer-base, or leave out --writer-tuning",
            )

    @property
    def reference(self) -> Literal["teacher", "gold"]:
        """Whose answers the target refers to."""
        return self.against or ("teacher" if self.learn_from == "teacher" else "gold")

    @property
    def cores(self) -> int:
        """Cores that machine time is charged for."""
        return self.threads or os.cpu_count() or 1

    @property
    def delta(self) -> float:
        """Allowed probability that the certificate is wrong."""
        return 1.0 - self.confidence

    def to_dict(self) -> dict[str, Any]:
        """JSON form, for manifest and receipt (without the cache's place)."""
        out = asdict(self)
        out.pop("cache")
        out["rungs"] = list(self.rungs)
        out["reference"] = self.reference
        return out
