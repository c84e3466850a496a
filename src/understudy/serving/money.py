"""What calls cost, in whole nano-dollars (1e-9 USD): exact decimals in, integers out, ``None`` for unknown."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from understudy.calls.call import Usage
from understudy.economics.prices import TeacherPrice, model_price

__all__ = ["call_nanousd", "listed_price", "usd_to_nano"]

_NANO = Decimal(10**9)


def usd_to_nano(amount_usd: float | None) -> int | None:
    """Dollars as nano-dollars, rounded half to even."""
    if amount_usd is None:
        return None
    return int((Decimal(repr(amount_usd)) * _NANO).to_integral_value(ROUND_HALF_EVEN))


@lru_cache(maxsize=512)
def listed_price(model: str | None) -> TeacherPrice | None:
    """A model's list price, or ``None``; looked up once per name."""
    return model_price(model) if model else None


def call_nanousd(price: TeacherPrice | None, usage: Usage | None) -> int | None:
    """What one call costs at `price`.

    A price per token needs both counts: without them the cost is unknown. Cached tokens are part of those read.
    """
    if price is None:
        return None
    if price.usd_per_call is not None:
        return usd_to_nano(price.usd_per_call)
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    per_in = Decimal(repr(price.usd_per_million_in or 0.0))
    per_out = Decimal(repr(price.usd_per_million_out or 0.0))
    given = price.usd_per_million_cached
    per_cached = per_in if given is None else Decimal(repr(given))
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    total = (usage.input_tokens - cached) * per_in + cached * per_cached + usage.output_tokens * per_out
    return int((total * 1000).to_integral_value(ROUND_HALF_EVEN))
