"""A large model behind an OpenAI-compatible endpoint: one request, one reply, no second try.

The address is fixed by whoever starts the job; replies are never followed elsewhere, and proxies, ``.netrc`` and
cookies are not used. Errors carry the status and the provider's short code, never a text: an error body may quote
the input.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any

import httpx

from understudy.calls.call import Usage
from understudy.calls.plain import usage_of
from understudy.errors import ConfigError
from understudy.teachers.rate_limits import RateLimits, read_rate_limits
from understudy.teachers.teacher import AskFailedError, Reply

__all__ = ["Endpoint", "read_key"]

_MAX_REPLY_BYTES = 16 * 2**20
_MOST_TOKENS = 10**9
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_SLOW_DOWN = frozenset({429, 503, 529})
_SAME_FOR_ALL = frozenset({401, 402, 403, 404, 405})
_USED_UP = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_KEY_PARAMETERS = frozenset(
    {"key", "api_key", "api-key", "apikey", "token", "access_token", "subscription-key"}
)
_OPENAI = "api.openai.com"


def read_key(url: str, key_env: str | None) -> str | None:
    """The key, from the environment.

    Parameters
    ----------
    url
        Whose key; without `key_env`, ``OPENAI_API_KEY`` is sent to api.openai.com only; ``-`` for
        no key.
    key_env
        Name of the variable, or ``None``.

    Raises
    ------
    ConfigError
        If the variable is not set, or holds what no header can.
    """
    name = key_env
    if name == "-":
        return None
    if name is None:
        if httpx.URL(url).host != _OPENAI:
            return None
        name = "OPENAI_API_KEY"
    key = os.environ.get(name, "").strip()
    if not key:
        raise ConfigError(
            f"the teacher's key is not in the environment: {name} is not set", todo=f"export {name}=..."
        )
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"the environment variable {name} holds no key: it has characters no key has")
    return key


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise ConfigError("a teacher's address is not understood") from error
    shown = f"{parsed.scheme}://{parsed.host}{parsed.path}"
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(
            "a teacher's address must begin with http:// or https://",
            given=shown,
            todo="for example --teacher https://api.openai.com/v1",
        )
    if parsed.userinfo or any(name.lower() in _KEY_PARAMETERS for name in parsed.params):
        raise ConfigError(
            "a teacher's address holds a key; others can read a command line",
            given=shown,
            todo="put the key into an environment variable and name it with --key-env",
        )
    return parsed


class Endpoint:
    """The endpoint with its connections.

    Parameters
    ----------
    url
        With the version's path: ``https://api.openai.com/v1``.
    model
        The model's name.
    key
        Sent as a bearer token; ``None`` for none.
    timeout_s
        For one request, from its start to the last byte of the reply.
    connections
        At most so many at once.
    """

    def __init__(
        self, url: str, model: str, *, key: str | None = None, timeout_s: float = 120.0, connections: int = 8
    ) -> None:
        parsed = _checked(url)
        path = parsed.path.rstrip("/").removesuffix("/chat/completions")
        port = "" if parsed.port is None else f":{parsed.port}"
        host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
        self.model = model
        self.address = f"{parsed.scheme}://{host}{port}{path}"
        # Newer models of OpenAI refuse the old name, other servers may not know the new one.
        self.max_tokens_key = "max_completion_tokens" if parsed.host == _OPENAI else "max_tokens"
        query = parsed.query.decode("ascii")
        self._url = f"{self.address}/chat/completions" + (f"?{query}" if query else "")
        self._timeout_s = timeout_s
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        headers = {"accept-encoding": "gzip, deflate", "user-agent": "understudy"}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            limits=limits,
            timeout=httpx.Timeout(timeout_s, connect=min(10.0, timeout_s)),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def ask(self, body: Mapping[str, Any]) -> Reply:
        """One try; see :class:`understudy.teachers.teacher.Teacher`."""
        begin = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                status, headers, raw = await self._post(json.dumps(body, ensure_ascii=False).encode("utf-8"))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise AskFailedError("no_connection", is_passing=True) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise AskFailedError("timeout", is_passing=True, is_maybe_billed=True) from error
        except httpx.HTTPError as error:
            raise AskFailedError("connection_broken", is_passing=True, is_maybe_billed=True) from error
        latency_ms = (time.perf_counter() - begin) * 1000
        limits = read_rate_limits(headers)
        if status != 200:
            raise _refusal(status, raw, limits)
        return _reply(raw, latency_ms, limits)

    async def _post(self, content: bytes) -> tuple[int, Mapping[str, str], bytes]:
        async with self._client.stream(
            "POST", self._url, content=content, headers={"content-type": "application/json"}
        ) as reply:
            raw = bytearray()
            async for chunk in reply.aiter_bytes():
                raw += chunk
                if len(raw) > _MAX_REPLY_BYTES:
                    raise AskFailedError("reply_too_long", is_maybe_billed=True)
            return reply.status_code, reply.headers, bytes(raw)


def _refusal(status: int, raw: bytes, limits: RateLimits) -> AskFailedError:
    code = _error_code(raw)
    is_used_up = code in _USED_UP
    # A length or content that one request is refused for comes as 400, 413 or 422.
    return AskFailedError(
        f"http_{status}_{code}" if code else f"http_{status}",
        is_passing=status in _PASSING and not is_used_up,
        is_same_for_all=status in _SAME_FOR_ALL or is_used_up,
        is_slow_down=status in _SLOW_DOWN and not is_used_up,
        # A gateway gives up on a model that goes on writing.
        is_maybe_billed=status in (408, 504, 524),
        limits=limits,
    )


def _error_code(raw: bytes) -> str | None:
    """The provider's word for the error, if it is one: a text would end up in logs."""
    try:
        error = json.loads(raw)["error"]
        found = error.get("code") or error.get("type")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) and _CODE.match(found) else None


def _reply(raw: bytes, latency_ms: float, limits: RateLimits) -> Reply:
    try:
        given = json.loads(raw)
        usage = _sane(usage_of(given.get("usage")))
        choice = given["choices"][0]
        message = choice["message"]
        content = message.get("content")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise AskFailedError("bad_reply", is_passing=True, is_maybe_billed=True, limits=limits) from error
    if isinstance(content, list):
        content = "".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    if not content:
        # A refusal in words is an answer, though none that fits.
        content = message.get("refusal")
    if not isinstance(content, str) or not content.strip():
        raise AskFailedError("empty_answer", is_maybe_billed=True, usage=usage, limits=limits)
    reason = choice.get("finish_reason")
    return Reply(content, usage, reason if isinstance(reason, str) else None, latency_ms, time.time(), limits)


def _sane(usage: Usage) -> Usage:
    """Counts that no call can have are unknown."""
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    return Usage(*(count if count is not None and count <= _MOST_TOKENS else None for count in counts))
