"""Who sits before the browser: signed sessions without a store, so that any worker knows them.

A session says a key's name and when it ends, signed with a secret that all workers of a spool folder share, and with
the key's hash: a key that is removed or renewed ends its sessions. The key itself is checked once and kept nowhere.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from understudy.serving.problems import RequestProblem
from understudy.serving.settings import KeySettings

__all__ = ["COOKIE", "SESSION_S", "LoginLimit", "Sessions", "shared_secret"]

COOKIE: Final = "understudy_session"
SESSION_S: Final = 12 * 3600
"""A working day with room; after that the key is asked for again."""

_SECRET_BYTES = 32
_MOST_ADDRESSES = 1_000


def shared_secret(folder: Path) -> bytes:
    """A random secret that lies in a spool folder, readable by its owner only; made by whoever comes first.

    It is not derived from settings: those who may read them must not be able to sign sessions.

    Raises
    ------
    OSError
        If it can neither be read nor made.
    """
    path = folder / "dashboard.secret"
    if not path.exists():
        # Whole under its name or not at all, and the first of several workers wins.
        scratch = folder / f"dashboard.secret.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(secrets.token_bytes(_SECRET_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(scratch, path)
        finally:
            scratch.unlink()
    return path.read_bytes()


class Sessions:
    """Opens sessions and knows them again.

    Parameters
    ----------
    keys
        The operator's; without any, everybody who reaches the port is let in, as by the API.
    secret
        See :func:`shared_secret`.
    clock
        Unix time in seconds.
    """

    def __init__(
        self, keys: Sequence[KeySettings], secret: bytes, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = {key.name: key for key in keys}
        self._secret, self._clock = secret, clock

    @property
    def is_open_to_all(self) -> bool:
        """Whether nobody has to log in."""
        return not self._keys

    def open(self, key: KeySettings) -> str:
        """A new session's cookie.

        Raises
        ------
        RequestProblem
            403 if the key is not an operator's.
        """
        if not key.is_admin:
            raise RequestProblem(403, "not_admin", "This key is not an operator's (is_admin = true).")
        name = base64.urlsafe_b64encode(key.name.encode()).decode()
        text = f"{name}.{int(self._clock()) + SESSION_S}"
        return f"{text}.{self._sign(text, key)}"

    def key_of(self, cookie: str | None) -> KeySettings | None:
        """The key of a session; ``None`` if there is no session, it is over, or it is not ours."""
        text, _, signature = (cookie or "").rpartition(".")
        encoded, _, ends = text.partition(".")
        try:
            key = self._keys[base64.urlsafe_b64decode(encoded.encode()).decode()]
            is_over = int(ends) <= self._clock()
        except (KeyError, ValueError):
            return None
        is_ours = hmac.compare_digest(signature.encode(), self._sign(text, key).encode())
        return key if is_ours and not is_over and key.is_admin else None

    def form_token(self, cookie: str | None) -> str:
        """What a form of this session has to bring back, so that no other site can send it."""
        return hmac.new(self._secret, f"form {cookie or ''}".encode(), hashlib.sha256).hexdigest()

    def _sign(self, text: str, key: KeySettings) -> str:
        words = f"session {text} {key.sha256.lower()}"
        return hmac.new(self._secret, words.encode(), hashlib.sha256).hexdigest()


class LoginLimit:
    """Holds an address to so many failed attempts in a window of time; per process.

    Parameters
    ----------
    most
        Failed attempts that are let through.
    window_s
        In so many seconds.
    clock
        Monotonic time in seconds.
    """

    def __init__(
        self, most: int = 10, window_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._window_s, self._clock = most, window_s, clock
        self._failed: dict[str, deque[float]] = {}

    def check(self, address: str) -> None:
        """Stop an address that failed too often.

        Raises
        ------
        RequestProblem
            429 until its attempts are old enough.
        """
        failed = self._failed.get(address)
        while failed and failed[0] <= self._clock() - self._window_s:
            failed.popleft()
        if failed and len(failed) >= self._most:
            raise RequestProblem(
                429,
                "too_many_logins",
                "Too many failed attempts; wait a minute.",
                retry_after_s=self._window_s,
            )

    def failed(self, address: str) -> None:
        """Count one."""
        if len(self._failed) >= _MOST_ADDRESSES and address not in self._failed:
            self._failed.pop(next(iter(self._failed)))
        self._failed.setdefault(address, deque()).append(self._clock())
