"""How many requests may be in work at once: a slot is held until the reply has been sent, streams to their end."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["Room"]


class Room:
    """Slots for requests.

    Parameters
    ----------
    most
        At once.

    Attributes
    ----------
    in_work
        Slots that are taken now.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.in_work = 0

    @property
    def is_full(self) -> bool:
        """Whether the next request has to be refused."""
        return self.in_work >= self._most

    def enter(self) -> None:
        """Take a slot."""
        self.in_work += 1

    def leave(self) -> None:
        """Give it back."""
        self.in_work -= 1

    def until_sent(self, response: Response) -> Response:
        """The response, which gives the slot back once it is sent or cannot be."""
        return _Sent(response, self)


class _Sent(Response):
    """Another response, and what is to be done after it."""

    def __init__(self, response: Response, room: Room) -> None:
        self._response, self._room = response, room
        self.status_code, self.background = response.status_code, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._response(scope, receive, send)
        finally:
            self._room.leave()
