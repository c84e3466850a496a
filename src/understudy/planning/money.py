"""Dollars and yuan side by side: one rate per plan, from the catalogue or given."""

from __future__ import annotations

import math
from dataclasses import dataclass

from understudy.economics.hardware.catalogue import currencies
from understudy.errors import ConfigError

__all__ = ["ExchangeRate", "exchange_rate"]


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """Yuan per dollar, and where the rate is from."""

    cny_per_usd: float
    source: str


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
