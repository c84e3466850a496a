"""What a teacher's call costs: as recorded, else recorded tokens by a price table, else a price the user
gives.

Prices per model come from the genai-prices package (inside its wheel; pinned by the lock of whoever
installs it); a model it does not know has no price here either. Unknown is ``None`` with a reason, never 0.
Prices are read as linear in tokens at 1,000 tokens a call: tiers for very long prompts are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.errors import ConfigError

__all__ = ["CallCosts", "TeacherPrice", "call_costs", "model_price", "parse_teacher_price"]

FloatColumn = npt.NDArray[np.float64]
_PROBE_TOKENS = 1000
_PAIR = re.compile(r"\s*\$?([\d.eE+-]+)\s*/\s*\$?([\d.eE+-]+)\s*\Z")


@dataclass(frozen=True, slots=True)
class TeacherPrice:
    """A price: per call, or per million tokens.

    Attributes
    ----------
    usd_per_call
        Dollars per call, or ``None`` where it goes by tokens.
    usd_per_million_in, usd_per_million_out, usd_per_million_cached
        Dollars per million tokens read, written, read from cache (``None``: as read).
    source
        Where the price comes from, for people.
    """

    usd_per_call: float | None = None
    usd_per_million_in: float | None = None
    usd_per_million_out: float | None = None
    usd_per_million_cached: float | None = None
    source: str = "given"

    def costs(self, n_in: FloatColumn, n_out: FloatColumn, n_cached: FloatColumn) -> FloatColumn:
        """Dollars per call from token counts, NaN where they are unknown; cached tokens are part of those
        read.
        """
        if self.usd_per_call is not None:
            return np.full(len(n_in), self.usd_per_call)
        price_in, price_out = self.usd_per_million_in or 0.0, self.usd_per_million_out or 0.0
        price_cached = price_in if self.usd_per_million_cached is None else self.usd_per_million_cached
        cached = np.minimum(np.nan_to_num(n_cached, nan=0.0), np.nan_to_num(n_in, nan=0.0))
        total = (n_in - cached) * price_in + cached * price_cached + n_out * price_out
        return np.asarray(total / 1e6, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class CallCosts:
    """What the calls of a log cost.

    Attributes
    ----------
    usd
        Per call, NaN where unknown, shape (n,).
    mean_usd
        Mean of the known ones, or ``None``.
    n_known
        How many are known.
    source
        ``recorded``, ``tokens x price list``, ``given price`` or several joined by ``+``.
    reason
        Why the mean (or part of the calls) is unknown; ``None`` if all are known.
    """

    usd: FloatColumn
    mean_usd: float | None
    n_known: int
    source: str | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the calls."""
        return {
            "mean_usd": self.mean_usd, "known_calls": self.n_known, "calls": len(self.usd),
            "source": self.source, "reason": self.reason,
        }  # fmt: skip


def parse_teacher_price(text: str) -> TeacherPrice:
    """Read ``--teacher-price``: ``0.002`` dollars per call, or ``0.15/0.60`` per million tokens in / out.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    pair = _PAIR.match(text)
    try:
        numbers = [float(part) for part in (pair.groups() if pair else [text.strip().lstrip("$")])]
    except ValueError:
        numbers = []
    if not numbers or any(not math.isfinite(number) or number < 0 for number in numbers):
        raise ConfigError(
            "a teacher's price is not understood",
            given=repr(text),
            todo="give dollars per call (0.002), or dollars per million tokens in/out (0.15/0.60)",
        )
    if pair:
        return TeacherPrice(None, numbers[0], numbers[1], source="given price")
    return TeacherPrice(numbers[0], source="given price")


def model_price(model: str) -> TeacherPrice | None:
    """Price of a model by name, or ``None`` if genai-prices does not know it (or is not installed)."""
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None

    def cost(**tokens: int) -> float:
        return float(calc_price(Usage(**tokens), model_ref=model).total_price)

    try:
        per_in = cost(input_tokens=_PROBE_TOKENS, output_tokens=0)
        per_out = cost(input_tokens=0, output_tokens=_PROBE_TOKENS)
        per_cached = cost(input_tokens=_PROBE_TOKENS, cache_read_tokens=_PROBE_TOKENS, output_tokens=0)
    except (LookupError, ValueError, TypeError):
        return None
    scale = 1e6 / _PROBE_TOKENS
    return TeacherPrice(
        None, per_in * scale, per_out * scale, per_cached * scale, source="tokens x price list"
    )


def call_costs(
    recorded_usd: FloatColumn,
    n_in: FloatColumn,
    n_out: FloatColumn,
    n_cached: FloatColumn,
    models: Sequence[str | None],
    price: TeacherPrice | None = None,
) -> CallCosts:
    """Cost per call: recorded, else tokens by the model's list price, else `price`.

    Parameters
    ----------
    recorded_usd, n_in, n_out, n_cached
        Shape (n,), NaN where unknown.
    models
        The model's name per call.
    price
        What the user gave; it fills only what the log leaves open.
    """
    usd = recorded_usd.copy()
    sources = ["recorded"] if not np.isnan(usd).all() else []
    reasons: list[str] = []
    is_open = np.isnan(usd)
    has_tokens = ~(np.isnan(n_in) | np.isnan(n_out))
    names = {model for model, is_needed in zip(models, is_open & has_tokens, strict=True) if is_needed}
    if names:
        column = np.array([model or "" for model in models], dtype=object)
        for model in sorted(names, key=lambda name: name or ""):
            listed = model_price(model) if model else None
            if listed is None:
                reasons.append(f"no list price for model {model}" if model else "calls without a model name")
                continue
            rows = is_open & has_tokens & (column == model)
            usd[rows] = listed.costs(n_in[rows], n_out[rows], n_cached[rows])
            sources.append(listed.source)
    if (is_open & ~has_tokens).any():
        reasons.append("no recorded cost and no token counts")
    if price is not None and np.isnan(usd).any():
        rows = np.isnan(usd)
        usd[rows] = price.costs(n_in[rows], n_out[rows], n_cached[rows])
        sources.append(price.source)
    n_known = int((~np.isnan(usd)).sum())
    reason = None
    if n_known < len(usd):
        reason = "; ".join(dict.fromkeys(reasons)) or "no calls"
        if price is not None and price.usd_per_call is None:
            reason += "; the given price needs token counts"
    mean = float(np.nanmean(usd)) if n_known else None
    return CallCosts(usd, mean, n_known, " + ".join(dict.fromkeys(sources)) if n_known else None, reason)
