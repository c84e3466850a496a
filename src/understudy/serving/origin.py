"""Keeps web pages away from a server that trusts everybody on its machine.

Without keys, whoever reaches the port may call. A page in the browser of that machine reaches it too: by a form or
a script of another site, or by a name that is made to point at 127.0.0.1. Such requests carry a foreign ``Origin``
or ``Host``.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from understudy.serving.problems import RequestProblem

__all__ = ["check_origin"]

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def check_origin(headers: Mapping[str, str], *, own_host: str) -> None:
    """Refuse what a page of another site sent.

    Raises
    ------
    RequestProblem
        403 if the request was addressed to, or comes from, a name that is not this machine's.
    """
    known = _LOOPBACK | {own_host}
    if _name(f"//{headers.get('host', '')}") not in known:
        raise RequestProblem(
            403, "wrong_host", "This server answers to its own address only; set keys for others."
        )
    origin = headers.get("origin")
    if origin is not None and _name(origin) not in known:
        raise RequestProblem(
            403, "foreign_origin", "Pages of other sites may not call this server; set keys."
        )


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
