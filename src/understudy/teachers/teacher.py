"""The contract of a teacher: asked one request, it gives one reply, or says why not.

Knows nothing of tasks, money or repeats: those who ask decide what to ask, whether to ask again and who pays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from understudy.calls.call import Usage
from understudy.teachers.rate_limits import RateLimits

__all__ = ["AskFailedError", "Reply", "Teacher"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a teacher said.

    Attributes
    ----------
    text
        Its words, untouched.
    usage
        Tokens as the provider counted them.
    finish_reason
        Why it ended, in the provider's word (``stop``, ``length``), or ``None``.
    latency_ms
        From sending the request to the last byte of the reply.
    time_s
        When the reply came, seconds since 1970 (UTC).
    limits
        What the provider said about its rate limits.
    """

    text: str
    usage: Usage
    finish_reason: str | None
    latency_ms: float
    time_s: float
    limits: RateLimits = field(default_factory=RateLimits)


class AskFailedError(Exception):
    """No usable reply to one request.

    Attributes
    ----------
    word
        The reason, for machines: ``http_500``, ``timeout``, ``no_connection`` ... Never a text of a request or reply.
    is_passing
        Whether asking again may help.
    is_same_for_all
        Whether any other request would fare the same (a wrong key, a used-up quota).
    is_slow_down
        Whether the provider asks for fewer requests.
    is_maybe_billed
        Whether the provider may charge for it all the same.
    usage
        Tokens, where the provider counted some although nothing usable came.
    limits
        What the provider said about its rate limits.
    """

    def __init__(
        self,
        word: str,
        *,
        is_passing: bool = False,
        is_same_for_all: bool = False,
        is_slow_down: bool = False,
        is_maybe_billed: bool = False,
        usage: Usage | None = None,
        limits: RateLimits | None = None,
    ) -> None:
        super().__init__(word)
        self.word = word
        self.is_passing, self.is_same_for_all = is_passing, is_same_for_all
        self.is_slow_down, self.is_maybe_billed = is_slow_down, is_maybe_billed
        self.usage = usage
        self.limits = RateLimits() if limits is None else limits


class Teacher(Protocol):
    """Whoever answers.

    Attributes
    ----------
    address
        Where it is, without any key; part of the cache's key.
    model
        The model's name.
    """

    address: str
    model: str

    async def ask(self, body: Mapping[str, Any]) -> Reply:
        """One try at one request.

        Parameters
        ----------
        body
            A chat completion request.

        Raises
        ------
        AskFailedError
            If there is no usable reply.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
