"""The HTTP client towards an upstream: one pool of connections, and three ways in which it can fail.

It knows no retries and no keys; bytes go out and come in as they are.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Final

import aiohttp
import yarl

__all__ = ["Broken", "Client", "ClientError", "Reply", "TooSlow", "Unreachable", "Unsendable"]

# Shorter than servers keep idle connections, so that few go stale: uvicorn 5 seconds, load balancers a minute.
_IDLE_S: Final = 4.0
_IDLE_TLS_S: Final = 30.0
_SPARE_S: Final = 30.0
_NOT_ADDED: Final = ("user-agent", "accept", "accept-encoding", "content-type")


class ClientError(Exception):
    """A request failed on its way; the message never holds anything of it."""


class Unreachable(ClientError):  # noqa: N818  (says what happened, as ClientError's kinds)
    """No connection: nothing was sent."""


class TooSlow(ClientError):  # noqa: N818
    """The upstream was silent for too long."""


class Broken(ClientError):  # noqa: N818
    """The connection broke, or what came was no HTTP."""


class Unsendable(ClientError):  # noqa: N818
    """The request cannot be written down as HTTP: nothing was sent, and the upstream is not to blame."""


class Reply:
    """A reply that has begun: its status and headers are there, its body streams. Must be closed.

    Attributes
    ----------
    status
        HTTP status.
    headers
        By lower-case name, decoded as Latin-1; of a name that comes twice the last.
    """

    __slots__ = ("_reply", "headers", "status")

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self._reply = reply
        self.status = reply.status
        self.headers: Mapping[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reply.raw_headers
        }

    async def read(self) -> bytes:
        """The whole body.

        Raises
        ------
        TooSlow, Broken
            If it does not come to its end.
        """
        try:
            return await self._reply.read()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _kind(error) from error

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes.

        Raises
        ------
        TooSlow, Broken
            If it does not come to its end.
        """
        try:
            async for piece in self._reply.content.iter_any():
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _kind(error) from error

    def close(self) -> None:
        """Let go of the connection: to be used again if the body was read, else it is cut. Idempotent."""
        self._reply.release()


class Client:
    """Connections to one host.

    Parameters
    ----------
    url
        Base address, with the version's path.
    connect_s, read_s
        Time limits in seconds: to connect; between two bytes of a reply.
    """

    def __init__(self, url: str, *, connect_s: float, read_s: float) -> None:
        self._base = yarl.URL(url.rstrip("/"))
        self._prefix = str(self._base.with_query(None).with_fragment(None)).rstrip("/") + "/"
        self._connect_s, self._read_s = connect_s, read_s
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        # Made at the first request: a session belongs to the event loop that runs it.
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # the server bounds calls in work
                keepalive_timeout=_IDLE_TLS_S if self._base.scheme == "https" else _IDLE_S,
                ssl=_trusted() if self._base.scheme == "https" else True,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._connect_s, sock_read=self._read_s
                ),
                trust_env=False,  # neither proxies nor .netrc
                skip_auto_headers=_NOT_ADDED,
                auto_decompress=True,
                raise_for_status=False,
            )
        return self._session

    async def send(
        self, method: str, path: str, query: bytes, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        """Send a request and wait until its reply begins. Redirects are not followed.

        Raises
        ------
        Unreachable, TooSlow, Broken
            If no reply begins.
        """
        target = self._prefix + path + (f"?{query.decode('latin-1')}" if query else "")
        try:
            url = yarl.URL(target, encoded=True)
            # The silence limit begins only when all is sent: an upstream that reads nothing needs its own.
            async with asyncio.timeout(self._connect_s + self._read_s + _SPARE_S):
                reply = await self._opened().request(
                    method, url, headers=headers, data=body or None, allow_redirects=False
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _kind(error) from error
        return Reply(reply)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def _kind(error: Exception) -> ClientError:
    kind = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Unreachable(kind)
    if isinstance(error, TimeoutError):
        return TooSlow(kind)
    if isinstance(error, aiohttp.InvalidURL) or (
        isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError)
    ):
        return Unsendable(kind)
    return Broken(kind)


def _trusted() -> ssl.SSLContext:
    """Authorities of the system (or of ``SSL_CERT_FILE``) and, for systems without any, certifi's."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
