"""Money for labelling: whole nano-dollars (1e-9 USD), reserved before a request is sent, settled when it is answered.

The promise: what the provider bills stays within the limit, whatever is under way at once, as long as a request
takes no more tokens than was reserved for it. Reserved is the most that it can take: no token is shorter than a
byte, so the request's bytes bound those read (plus what servers wrap around it), and the request's own limit
bounds those written. A request that may have been billed though no answer came counts as billed in full.
"""

from __future__ import annotations

import asyncio
from decimal import ROUND_FLOOR, Decimal, InvalidOperation

from understudy.economics.nano import NANO
from understudy.errors import ConfigError

__all__ = ["Budget", "parse_limit_nanousd"]


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
