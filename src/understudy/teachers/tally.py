"""Counts of what was asked of one teacher in one run: calls, tries, tokens, money. Only sums, no texts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from understudy.calls.call import Usage
from understudy.economics.nano import NANO

__all__ = ["Tally", "usd"]

_COUNTS = ("input", "output", "cached")


def usd(amount_nanousd: int) -> float:
    """Nano-dollars as dollars, for reading; sums are made before."""
    return amount_nanousd / NANO


@dataclass
class Tally:
    """Filled while a teacher is asked.

    Attributes
    ----------
    n_answered, n_cached
        Answers that came in this run, and answers from the cache.
    failed
        Questions without an answer after all tries, by reason.
    retries
        Tries that failed and were followed by another, by reason.
    n_not_asked
        Questions that the budget, or a stop, left unasked.
    tokens
        Read, written and read from cache, summed over the answers of this run that say so.
    n_replies, n_said
        Replies that were counted, and how many of them said each of these numbers.
    cost_nanousd, n_unknown_cost
        What the answers of this run cost, and how many are not in it because their cost is unknown.
    maybe_billed_nanousd, n_maybe_billed
        The most that tries without an answer may have been billed, and their number.
    n_cut_off
        Answers that ended at the limit of tokens.
    latencies_ms
        Of the answers of this run.
    failed_in_a_row
        Questions since the last answer of this run.
    """

    n_answered: int = 0
    n_cached: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    n_not_asked: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    n_replies: int = 0
    n_said: Counter[str] = field(default_factory=Counter)
    cost_nanousd: int = 0
    n_unknown_cost: int = 0
    maybe_billed_nanousd: int = 0
    n_maybe_billed: int = 0
    n_cut_off: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    failed_in_a_row: int = 0

    def answered(
        self, usage: Usage, cost_nanousd: int | None, latency_ms: float, *, is_cut_off: bool
    ) -> None:
        """Count an answer of this run."""
        self.n_answered += 1
        self.failed_in_a_row = 0
        self.n_cut_off += is_cut_off
        self.latencies_ms.append(latency_ms)
        self.count_reply(usage, cost_nanousd)

    def count_reply(self, usage: Usage, cost_nanousd: int | None) -> None:
        """Count tokens and money of a reply."""
        self.n_replies += 1
        counts = {"input": usage.input_tokens, "output": usage.output_tokens, "cached": usage.cached_tokens}
        for name, count in counts.items():
            if count is not None:
                self.tokens[name] += count
                self.n_said[name] += 1
        if cost_nanousd is None:
            self.n_unknown_cost += 1
        else:
            self.cost_nanousd += cost_nanousd

    def to_dict(self) -> dict[str, Any]:
        """JSON form: what is unknown is ``None`` with the reason beside it."""
        reasons = {
            f"{name}_tokens": f"{self.n_replies - self.n_said[name]} of {self.n_replies} replies do not say; not in the sum"
            for name in _COUNTS
            if self.n_said[name] < self.n_replies
        }
        if self.n_unknown_cost:
            reasons["cost_usd"] = (
                f"the cost of {self.n_unknown_cost} replies is unknown: no price, or no token counts"
            )
        ordered = sorted(self.latencies_ms)
        return {
            "calls": {
                "answered": self.n_answered,
                "cached": self.n_cached,
                "failed": sum(self.failed.values()),
                "failed_by_reason": dict(sorted(self.failed.items())),
                "not_asked": self.n_not_asked,
                "retries": sum(self.retries.values()),
                "retries_by_reason": dict(sorted(self.retries.items())),
                "cut_off": self.n_cut_off,
            },
            "tokens": {
                name: self.tokens[name] if self.n_said[name] or not self.n_replies else None
                for name in _COUNTS
            },
            "cost_usd": None if self.n_unknown_cost else usd(self.cost_nanousd),
            "cost_nanousd": self.cost_nanousd,
            "unknown": reasons,
            "maybe_billed": {
                "tries": self.n_maybe_billed,
                "at_most_nanousd": self.maybe_billed_nanousd,
                "at_most_usd": usd(self.maybe_billed_nanousd),
            },
            "latency_ms": {
                name: ordered[int(share * (len(ordered) - 1))] if ordered else None
                for name, share in (("median", 0.5), ("p95", 0.95))
            },
        }
