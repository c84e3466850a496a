"""The stretches of time that a page may show. Whole hours or days of UTC, the present one included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from understudy.ledger.breakdown import Step

__all__ = ["DEFAULT_PERIOD", "PERIODS", "Period"]

_STEP_MS: Final = {"hour": 3_600_000, "day": 86_400_000}


@dataclass(frozen=True, slots=True)
class Period:
    """One of them.

    Attributes
    ----------
    key
        In an address.
    name, words
        In a link; in a sentence.
    step, n_steps
        How it is cut for charts.
    """

    key: str
    name: str
    words: str
    step: Step
    n_steps: int

    def starts_ms(self, now_ms: int) -> list[int]:
        """The starts of its hours or days, milliseconds since 1970; the last is the present one."""
        width = _STEP_MS[self.step]
        last = now_ms // width * width
        return [last - width * back for back in range(self.n_steps - 1, -1, -1)]

    def label(self, start_ms: int) -> str:
        """An hour or day in few characters: ``14 h``, ``3 Feb``."""
        moment = datetime.fromtimestamp(start_ms / 1000, UTC)
        return f"{moment:%H} h" if self.step == "hour" else f"{moment.day} {moment:%b}"


PERIODS: Final = {
    one.key: one
    for one in (
        Period("24h", "24 h", "the last 24 hours", "hour", 24),
        Period("7d", "7 d", "the last 7 days", "day", 7),
        Period("30d", "30 d", "the last 30 days", "day", 30),
        Period("90d", "90 d", "the last 90 days", "day", 90),
    )
}
DEFAULT_PERIOD: Final = "30d"
