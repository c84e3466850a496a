"""Dollars and yuan side by side: one rate per plan, from the catalogue or given.

Plans count in dollars; yuan are the same amounts at that rate. It does not know what a thing costs in China.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from understudy.economics.hardware.catalogue import currencies
from understudy.errors import ConfigError
from understudy.units import format_cny, format_usd

__all__ = ["ExchangeRate", "exchange_rate", "with_yuan"]


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """Yuan per dollar, and where the rate is from."""

    cny_per_usd: float
    source: str

    @property
    def words(self) -> str:
        """The rate with its source."""
        return f"{self.cny_per_usd} per $, {self.source}"

    def yuan(self, amount_usd: float | None) -> str:
        """An amount of dollars in yuan; ``unknown`` where it is not known."""
        return format_cny(None if amount_usd is None else amount_usd * self.cny_per_usd)

    def both(self, amount_usd: float | None) -> str:
        """``$2,350 (¥16,739)``; ``unknown`` where the amount is not known."""
        return "unknown" if amount_usd is None else f"{format_usd(amount_usd)} ({self.yuan(amount_usd)})"


def exchange_rate(cny_per_usd: float | None = None) -> ExchangeRate:
    """The given rate, or the catalogue's.

    Raises
    ------
    ConfigError
        If the given rate is not above 0.
    """
    if cny_per_usd is None:
        known = currencies()["CNY"]
        return ExchangeRate(known.units_per_usd, f"average of {known.year}; {known.source}")
    if not (math.isfinite(cny_per_usd) and cny_per_usd > 0):
        raise ConfigError("CNY per USD must be above 0", given=repr(cny_per_usd))
    return ExchangeRate(cny_per_usd, "given")


def with_yuan(found: Any, rate: ExchangeRate) -> Any:
    """JSON in which every number whose name counts dollars stands in yuan too.

    ``usd_per_month`` gets ``cny_per_month`` beside it, ``once_usd`` gets ``once_cny``; unknown stays ``None`` in
    both. What is no number (a source, a reason) is left as it is.
    """
    if isinstance(found, list | tuple):
        return [with_yuan(one, rate) for one in found]
    if not isinstance(found, dict):
        return found
    out: dict[str, Any] = {}
    for name, value in found.items():
        out[name] = with_yuan(value, rate)
        words = name.split("_")
        is_dollars = "usd" in words and not {"cny", "reason"} & set(words)
        if is_dollars and (value is None or (isinstance(value, int | float) and not isinstance(value, bool))):
            yuan = "_".join("cny" if word == "usd" else word for word in words)
            out[yuan] = None if value is None else value * rate.cny_per_usd
    return out
