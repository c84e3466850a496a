"""What a provider's headers say about its rate limits: Retry-After and x-ratelimit-*, in their several spellings.

Times come as ``1m30.5s`` or ``20ms`` (OpenAI, Groq), as plain seconds (Azure, most gateways), as seconds or
milliseconds since 1970 (OpenRouter), or as a date. What is not understood counts as not said.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["RateLimits", "parse_wait_s", "read_rate_limits"]

_UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|[dhms])")
_PAST_1970_S = 1e9
"""A larger number is no wait (it would be 31 years) but a time since 1970: in seconds, or in milliseconds above 1e12."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What one reply said; ``None`` where it said nothing.

    Attributes
    ----------
    retry_after_s
        Seconds to wait before anything is sent.
    requests_left, tokens_left
        How much of the allowance remained.
    requests_reset_s, tokens_reset_s
        Seconds until the allowance is whole again.
    """

    retry_after_s: float | None = None
    requests_left: int | None = None
    requests_reset_s: float | None = None
    tokens_left: int | None = None
    tokens_reset_s: float | None = None


def read_rate_limits(headers: Mapping[str, str]) -> RateLimits:
    """Read the headers of a reply; names in lower case."""
    after_ms = parse_wait_s(headers.get("retry-after-ms"))
    return RateLimits(
        retry_after_s=parse_wait_s(headers.get("retry-after")) if after_ms is None else after_ms / 1000,
        requests_left=_count(headers.get("x-ratelimit-remaining-requests")),
        requests_reset_s=parse_wait_s(headers.get("x-ratelimit-reset-requests")),
        tokens_left=_count(headers.get("x-ratelimit-remaining-tokens")),
        tokens_reset_s=parse_wait_s(headers.get("x-ratelimit-reset-tokens")),
    )


def parse_wait_s(text: str | None) -> float | None:
    """Seconds from now on, at least 0; ``None`` if `text` is no time."""
    if text is None or not (text := text.strip()):
        return None
    try:
        number = float(text)
    except ValueError:
        return _parse_spelt(text)
    if not 0 <= number < 1e15:  # also false for NaN
        return None
    if number >= _PAST_1970_S:
        return max(0.0, (number / 1000 if number >= 1000 * _PAST_1970_S else number) - time.time())
    return number


def _parse_spelt(text: str) -> float | None:
    pieces = _PIECE.findall(text)
    if pieces and "".join(number + unit for number, unit in pieces) == text:
        return sum(float(number) * _UNITS_S[unit] for number, unit in pieces)
    try:
        then = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        try:
            then = datetime.fromisoformat(text)
        except ValueError:
            return None
    try:
        return max(0.0, (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - time.time())
    except (OverflowError, ValueError):
        return None


def _count(text: str | None) -> int | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return int(number) if 0 <= number < 1e15 else None
