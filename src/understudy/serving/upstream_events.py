"""What is told about upstreams: tries that are repeated, and circuits that open and close.

Upstreams are named by the host that the operator set; no path, no header and no word of a reply is told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from understudy.serving.events import tell

__all__ = ["circuit_told", "failed", "retried"]


def circuit_told(url: str) -> Callable[[bool], None]:
    """What a breaker calls when it opens (true) and closes (false)."""
    host = _host(url)

    def told(is_open: bool) -> None:
        level = logging.WARNING if is_open else logging.INFO
        tell(level, "breaker_opened" if is_open else "breaker_closed", upstream=host)

    return told


def retried(url: str, attempt: int, reason: str, wait_s: float) -> None:
    """Try number `attempt` (from 1) is to be repeated after `wait_s` seconds."""
    wait_s = round(wait_s, 3)
    tell(logging.INFO, "upstream_retry", upstream=_host(url), attempt=attempt, reason=reason, wait_s=wait_s)


def failed(url: str, code: str) -> None:
    """The first upstream did not answer, so the second is asked; nothing while its circuit is known to be open."""
    if code != "upstream_unavailable":
        tell(logging.WARNING, "upstream_failed", upstream=_host(url), error=code)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
