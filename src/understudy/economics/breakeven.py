"""Total cost against volume: the teacher alone, or build once and then student plus deferred calls.

Plain arithmetic on given prices. An unknown price makes an unknown result with a reason, never a 0. It knows
nothing of discounts, of prices that fall, or of the cost of an answer that differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.errors import ConfigError

__all__ = ["BreakEven", "CostPoint", "break_even"]


@dataclass(frozen=True, slots=True)
class CostPoint:
    """Total cost of `volume` calls; ``None`` where a price is unknown."""

    volume: float
    teacher_usd: float | None
    student_usd: float | None


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From which volume on the student is cheaper than the teacher alone.

    Attributes
    ----------
    teacher_usd_per_call, student_usd_per_call, build_usd, coverage
        As given; ``None`` is unknown.
    system_usd_per_call
        Student on every call and the teacher on the deferred share.
    saving_usd_per_call
        Teacher alone minus system; negative where the system is dearer.
    volume
        Smallest number of calls at which the system costs no more, build included; ``None`` with `reason`.
    reason
        Why there is no `volume`: a price is unknown, or it never pays.
    """

    teacher_usd_per_call: float | None
    student_usd_per_call: float | None
    build_usd: float | None
    coverage: float | None
    system_usd_per_call: float | None
    saving_usd_per_call: float | None
    volume: int | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    def at(self, volume: float) -> CostPoint:
        """Both totals at `volume` calls."""
        teacher = None if self.teacher_usd_per_call is None else self.teacher_usd_per_call * volume
        student = None
        if self.system_usd_per_call is not None and self.build_usd is not None:
            student = self.build_usd + self.system_usd_per_call * volume
        return CostPoint(volume, teacher, student)

    def series(self, volumes: Sequence[float] | None = None) -> list[CostPoint]:
        """Both totals along `volumes`, for a chart.

        By default 61 volumes evenly spaced in logarithm, from a thousandth of the break-even (1,000 calls
        where there is none) to a thousand times it.
        """
        if volumes is None:
            middle = float(max(self.volume or 0, 1_000))
            volumes = np.geomspace(max(1.0, middle / 1_000), middle * 1_000, 61).tolist()
        return [self.at(volume) for volume in volumes]


def break_even(
    *,
    teacher_usd_per_call: float | None,
    student_usd_per_call: float | None,
    build_usd: float | None,
    coverage: float | None,
) -> BreakEven:
    """Break-even volume ``build / (coverage * teacher - student)``, rounded up.

    Parameters
    ----------
    teacher_usd_per_call
        Price of one teacher call.
    student_usd_per_call
        Price of running the student on one call; it runs on every call, deferred or not.
    build_usd
        Labels, machine time and whatever else was paid once.
    coverage
        Share of calls in [0, 1] that the student answers.

    Raises
    ------
    ConfigError
        If a price is negative or not finite, or `coverage` is outside [0, 1].
    """
    prices = {
        "teacher_usd_per_call": teacher_usd_per_call,
        "student_usd_per_call": student_usd_per_call,
        "build_usd": build_usd,
    }
    for name, price in prices.items():
        if price is not None and not (math.isfinite(price) and price >= 0):
            raise ConfigError(f"{name} must be 0 or more", given=repr(price))
    if coverage is not None and not 0 <= coverage <= 1:
        raise ConfigError("coverage must be from 0 to 1", given=repr(coverage))

    system = saving = None
    if teacher_usd_per_call is not None and student_usd_per_call is not None and coverage is not None:
        system = student_usd_per_call + (1 - coverage) * teacher_usd_per_call
        saving = coverage * teacher_usd_per_call - student_usd_per_call
    unknown = [name for name, value in {**prices, "coverage": coverage}.items() if value is None]
    volume: int | None = None
    reason: str | None = None
    if saving is None or build_usd is None:
        reason = f"unknown: {', '.join(unknown)}"
    else:
        volume, reason = _volume(saving, build_usd, coverage)
    return BreakEven(
        teacher_usd_per_call, student_usd_per_call, build_usd, coverage, system, saving, volume, reason
    )


def _volume(saving_usd: float, build_usd: float, coverage: float | None) -> tuple[int | None, str | None]:
    if saving_usd > 0:
        ratio = build_usd / saving_usd
        if not math.isfinite(ratio):
            return None, "the saving per call is too small to count"
        # Rounded first, so that 10 / 0.1 is 100 and not 101.
        return max(1, math.ceil(round(ratio, 6))), None
    if coverage == 0:
        return None, "never: the student answers no call, so every call still costs the teacher's price"
    return None, "never: a call through the student costs as much as the teacher's, or more"
