"""What each key has spent upstream since midnight UTC, held against its limit, over all processes of the machine.

What a call costs is known when its answer has come. So a key may go over its limit by what the calls cost that were
in work, in whatever process, when the limit was reached; no call begins after that. Spending on other machines that
write into the same ledger is learnt from there, see :meth:`Budgets.take_up`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from understudy.economics.nano import usd_to_nano
from understudy.serving.problems import RequestProblem
from understudy.serving.settings import KeySettings
from understudy.serving.spending import SharedSpending

__all__ = ["Budgets"]

_DAY_S = 86_400


class Budgets:
    """Spending of callers today.

    Parameters
    ----------
    keys
        All keys; those without a limit are not counted.
    spent_before
        Asked by :meth:`known` what the ledger knows of a key's day, in nano-dollars.
    folder
        Where the processes of this machine keep their common count: the spool folder.
    clock
        Unix time in seconds.

    Raises
    ------
    LedgerError
        If the count of a key with a limit cannot be kept there.
    """

    def __init__(
        self,
        keys: Sequence[KeySettings],
        spent_before: Callable[[str, int], int],
        folder: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits: Mapping[str, int] = {
            key.name: usd_to_nano(key.usd_per_day) or 0 for key in keys if key.usd_per_day is not None
        }
        self._shared = {name: SharedSpending(folder, name) for name in self._limits}
        self._spent_before, self._clock = spent_before, clock
        self._is_taken_up = False

    def __bool__(self) -> bool:
        return bool(self._limits)

    def check(self, key: KeySettings | None) -> None:
        """Stop a key that has spent its day's money. Asks no database: the event loop may call it.

        Raises
        ------
        RequestProblem
            429 until midnight UTC; 503 as long as the ledger has never been heard of this process's first day.
        """
        if key is None or key.name not in self._limits:
            return
        if not self._is_taken_up:
            raise RequestProblem(
                503, "ledger_unavailable", "It is not known what this key has spent today.", retry_after_s=10
            )
        day = int(self._clock() // _DAY_S)
        if self._shared[key.name].of(day) >= self._limits[key.name]:
            left_s = _DAY_S - self._clock() % _DAY_S
            raise RequestProblem(
                429, "insufficient_quota", "This key has spent its limit for today.", retry_after_s=left_s
            )

    def spend(self, name: str | None, nanousd: int | None) -> None:
        """Add what a call cost; an unknown cost cannot be held against a limit."""
        if name in self._limits and name is not None and nanousd is not None:
            self._shared[name].add(int(self._clock() // _DAY_S), nanousd)

    def known(self) -> tuple[int, dict[str, int]]:
        """The day since 1970 and what the ledger knows of it by key; asks the database, so not for the event loop."""
        day = int(self._clock() // _DAY_S)
        return day, {name: self._spent_before(name, day * _DAY_S * 1000) for name in self._limits}

    def take_up(self, day: int, known: Mapping[str, int]) -> None:
        """Raise the count to what :meth:`known` said, where other machines have spent too."""
        for name, nanousd in known.items():
            self._shared[name].raise_to(day, nanousd)
        self._is_taken_up = True

    def close(self) -> None:
        """Close the files."""
        for one in self._shared.values():
            one.close()
