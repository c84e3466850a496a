"""Forwards a request to a large model's endpoint, byte for byte, and gives back its reply as it streams in.

Tries again only what cannot have been answered: no connection, 429, 502, 503, 504, before a byte of a reply. The
address is fixed by the operator; nothing in a request can change where it goes.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from understudy.economics.nano import NanoPrice, listed_nano_price
from understudy.errors import ConfigError
from understudy.serving.breaker import Breaker
from understudy.serving.client import Client, ClientError, Reply, TooSlow, Unreachable, Unsendable
from understudy.serving.problems import RequestProblem
from understudy.serving.settings import UpstreamSettings
from understudy.serving.upstream_events import circuit_told, failed, retried

__all__ = ["NEVER_SENT", "Forwarded", "Upstream", "Upstreams"]

NEVER_SENT = frozenset(
    {
        "insufficient_quota",
        "invalid_request",
        "ledger_unavailable",
        "model_not_found",
        "nobody_to_ask",
        "teacher_unknown",
        "upstream_key_missing",
        "upstream_unavailable",
        "upstream_unreachable",
    }
)
"""Problems after which it is known that nobody got the request who could bill it."""

_AGAIN = frozenset({429, 502, 503, 504})
_FAILED = frozenset({500, 502, 503, 504})
_LONGEST_WAIT_S = 20.0
_FIRST_WAIT_S = 0.25
_DROPPED = frozenset(
    {
        "host", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade", "content-length", "accept-encoding", "authorization",
        "cookie", "expect",
    }
)  # fmt: skip
# A caller's own credentials, and whom the operator's key is billed to: only where callers' keys are passed on.
_DROPPED_OF_CALLERS = frozenset({"api-key", "x-api-key", "openai-organization", "openai-project"})
_DROPPED_BACK = frozenset(
    {
        "connection",
        "keep-alive",
        "transfer-encoding",
        "content-length",
        "content-encoding",
        "set-cookie",
        "server",
        "date",
    }
)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A reply that has begun.

    Attributes
    ----------
    reply
        Status and headers are there; the body streams. Must be closed.
    upstream
        Who answers.
    is_cost_known
        Whether nobody who was asked before can have answered, and billed, unseen.
    """

    reply: Reply
    upstream: Upstream
    is_cost_known: bool = True

    def headers(self) -> dict[str, str]:
        """Headers for the client, without those of one hop."""
        return {name: value for name, value in self.reply.headers.items() if name not in _DROPPED_BACK}


class Upstream:
    """One endpoint with its connections and its circuit breaker."""

    def __init__(self, settings: UpstreamSettings, breaker: Breaker | None = None) -> None:
        self.settings = settings
        price = settings.teacher_price()
        self.price = None if price is None else NanoPrice(price)
        self.breaker = breaker or Breaker(told=circuit_told(settings.url))
        self._client = Client(settings.url, connect_s=settings.connect_s, read_s=settings.read_s)
        settings.key()  # a key that cannot be had is told at start, not at the first call

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def send(
        self, method: str, path: str, query: bytes, headers: Mapping[str, str], body: bytes
    ) -> Forwarded:
        """Send, and try again where that is safe.

        Raises
        ------
        RequestProblem
            502 if it cannot be reached, 504 if it is too slow, 503 while its circuit is open.
        """
        if not self.breaker.allows():
            raise RequestProblem(
                503, "upstream_unavailable", "The upstream model is unavailable.", retry_after_s=10
            )
        sent = self._headers(headers)
        for attempt in range(self.settings.retries + 1):
            is_last = attempt == self.settings.retries
            try:
                reply = await self._client.send(method, path, query, sent, body)
            except Unreachable as error:
                self.breaker.failed()
                if is_last or self.breaker.is_open:
                    raise RequestProblem(
                        502, "upstream_unreachable", "The upstream model cannot be reached."
                    ) from error
                wait_s = _pause_s(attempt, None)
                retried(self.settings.url, attempt + 1, type(error).__name__, wait_s)
                await asyncio.sleep(wait_s)
            except TooSlow as error:
                self.breaker.failed()
                raise RequestProblem(
                    504, "upstream_timeout", "The upstream model took too long to answer."
                ) from error
            except Unsendable as error:
                self.breaker.gave_up()
                raise RequestProblem(
                    400, "invalid_request", "The request cannot be passed on as it is."
                ) from error
            except ClientError as error:
                self.breaker.failed()
                raise RequestProblem(
                    502, "upstream_broken", "The upstream model broke the connection."
                ) from error
            except asyncio.CancelledError:
                self.breaker.gave_up()
                raise
            else:
                if reply.status in _FAILED:
                    self.breaker.failed()
                else:
                    self.breaker.succeeded()
                wait_s = _pause_s(attempt, reply.headers.get("retry-after"))
                if is_last or reply.status not in _AGAIN or wait_s > _LONGEST_WAIT_S or self.breaker.is_open:
                    return Forwarded(reply, self)
                reply.close()
                retried(self.settings.url, attempt + 1, str(reply.status), wait_s)
                await asyncio.sleep(wait_s)
        raise AssertionError("unreachable")

    def _key(self) -> str | None:
        try:
            return self.settings.key()
        except ConfigError as error:  # it was there at start: a key file in rotation, say
            raise RequestProblem(502, "upstream_key_missing", "The upstream's key cannot be read.") from error

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        dropped = _DROPPED if self.settings.is_key_passed else _DROPPED | _DROPPED_OF_CALLERS
        sent = {name: value for name, value in headers.items() if name not in dropped}
        sent["accept-encoding"] = "identity"
        if self.settings.is_key_passed:
            if "authorization" in headers:
                sent["authorization"] = headers["authorization"]
        elif (key := self._key()) is not None:
            sent["authorization"] = f"Bearer {key}"
        return sent


class Upstreams:
    """The first upstream and, where it cannot answer, the second."""

    def __init__(self, members: Sequence[Upstream]) -> None:
        self.members = tuple(members)

    def __bool__(self) -> bool:
        return bool(self.members)

    async def warm_up(self) -> None:
        """Load the price list, if any price is to be looked up: it would hold up the first calls by half a second."""
        if any(one.price is None for one in self.members):
            await asyncio.to_thread(listed_nano_price, "gpt-4o-mini")

    async def close(self) -> None:
        """Close all."""
        for one in self.members:
            await one.close()

    async def send(
        self, method: str, path: str, query: bytes, headers: Mapping[str, str], body: bytes
    ) -> Forwarded:
        """The reply of the first that has one; see :meth:`Upstream.send`."""
        assert self.members, "no upstream is set"
        asked: RequestProblem | None = None  # of one that may have answered, and billed, unseen
        for one in self.members[:-1]:
            try:
                found = await one.send(method, path, query, headers, body)
            except RequestProblem as problem:
                failed(one.settings.url, problem.code)
                asked = asked if problem.code in NEVER_SENT else problem
                continue
            if found.reply.status not in _FAILED and found.reply.status != 429:
                return replace(found, is_cost_known=asked is None)
            found.reply.close()
        try:
            found = await self.members[-1].send(method, path, query, headers, body)
        except RequestProblem as problem:
            if asked is not None and problem.code in NEVER_SENT:
                raise asked from problem
            raise
        return replace(found, is_cost_known=asked is None)


def _pause_s(attempt: int, retry_after: str | None) -> float:
    """Seconds to wait: as the upstream says, else doubling with full jitter."""
    if retry_after is not None and (said := _said_s(retry_after)) is not None:
        return said
    return random.uniform(0.5, 1.0) * _FIRST_WAIT_S * 2.0**attempt


def _said_s(text: str) -> float | None:
    """``Retry-After`` in seconds, from a number or a date; ``None`` if it is neither."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
