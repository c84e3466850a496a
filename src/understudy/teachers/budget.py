"""Money for labelling: whole nano-dollars (1e-9 USD), reserved before a request is sent, settled when it is answered.

The promise: what the provider bills stays within the limit, whatever is under way at once, as long as a request
takes no more tokens than was reserved for it. Reserved is the most that it can take: no token is shorter than a
byte, so the request's bytes bound those read (plus what servers wrap around it), and the request's own limit
bounds those written. A request that may have been billed though no answer came counts as billed in full.

Prices are linear in tokens, as in ``economics.prices``.
"""

from __future__ import annotations

import asyncio
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation

from understudy.calls.call import Usage
from understudy.economics.prices import TeacherPrice
from understudy.errors import ConfigError

__all__ = ["NANO", "Budget", "NanoPrice", "parse_limit_nanousd"]

NANO = 10**9
_PER_MILLION = Decimal(1000)
"""Dollars per million tokens are this many nano-dollars per token."""


def parse_limit_nanousd(text: str) -> int:
    """A limit in dollars as nano-dollars, rounded down.

    Raises
    ------
    ConfigError
        If it is no amount.
    """
    try:
        amount = Decimal(text.strip().lstrip("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise ConfigError(
            "--max-usd is no amount of dollars", given=repr(text), todo="for example --max-usd 2.50"
        )
    return int((amount * NANO).to_integral_value(ROUND_FLOOR))


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

    def cost_nanousd(self, usage: Usage) -> int | None:
        """What a call costs, rounded up; ``None`` where the price is per token and a count is unknown."""
        if self._per_call is not None:
            return _up(self._per_call)
        if usage.input_tokens is None or usage.output_tokens is None:
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


class Budget:
    """What may still be spent; for one event loop.

    Parameters
    ----------
    limit_nanousd
        The most that may be spent, or ``None`` for no limit.
    spent_nanousd
        What was spent before.
    """

    def __init__(self, limit_nanousd: int | None, spent_nanousd: int = 0) -> None:
        self.limit_nanousd, self.spent_nanousd = limit_nanousd, spent_nanousd
        self.reserved_nanousd = 0
        self._n_open = 0
        self._changed = asyncio.Event()

    def could_fit(self, amount_nanousd: int) -> bool:
        """Whether the limit leaves room for an amount, were nothing under way."""
        return self.limit_nanousd is None or self.spent_nanousd + amount_nanousd <= self.limit_nanousd

    async def reserve(self, amount_nanousd: int) -> bool:
        """Set an amount aside; waits where what is under way may leave enough.

        Returns
        -------
        bool
            False if the limit leaves no room for it.
        """
        while self.limit_nanousd is not None and (
            self.spent_nanousd + self.reserved_nanousd + amount_nanousd > self.limit_nanousd
        ):
            if not self._n_open or not self.could_fit(amount_nanousd):
                return False
            await self._changed.wait()
        self.reserved_nanousd += amount_nanousd
        self._n_open += 1
        return True

    def settle(self, reserved_nanousd: int, spent_nanousd: int) -> None:
        """Give a reservation back and book what was spent of it."""
        self.reserved_nanousd -= reserved_nanousd
        self.spent_nanousd += spent_nanousd
        self._n_open -= 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
