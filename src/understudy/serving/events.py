"""What the server tells its operator: one event per line, with fields, and never a text, a key or a header.

It does not know how a line looks (``logs``); it only names what happened.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Final

__all__ = ["ACCESS", "tell", "where_it_broke"]

_LOG: Final = logging.getLogger("understudy.serving")
ACCESS: Final = logging.getLogger("understudy.access")
"""Lines about single calls; on or off by itself, whatever the level of the others."""

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def tell(level: int, event: str, *, logger: logging.Logger = _LOG, **fields: Any) -> None:
    """Log one event.

    Parameters
    ----------
    level
        Of the standard library's ``logging``.
    event
        One word for machines, such as ``breaker_opened``.
    logger
        Where.
    **fields
        Numbers and names that the operator or this program chose. Nothing that a caller or an upstream wrote.
    """
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={"fields": fields})


def where_it_broke(caught: ExcInfo | None = None) -> str:
    """Type and place of an error (``None``: the one in work); its message is left out, as it could hold a text."""
    kind, _, trace = caught or sys.exc_info()
    frames = traceback.extract_tb(trace)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"{'error' if kind is None else kind.__name__} at {place}"
