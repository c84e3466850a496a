"""What each key has spent upstream since midnight UTC, held against its limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from understudy.economics.nano import usd_to_nano
from understudy.serving.problems import RequestProblem
from understudy.serving.settings import KeySettings

__all__ = ["Budgets"]

_DAY_S = 86_400


class Budgets:
    """Spending of this process's callers today.

    Parameters
    ----------
    keys
        All keys; those without a limit are not counted.
    spent_before
        Asked once per key and day what the ledger knows of it, in nano-dollars, so that a restart forgets nothing.
    clock
        Unix time in seconds.
    """

    def __init__(
        self,
        keys: Sequence[KeySettings],
        spent_before: Callable[[str, int], int],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limited = {key.name for key in keys if key.usd_per_day is not None}
        self._spent_before, self._clock = spent_before, clock
        self._day = -1
        self._spent: dict[str, int] = {}

    def _today(self, name: str) -> int:
        day = int(self._clock() // _DAY_S)
        if day != self._day:
            self._day, self._spent = day, {}
        if name not in self._spent:
            self._spent[name] = self._spent_before(name, day * _DAY_S * 1000)
        return self._spent[name]

    def check(self, key: KeySettings | None) -> None:
        """Stop a key that has spent its day's money.

        Raises
        ------
        RequestProblem
            429 until midnight UTC.
        """
        if key is None or key.usd_per_day is None:
            return
        if self._today(key.name) >= (usd_to_nano(key.usd_per_day) or 0):
            left_s = _DAY_S - self._clock() % _DAY_S
            raise RequestProblem(
                429, "insufficient_quota", "This key has spent its limit for today.", retry_after_s=left_s
            )

    def spend(self, name: str | None, nanousd: int | None) -> None:
        """Add what a call cost; an unknown cost cannot be held against a limit."""
        if name in self._limited and name is not None and nanousd is not None:
            self._spent[name] = self._today(name) + nanousd
