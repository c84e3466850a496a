"""How many requests may be under way at one provider: learnt from its answers and headers.

Additive increase, multiplicative decrease (Chiu and Jain 1989; TCP's congestion control): every success lets in
1/limit more, a request to slow down halves, once per round trip. On top of that nothing is sent before a time
that the provider named (Retry-After), nor where its headers say that no request or too few tokens are left until
the allowance is reset.

It knows nothing of what is asked, nor of other processes that use the same key: those show as slow-downs.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from understudy.teachers.rate_limits import RateLimits
from understudy.teachers.teacher import AskFailedError

__all__ = ["LONGEST_WAIT_S", "Limiter", "Ticket"]

LONGEST_WAIT_S = 600.0
"""A provider that asks for more patience (a daily quota) ends the job instead: its cache is kept, it can go on later."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request under way.

    Attributes
    ----------
    number
        How many requests had been sent, this one included.
    n_tokens
        How many tokens those were expected to take, this one included.
    """

    number: int
    n_tokens: int


@dataclass(slots=True)
class _Allowance:
    """What is left of requests, or of tokens, until when, and the request whose reply said so."""

    left: int
    until: float
    number: int


class Limiter:
    """Lets requests in.

    Parameters
    ----------
    most
        Requests under way at once, at most; the limit starts there.
    clock
        Seconds that only go forward.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        assert most >= 1, "a limiter that lets nothing in"
        self.limit = float(most)
        self.n_slow_downs = 0
        self._most, self._clock = most, clock
        self._n_inside = self._n_sent = self._tokens_sent = 0
        self._cut_at = 0
        self._not_before = 0.0
        self._requests: _Allowance | None = None
        self._tokens: _Allowance | None = None
        self._changed = asyncio.Event()

    async def enter(self, n_tokens: int) -> Ticket:
        """Wait for a place; give it back with :meth:`leave`.

        Parameters
        ----------
        n_tokens
            How many tokens, read and written, the request is likely to take.

        Raises
        ------
        AskFailedError
            If the provider asks to wait longer than :data:`LONGEST_WAIT_S`.
        """
        while True:
            hold_s = self._hold_s(n_tokens)
            if hold_s > LONGEST_WAIT_S:
                raise AskFailedError(f"asked_to_wait_{hold_s:.0f}_s", is_same_for_all=True)
            if hold_s <= 0 and self._n_inside < int(self.limit):
                break
            changed = self._changed
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), hold_s if hold_s > 0 else None)
        self._n_inside += 1
        self._n_sent += 1
        self._tokens_sent += n_tokens
        if self._requests is not None:
            self._requests.left -= 1
        if self._tokens is not None:
            self._tokens.left -= n_tokens
        return Ticket(self._n_sent, self._tokens_sent)

    def leave(self, ticket: Ticket, limits: RateLimits, *, is_answered: bool, is_slow_down: bool) -> None:
        """The request is over; learn from how it ended."""
        self._n_inside -= 1
        if is_slow_down:
            self.n_slow_downs += 1
            if ticket.number > self._cut_at:  # the others of this round are the same news
                self.limit, self._cut_at = max(1.0, self.limit / 2), self._n_sent
        elif is_answered:
            self.limit = min(float(self._most), self.limit + 1 / self.limit)
        now = self._clock()
        if limits.retry_after_s is not None:
            self._not_before = max(self._not_before, now + limits.retry_after_s)
        self._requests = _learnt(
            self._requests, limits.requests_left, limits.requests_reset_s, now, ticket.number,
            self._n_sent - ticket.number,
        )  # fmt: skip
        self._tokens = _learnt(
            self._tokens, limits.tokens_left, limits.tokens_reset_s, now, ticket.number,
            self._tokens_sent - ticket.n_tokens,
        )  # fmt: skip
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _hold_s(self, n_tokens: int) -> float:
        """Seconds until the provider lets a request of this size in; 0 or less for now."""
        now = self._clock()
        if self._requests is not None and self._requests.until <= now:
            self._requests = None
        if self._tokens is not None and self._tokens.until <= now:
            self._tokens = None
        holds = [self._not_before - now]
        if self._requests is not None and self._requests.left < 1:
            holds.append(self._requests.until - now)
        if self._tokens is not None and self._tokens.left < n_tokens:
            holds.append(self._tokens.until - now)
        return max(holds)


def _learnt(
    known: _Allowance | None,
    left: int | None,
    reset_s: float | None,
    now: float,
    number: int,
    sent_since: int,
) -> _Allowance | None:
    """The allowance after a reply.

    What was sent after the request that it answers may not be counted in it yet, and is taken off. A reply to an
    earlier request than the one that is known is old news.
    """
    if left is None or reset_s is None or (known is not None and number < known.number):
        return known
    return _Allowance(left - sent_since, now + reset_s, number)
