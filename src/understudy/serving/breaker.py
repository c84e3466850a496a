"""A circuit breaker: after failures in a row an upstream is left alone for a while, then tried by one call."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Breaker"]


class Breaker:
    """Open after `most_failures` failures in a row; after `rest_s` seconds one call may try.

    `told` is called with true when it opens and with false when it closes. Not for several threads: it lives in one
    event loop.
    """

    def __init__(
        self,
        most_failures: int = 5,
        rest_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[bool], None] | None = None,
    ) -> None:
        self._most_failures, self._rest_s, self._clock, self._told = most_failures, rest_s, clock, told
        self._failures = 0
        self._open_until = 0.0
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are kept away."""
        return self._failures >= self._most_failures and (self._clock() < self._open_until or self._is_trying)

    def allows(self) -> bool:
        """Whether this call may go; after a rest, one at a time may."""
        if self._failures < self._most_failures:
            return True
        if self.is_open:
            return False
        self._is_trying = True
        return True

    def succeeded(self) -> None:
        """The upstream answered."""
        was_open, self._failures, self._is_trying = self._failures >= self._most_failures, 0, False
        if was_open and self._told is not None:
            self._told(False)

    def failed(self) -> None:
        """It did not."""
        self._failures += 1
        self._is_trying = False
        if self._failures >= self._most_failures:
            self._open_until = self._clock() + self._rest_s
        if self._failures == self._most_failures and self._told is not None:
            self._told(True)

    def gave_up(self) -> None:
        """The call ended without telling anything of the upstream (its caller left)."""
        self._is_trying = False
