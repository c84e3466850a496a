"""Learning rates over a run: warm-up, then a cosine, or a stable stretch and a decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from understudy.errors import ConfigError

__all__ = ["Schedule"]

_KINDS = ("cosine", "wsd")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A factor on the peak learning rate, for each step of `n_steps`.

    Attributes
    ----------
    n_steps
        Steps in the whole run.
    kind
        ``cosine``: down to `floor` along half a cosine (Loshchilov & Hutter 2017; to a tenth, as Hoffmann et al.
        2022). ``wsd``: warm-up, stable, decay (Hu et al. 2024, MiniCPM), where the decay goes to `floor` as
        ``1 - sqrt(progress)``, the best of those that Hägele et al. 2024 compare; before its decay such a run
        can be made longer.
    warm_up_steps
        Steps over which the rate rises in a line; step 0 already has ``1 / warm_up_steps``.
    decay_share
        Share of the steps in the decay of ``wsd``; Hägele et al. find 0.1 to 0.2 enough.
    floor
        Factor at the end, 0 to 1.
    """

    n_steps: int
    kind: Literal["cosine", "wsd"] = "wsd"
    warm_up_steps: int = 0
    decay_share: float = 0.2
    floor: float = 0.1

    def __post_init__(self) -> None:
        for field, is_good, allowed in (
            ("n_steps", self.n_steps > 0, "above 0"),
            ("kind", self.kind in _KINDS, " or ".join(_KINDS)),
            ("warm_up_steps", 0 <= self.warm_up_steps <= self.n_steps, f"0 to n_steps ({self.n_steps})"),
            ("decay_share", 0 <= self.decay_share <= 1, "0 to 1"),
            ("floor", 0 <= self.floor <= 1, "0 to 1"),
        ):
            if not is_good:
                raise ConfigError(f"{field} must be {allowed}", given=f"{field} = {getattr(self, field)!r}")

    def factor(self, step: int) -> float:
        """Give the factor for `step`, counted from 0; `floor` from `n_steps` on."""
        if step >= self.n_steps:
            return self.floor
        if step < self.warm_up_steps:
            return (step + 1) / self.warm_up_steps
        if self.kind == "cosine":
            progress = (step - self.warm_up_steps) / (self.n_steps - self.warm_up_steps)
            return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * progress))
        n_decay = max(round(self.decay_share * self.n_steps), 1)
        progress = max(step - (self.n_steps - n_decay), 0) / n_decay
        return self.floor + (1 - self.floor) * (1 - math.sqrt(progress))
