"""Money of single calls in whole nano-dollars (1e-9 USD): exact decimals in, integers out, ``None`` for unknown.

Prices are linear in tokens, as in ``prices``.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from understudy.calls.call import Usage
from understudy.economics.prices import TeacherPrice, model_price

__all__ = ["NANO", "NanoPrice", "listed_nano_price", "usd_to_nano"]

NANO = 10**9
_PER_MILLION = Decimal(1000)
"""Dollars per million tokens are this many nano-dollars per token."""


def usd_to_nano(amount_usd: float | None, *, rounding: str = ROUND_HALF_EVEN) -> int | None:
    """Dollars as nano-dollars, by default rounded half to even.

    What something costs is better rounded up (``ROUND_CEILING``): a third of a nano-dollar is not nothing.
    """
    if amount_usd is None:
        return None
    return int((Decimal(repr(amount_usd)) * NANO).to_integral_value(rounding))


class NanoPrice:
    """A teacher's price in exact decimals.

    Parameters
    ----------
    price
        Per call, or per million tokens.
    """

    def __init__(self, price: TeacherPrice) -> None:
        self.source = price.source
        self._per_call = None if price.usd_per_call is None else Decimal(repr(price.usd_per_call)) * NANO
        self._per_in = Decimal(repr(price.usd_per_million_in or 0.0)) * _PER_MILLION
        self._per_out = Decimal(repr(price.usd_per_million_out or 0.0)) * _PER_MILLION
        cached = price.usd_per_million_cached
        self._per_cached = self._per_in if cached is None else Decimal(repr(cached)) * _PER_MILLION

    def cost_nanousd(self, usage: Usage | None) -> int | None:
        """What a call costs, rounded up; ``None`` where the price is per token and a count is unknown.

        Cached tokens are part of those read.
        """
        if self._per_call is not None:
            return _up(self._per_call)
        if usage is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        read = (usage.input_tokens - cached) * self._per_in + cached * self._per_cached
        return _up(read + usage.output_tokens * self._per_out)

    def most_nanousd(self, input_tokens: int, output_tokens: int) -> int:
        """The most that a call of at most so many tokens costs, rounded up."""
        if self._per_call is not None:
            return _up(self._per_call)
        return _up(input_tokens * max(self._per_in, self._per_cached) + output_tokens * self._per_out)


def _up(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=512)
def listed_nano_price(model: str | None) -> NanoPrice | None:
    """A model's list price, or ``None``; looked up once per name."""
    price = model_price(model) if model else None
    return None if price is None else NanoPrice(price)
