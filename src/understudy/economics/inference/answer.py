"""A whole call: read p tokens, write q. Waiting times, throughput, money and energy.

All sequences of a batch start together, are alike, and are read in one pass: the times of a server under
steady load differ by its scheduling. Contexts grow while writing; the time per token is the mean over them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from understudy.economics.inference.rates import Rates, Span
from understudy.economics.inference.roofline import Formats, PassTime, decode_pass, prefill_pass
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = ["AnswerTime", "answer_time", "cost_usd", "energy_joules"]

_MOST_POINTS = 32
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class AnswerTime:
    """Times of a batch of equal calls.

    Attributes
    ----------
    n_input, n_output, batch
        Tokens read and written per call; calls at once.
    prefill, decode
        The pass over the prompts; a pass that writes, at the middle context.
    first_token_seconds
        Until the first token.
    token_seconds
        Between tokens, on the mean.
    total_seconds
        The whole call.
    tokens_per_second
        Written by the whole batch, reading included.
    calls_per_hour
        Of the whole batch.

    Spans are ``None`` where the machine's arithmetic is unknown and decides.
    """

    n_input: int
    n_output: int
    batch: int
    prefill: PassTime
    decode: PassTime
    first_token_seconds: Span | None
    token_seconds: Span | None
    total_seconds: Span | None
    tokens_per_second: Span | None
    calls_per_hour: Span | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def answer_time(
    shape: ModelShape, rates: Rates, formats: Formats, *, n_input: int, n_output: int, batch: int = 1
) -> AnswerTime:
    """Times of `batch` calls of `n_input` tokens read and `n_output` written each.

    The first token comes out of the pass that reads; the other ``n_output - 1`` take a pass each.

    Raises
    ------
    ConfigError
        If a number is below 1.
    """
    for name, value in (("input tokens", n_input), ("output tokens", n_output), ("batch", batch)):
        if value < 1:
            raise ConfigError(f"{name} must be 1 or more", given=str(value))
    prefill = prefill_pass(shape, rates, formats, n_tokens=n_input, batch=batch)
    contexts = _contexts(n_input, n_output)
    passes = [decode_pass(shape, rates, formats, context=context, batch=batch) for context in contexts]
    token = _mean([one.seconds for one in passes if one.seconds is not None])
    first, total, rate, calls = prefill.seconds, None, None, None
    if first is not None and token is not None:
        n_more = n_output - 1
        total = Span(
            first.low + n_more * token.low,
            first.typical + n_more * token.typical,
            first.high + n_more * token.high,
        )
        rate = total.map(lambda seconds: batch * n_output / seconds)
        calls = total.map(lambda seconds: batch * _SECONDS_PER_HOUR / seconds)
    return AnswerTime(
        n_input, n_output, batch, prefill, passes[len(passes) // 2], first, token, total, rate, calls
    )


def _contexts(n_input: int, n_output: int) -> list[float]:
    """Contexts of the passes that write, or some evenly spaced ones of them."""
    first, last = n_input + 1, n_input + max(1, n_output - 1)
    n_points = min(_MOST_POINTS, last - first + 1)
    if n_points == 1:
        return [float(first)]
    return [first + (last - first) * at / (n_points - 1) for at in range(n_points)]


def _mean(spans: list[Span]) -> Span | None:
    if not spans:
        return None
    n = len(spans)
    low, typical, high = (
        sum(getattr(span, name) for span in spans) / n for name in ("low", "typical", "high")
    )
    return Span(min(low, typical), typical, max(high, typical))


def cost_usd(total_seconds: Span, usd_per_hour: float, *, batch: int) -> Span:
    """Dollars per call of a machine that is always as busy as this."""
    return total_seconds.map(lambda seconds: seconds * usd_per_hour / _SECONDS_PER_HOUR / batch)


def energy_joules(total_seconds: Span, watts: float, *, batch: int) -> Span:
    """Joules per call at a constant power."""
    return total_seconds.map(lambda seconds: seconds * watts / batch)
