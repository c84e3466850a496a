"""Adds up the calls of one kind of request: costs, tokens, answers, inputs that recur. In bounded memory.

It does not know what kinds there are, and decides nothing: see ``survey``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from understudy.calls.call import ABSENT, Usage
from understudy.economics.prices import TeacherPrice, model_price
from understudy.errors import DataError
from understudy.task.infer import infer_fields
from understudy.task.sketch import OutputSketch
from understudy.task.task import Task
from understudy.text.normalise import normalise_text

__all__ = ["SAMPLE_ANSWERS", "Spend", "Tally", "joined"]

SAMPLE_ANSWERS = 2_000
"""Answers of a kind from which its type is inferred."""

_KEPT_INPUTS = 4_096
_MAX_MODELS = 100


@dataclass(frozen=True, slots=True)
class Spend:
    """What calls did cost.

    Attributes
    ----------
    known_usd
        Sum over the calls whose cost is known, or ``None`` where none is.
    n_known, n_unknown
        Calls in the sum, and calls left out of it.
    source
        ``recorded``, ``tokens x price list``, ``given price`` or several joined by ``+``.
    reason
        Why some are unknown.
    """

    known_usd: float | None
    n_known: int
    n_unknown: int
    source: str | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "known_usd": self.known_usd, "known_calls": self.n_known, "unknown_calls": self.n_unknown,
            "source": self.source, "reason": self.reason,
        }  # fmt: skip


class _DistinctInputs:
    """How many different inputs: hashes below a limit, which is halved whenever too many are kept.

    Adaptive sampling (Wegman; Flajolet 1990): exact up to _KEPT_INPUTS different ones, beyond that with a relative
    error of about 1.2 / sqrt(_KEPT_INPUTS), 2 %.
    """

    def __init__(self) -> None:
        self.limit = 2**64
        self.per_hash: dict[int, int] = {}

    def add(self, text: str) -> None:
        digest = hashlib.blake2b(normalise_text(text).encode("utf-8", "surrogatepass"), digest_size=8)
        key = int.from_bytes(digest.digest(), "big")
        if key >= self.limit:
            return
        self.per_hash[key] = self.per_hash.get(key, 0) + 1
        while len(self.per_hash) > _KEPT_INPUTS:
            self.limit //= 2
            self.per_hash = {one: count for one, count in self.per_hash.items() if one < self.limit}

    def repeats(self) -> float | None:
        total = sum(self.per_hash.values())
        return 1 - len(self.per_hash) / total if total else None


@dataclass(slots=True)
class _Open:
    """Tokens of calls without a recorded cost, per model."""

    n_calls: int = 0
    n_in: int = 0
    n_out: int = 0
    n_cached: int = 0


@dataclass(slots=True)
class Tally:
    """What is added up; see the methods.

    Attributes
    ----------
    step
        Each `step`-th call's answer is looked at, until there are SAMPLE_ANSWERS.
    """

    step: int = 1
    n_calls: int = 0
    recorded_usd: list[float] = field(default_factory=list)
    n_recorded: int = 0
    n_without_tokens: int = 0
    open: dict[str | None, _Open] = field(default_factory=dict)
    token_sums: dict[str, list[int]] = field(default_factory=lambda: {"in": [0, 0], "out": [0, 0]})
    models: dict[str, int] = field(default_factory=dict)
    sketch: OutputSketch = field(default_factory=OutputSketch)
    inputs: _DistinctInputs = field(default_factory=_DistinctInputs)

    def add(self, text: str, output: Any, facts: dict[str, Any]) -> None:
        """Count one call: its input, its answer, and its other facts as ``ChatExchange`` has them."""
        if self.n_calls % self.step == 0 and self.sketch.n_rows < SAMPLE_ANSWERS:
            answer = output if output is not ABSENT else facts.get("gold", ABSENT)
            self.sketch.add(answer, text)
        self.n_calls += 1
        self.inputs.add(text)
        usage = facts.get("usage") or Usage()
        for name, count in (("in", usage.input_tokens), ("out", usage.output_tokens)):
            if count is not None:
                self.token_sums[name][0] += count
                self.token_sums[name][1] += 1
        model = facts.get("model")
        if model is not None and (model in self.models or len(self.models) < _MAX_MODELS):
            self.models[model] = self.models.get(model, 0) + 1
        self._add_cost(facts.get("cost_usd"), usage, model)

    def _add_cost(self, cost_usd: float | None, usage: Usage, model: str | None) -> None:
        if cost_usd is not None:
            self.n_recorded += 1
            self.recorded_usd.append(cost_usd)
            if len(self.recorded_usd) > 1_000:
                self.recorded_usd = [math.fsum(self.recorded_usd)]
        elif usage.input_tokens is None or usage.output_tokens is None:
            self.n_without_tokens += 1
        else:
            # Beyond a hundred models the rest counts as calls without a model's name.
            known = model if model in self.open or len(self.open) < _MAX_MODELS else None
            one = self.open.setdefault(known, _Open())
            one.n_calls += 1
            one.n_in += usage.input_tokens
            one.n_out += usage.output_tokens
            one.n_cached += min(usage.cached_tokens or 0, usage.input_tokens)

    def spend(self, price: TeacherPrice | None, prices: dict[str, TeacherPrice | None]) -> Spend:
        """What the calls did cost; `prices` keeps list prices by model, `price` is for what these leave open."""
        known, n_known = list(self.recorded_usd), self.n_recorded
        sources: list[str | None] = ["recorded"] if n_known else []
        reasons: list[str] = []
        for model, one in sorted(self.open.items(), key=lambda item: item[0] or ""):
            if model is not None and model not in prices:
                prices[model] = model_price(model)
            listed = price if model is None or prices[model] is None else prices[model]
            if listed is None:
                reasons.append(
                    "calls without a model name" if model is None else f"no list price for model {model}"
                )
                continue
            known.append(_cost(listed, one))
            n_known += one.n_calls
            sources.append(listed.source)
        if self.n_without_tokens and price is not None and price.usd_per_call is not None:
            known.append(price.usd_per_call * self.n_without_tokens)
            n_known += self.n_without_tokens
            sources.append(price.source)
        elif self.n_without_tokens:
            reasons.append("no recorded cost and no token counts")
        total = math.fsum(known) if n_known else None
        return Spend(total, n_known, self.n_calls - n_known, joined(" + ", sources), joined("; ", reasons))

    def task(self, name: str) -> Task | None:
        """The answers' fields, or ``None`` where there are no answers (or they have no field in common)."""
        try:
            return infer_fields(self.sketch, OutputSketch(), name).task
        except DataError:
            return None

    def tokens(self) -> tuple[float | None, float | None]:
        """Mean input and output tokens of the calls that carry them."""
        means = [total / count if count else None for total, count in self.token_sums.values()]
        return means[0], means[1]


def _cost(price: TeacherPrice, one: _Open) -> float:
    if price.usd_per_call is not None:
        return price.usd_per_call * one.n_calls
    # Prices are linear in tokens, so those of many calls may be added up first.
    sums = (np.array([float(count)]) for count in (one.n_in, one.n_out, one.n_cached))
    return float(price.costs(*sums)[0])


def joined(sign: str, texts: Iterable[str | None]) -> str | None:
    """Different parts of several texts, in order; ``None`` if there are none."""
    parts = [part for text in texts if text for part in text.split(sign)]
    return sign.join(dict.fromkeys(parts)) or None
