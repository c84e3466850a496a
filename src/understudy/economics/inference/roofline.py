"""Time of a pass: reading a prompt, writing a token. The slower of arithmetic and memory, plus the engine's own time.

The roofline of Williams, Waterman and Patterson (CACM 52(4), 2009): a pass takes at least as long as its
arithmetic and at least as long as its memory traffic; the two overlap. Prefill and decode formulas follow
Pope et al. (arXiv:2211.05102) and Chen (kipp.ly, "Transformer inference arithmetic", 2022). It knows nothing of
queues, of tokenisers, of the network, or of batches whose sequences differ in length.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from understudy.economics.inference.rates import Rates, Span
from understudy.economics.inference.traffic import cache_traffic_bytes, weight_traffic_bytes
from understudy.economics.transformer.flops import decode_flop_per_token, prefill_flop
from understudy.economics.transformer.memory import PAPER, CachePolicy
from understudy.economics.transformer.precision import Precision
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = ["Bound", "Formats", "PassTime", "decode_pass", "prefill_pass"]

Bound = Literal["arithmetic", "memory", "engine"]


@dataclass(frozen=True, slots=True)
class Formats:
    """How a model is kept.

    Attributes
    ----------
    weights, cache
        Number formats.
    policy
        What the engine keeps in the cache.
    """

    weights: Precision
    cache: Precision
    policy: CachePolicy = PAPER


@dataclass(frozen=True, slots=True)
class PassTime:
    """Time of one pass over a batch.

    Attributes
    ----------
    seconds
        With its limits; ``None`` with `reason` where the machine's arithmetic is unknown and matters.
    flop, traffic_bytes
        What has to be done.
    arithmetic_seconds, memory_seconds, engine_seconds
        Typical time of each part; the slower of the first two counts (their sum where they do not overlap),
        and the third.
    bound
        What binds: the largest part.
    reason
        Why something is unknown.
    """

    seconds: Span | None
    flop: float
    traffic_bytes: float
    arithmetic_seconds: float | None
    memory_seconds: float
    engine_seconds: float
    bound: Bound | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def prefill_pass(
    shape: ModelShape, rates: Rates, formats: Formats, *, n_tokens: int, batch: int = 1
) -> PassTime:
    """Time to read `n_tokens` of each of `batch` prompts at once, up to the first token written.

    Raises
    ------
    ConfigError
        If `n_tokens` or `batch` is below 1.
    """
    _check_batch(batch)
    flop = batch * prefill_flop(shape, n_tokens)
    traffic = weight_traffic_bytes(shape, formats.weights, batch * n_tokens)
    return _time(rates, flop, traffic, _engine(shape, rates, batch * n_tokens), is_prefill=True)


def decode_pass(
    shape: ModelShape, rates: Rates, formats: Formats, *, context: float, batch: int = 1
) -> PassTime:
    """Time to write one token of each of `batch` sequences whose contexts are `context` tokens.

    Raises
    ------
    ConfigError
        If `batch` is below 1 or `context` below 0.
    """
    _check_batch(batch)
    flop = batch * decode_flop_per_token(shape, context)
    traffic = weight_traffic_bytes(shape, formats.weights, batch)
    traffic += cache_traffic_bytes(shape, formats.cache, batch=batch, context=context, policy=formats.policy)
    return _time(rates, flop, traffic, _engine(shape, rates, batch), is_prefill=False)


def _check_batch(batch: int) -> None:
    if batch < 1:
        raise ConfigError("batch must be 1 or more", given=str(batch))


def _engine(shape: ModelShape, rates: Rates, n_tokens: int) -> Span:
    """What the engine takes besides, for a pass over `n_tokens` tokens in all."""
    n_elements = n_tokens * shape.n_layers * shape.d_model
    return _sum(
        rates.layer_seconds.map(lambda seconds: seconds * shape.n_layers),
        rates.element_seconds.map(lambda seconds: seconds * n_elements),
    )


def _sum(one: Span, other: Span) -> Span:
    return Span(one.low + other.low, one.typical + other.typical, one.high + other.high)


def _slower(one: Span, other: Span) -> Span:
    return Span(max(one.low, other.low), max(one.typical, other.typical), max(one.high, other.high))


def _time(rates: Rates, flop: float, traffic: float, engine: Span, *, is_prefill: bool) -> PassTime:
    memory = rates.bytes_per_second.map(lambda rate: traffic / rate)
    if rates.flop_per_second is None:
        reason = "the device's arithmetic is unknown"
        if is_prefill:
            return PassTime(None, flop, traffic, None, memory.typical, engine.typical, None, reason)
        # A single sequence is bound by memory on every machine known; a batch may not be.
        reason += ": taken as bound by memory"
        seconds = _sum(memory, engine)
        return PassTime(seconds, flop, traffic, None, memory.typical, engine.typical, "memory", reason)
    arithmetic = rates.flop_per_second.map(lambda rate: flop / rate)
    both = _slower(arithmetic, memory) if rates.is_overlapping else _sum(arithmetic, memory)
    parts: dict[Bound, float] = {
        "arithmetic": arithmetic.typical,
        "memory": memory.typical,
        "engine": engine.typical,
    }
    slowest = max(parts, key=parts.__getitem__)
    return PassTime(
        _sum(both, engine), flop, traffic, arithmetic.typical, memory.typical, engine.typical, slowest
    )
