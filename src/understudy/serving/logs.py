"""Log lines as text or JSON on stderr, for this server's events, uvicorn's messages and those of other libraries.

A line holds no text of a caller, whoever logs it: errors are told by type and place without their message, and what
a library put into a message is left out, because it may quote a request (``httpx`` logs addresses, ``asyncio``
shows arguments).
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Final, Literal

from understudy.serving.events import where_it_broke

__all__ = ["LEVELS", "JsonFormatter", "LogFormat", "TextFormatter", "log_config"]

LogFormat = Literal["text", "json"]
LEVELS: Final = ("debug", "info", "warning", "error")
_OWN: Final = ("understudy", "uvicorn")
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    """The line as names and values, those that are ``None`` left out."""
    whole_s, fraction_s = divmod(record.created, 1)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole_s))
    facts: dict[str, Any] = {
        "time": f"{stamp}.{int(fraction_s * 1000):03d}Z",
        "level": record.levelname.lower(),
    }
    fields: dict[str, Any] | None = getattr(record, "fields", None)
    if fields is not None:
        facts["event"] = record.msg
        facts.update((name, value) for name, value in fields.items() if value is not None)
    else:
        facts["event"], facts["logger"] = "message", record.name
        if record.name.partition(".")[0] in _OWN:
            facts["message"] = record.getMessage().strip().partition("\n")[0]
        else:
            # Its words without what it filled in; a message that came whole may quote anything.
            facts["message"] = str(record.msg) if record.args else None
            facts["place"] = f"{record.filename}:{record.lineno}"
    if record.exc_info and record.exc_info[0] is not None:
        facts["error"] = where_it_broke(record.exc_info)
    return facts


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ``time``, ``level``, ``event``, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return _encode(_facts(record))


class TextFormatter(logging.Formatter):
    """Time, level, event, then ``name=value``; values with spaces in quotes."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        facts = _facts(record)
        head = f"{facts.pop('time')} {facts.pop('level'):<7} {facts.pop('event')}"
        return " ".join(
            [head, *(f"{name}={_shown(value)}" for name, value in facts.items() if value is not None)]
        )


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else _encode(value)
    is_plain = text.isascii() and text.isprintable() and not set(text) & set(' "=')
    return text if is_plain or not isinstance(value, str) else _encode(value)


def log_config(form: LogFormat, level: str, *, has_access_log: bool) -> dict[str, Any]:
    """The configuration for ``logging.config.dictConfig``, which uvicorn hands to its workers too.

    Parameters
    ----------
    form
        ``text`` or ``json``.
    level
        One of :data:`LEVELS`, for this program's events. Other libraries are heard from ``warning`` on whatever the
        level (httpx tells addresses and headers below it), and so is uvicorn unless it is ``debug``.
    has_access_log
        Whether calls are told, one line each.
    """
    loud = level.upper()
    uvicorn = loud if level in ("debug", "error") else "WARNING"
    kind = JsonFormatter if form == "json" else TextFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"{kind.__module__}.{kind.__name__}"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "line"}
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "understudy": {"level": loud},
            "understudy.access": {"level": "INFO" if has_access_log else "CRITICAL"},
            "uvicorn": {"level": uvicorn},
            "uvicorn.error": {"level": uvicorn},
        },
    }
