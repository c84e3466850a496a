"""What each kind of request in a log costs, what its answers are, and how often its inputs recur.

Memory is bounded: counters, a sketch of at most SAMPLE_ANSWERS answers a kind, and hashes of a sample of inputs.
What a student would cover is not known before it is learnt, so a saving is given as its upper bound alone: all that
the kind costs. Costs follow ``economics.prices``; unknown ones are ``None`` and never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from understudy.calls.exchanges import Identified
from understudy.dataset.inspection import rows_for_certificate
from understudy.dataset.kind_tally import SAMPLE_ANSWERS, Spend, Tally, joined
from understudy.dataset.kinds import RequestKind, RequestKinds
from understudy.dataset.splits import DEFAULT_SHARES
from understudy.economics.prices import TeacherPrice
from understudy.task.task import Task

__all__ = ["KindSurvey", "Survey", "survey_kinds"]

_DAY_S, _MONTH_DAYS = 86_400.0, 30.0


@dataclass(frozen=True, slots=True)
class KindSurvey:
    """One kind of request.

    Attributes
    ----------
    kind
        Which; ``None`` for the calls that belong to none.
    n_calls
        How many.
    spend
        What they did cost.
    share_of_spend
        Of all that is known to have been spent, in [0, 1]; ``None`` where the kind's is unknown.
    tokens
        Mean input and output tokens of the calls that carry them, or ``None``.
    task
        The answers' fields as ``learn`` would see them, or ``None`` without answers.
    repeats
        Share of calls whose input came before, in [0, 1]; beyond 4,096 different inputs estimated from a sample.
    models
        Calls per model, commonest first.
    """

    kind: RequestKind | None
    n_calls: int
    spend: Spend
    share_of_spend: float | None
    tokens: tuple[float | None, float | None]
    task: Task | None
    repeats: float | None
    models: dict[str, int]

    @property
    def deferred(self) -> tuple[str, ...]:
        """Fields that no student can answer: lists, which are kept as their JSON text."""
        fields = () if self.task is None else self.task.fields
        return tuple(item.name for item in fields if item.holds_json)

    @property
    def texts(self) -> tuple[str, ...]:
        """Fields of free text, which take the writer rung."""
        fields = () if self.task is None else self.task.fields
        return tuple(item.name for item in fields if item.kind == "text" and not item.holds_json)

    @property
    def is_learnable(self) -> bool:
        """Whether a student can answer every field."""
        return self.kind is not None and self.task is not None and not self.deferred

    @property
    def answer(self) -> str:
        """The answers' type, for people."""
        if self.task is None:
            return "no answers"
        fields = self.task.fields
        if self.task.is_plain:
            only = fields[0]
            words = {"text": "lists" if only.holds_json else "free text"}
            of = f" of {len(only.labels)}" if only.labels else ""
            return words.get(only.kind, f"{only.kind}{of}")
        text = len(self.texts)
        shown = f"object of {len(fields)} field{'s' * (len(fields) != 1)}"
        lists = f", {len(self.deferred)} of lists" if self.deferred else ""
        return f"{shown}, {text} free text{lists}" if text else shown + lists

    @property
    def calls_missing(self) -> int:
        """How many more calls a certificate at 95 % takes at least."""
        needed = math.ceil(rows_for_certificate()[0] / DEFAULT_SHARES[2])
        return max(0, needed - self.n_calls)

    def to_dict(self, month_factor: float | None) -> dict[str, Any]:
        """JSON form."""
        known = self.spend.known_usd
        most = known if self.is_learnable and not self.spend.n_unknown else None
        fields = () if self.task is None else self.task.fields
        return {
            "name": None if self.kind is None else self.kind.name,
            "calls": self.n_calls,
            "spend": self.spend.to_dict(),
            "share_of_spend": self.share_of_spend,
            "mean_tokens": {"input": self.tokens[0], "output": self.tokens[1]},
            "models": self.models,
            "answer": self.answer,
            "fields": [
                {"name": item.name, "kind": item.kind, "labels": len(item.labels) or None} for item in fields
            ],
            "free_text_fields": list(self.texts),
            "list_fields": list(self.deferred),
            "is_learnable": self.is_learnable,
            "calls_missing": self.calls_missing,
            "repeated_inputs": self.repeats,
            "would_save_at_most": {
                "usd_in_log": most,
                "usd_per_30_days": None if most is None or month_factor is None else most * month_factor,
            },
            "instructions": None if self.kind is None else self.kind.instructions,
        }


@dataclass(frozen=True, slots=True)
class Survey:
    """All kinds of a log.

    Attributes
    ----------
    kinds
        Sorted by what they cost, then by calls.
    other
        The calls that belong to no kind.
    days
        From the first call to the last, or ``None`` where times are unknown.
    """

    kinds: tuple[KindSurvey, ...]
    other: KindSurvey
    days: float | None

    @property
    def n_calls(self) -> int:
        """All calls."""
        return self.other.n_calls + sum(one.n_calls for one in self.kinds)

    @property
    def spend(self) -> Spend:
        """What all calls did cost."""
        spends = [one.spend for one in (*self.kinds, self.other) if one.n_calls]
        known = [one.known_usd for one in spends if one.known_usd is not None]
        return Spend(
            math.fsum(known) if known else None,
            sum(one.n_known for one in spends),
            sum(one.n_unknown for one in spends),
            joined(" + ", (one.source for one in spends)),
            joined("; ", (one.reason for one in spends)),
        )

    @property
    def month_factor(self) -> float | None:
        """What makes a sum of this log one of 30 days; ``None`` for less than a day."""
        return None if self.days is None or self.days < 1 else _MONTH_DAYS / self.days

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "calls": self.n_calls,
            "days": self.days,
            "spend": self.spend.to_dict(),
            "kinds": [one.to_dict(self.month_factor) for one in self.kinds],
            "other": self.other.to_dict(self.month_factor),
            "would_save_at_most": "all that the kind costs; coverage is not known before learning",
        }


def survey_kinds(
    exchanges: Iterable[Identified],
    kinds: RequestKinds,
    price: TeacherPrice | None = None,
    progress: Callable[[str, float | None], None] | None = None,
) -> Survey:
    """Count, price and type the calls of each kind.

    Parameters
    ----------
    exchanges
        The log in which `kinds` were found.
    kinds
        From :func:`~understudy.dataset.kinds.find_kinds`.
    price
        For calls whose cost is neither recorded nor follows from tokens and a list price.
    progress
        Called with a phase.
    """
    tallies: dict[str | None, Tally] = {
        kind.name: Tally(step=max(1, math.ceil(kind.n_seen / SAMPLE_ANSWERS))) for kind in kinds.kinds
    }
    other = tallies[None] = Tally()
    first, last, n_timed = math.inf, -math.inf, 0
    for row, (_, exchange) in enumerate(exchanges, 1):
        kind = kinds.kind_of(exchange.messages, exchange.output_format)
        if kind is None:
            text = exchange.messages[-1][1]
        else:
            text, _, _ = kind.template.cut(exchange.messages, exchange.output_format)
        tallies[kind.name if kind else None].add(text, exchange.output, exchange.facts)
        if (time := exchange.facts.get("time")) is not None:
            first, last, n_timed = min(first, time), max(last, time), n_timed + 1
        if progress is not None and row % 5_000 == 0:
            progress(f"measuring ({row:,})", None)
    n_calls = sum(tally.n_calls for tally in tallies.values())
    days = (last - first) / _DAY_S if n_timed == n_calls and n_calls > 1 else None
    prices: dict[str, TeacherPrice | None] = {}
    spends = {name: tally.spend(price, prices) for name, tally in tallies.items() if tally.n_calls}
    total = math.fsum(one.known_usd for one in spends.values() if one.known_usd is not None)

    def surveyed(kind: RequestKind | None, tally: Tally) -> KindSurvey:
        name = kind.name if kind else None
        spend = spends.get(name, Spend(None, 0, 0, None, "no calls"))
        share = spend.known_usd / total if spend.known_usd is not None and total > 0 else None
        models = dict(sorted(tally.models.items(), key=lambda item: (-item[1], item[0]))[:10])
        return KindSurvey(
            kind, tally.n_calls, spend, share, tally.tokens(), tally.task(name or "other"),
            tally.inputs.repeats(), models,
        )  # fmt: skip

    found = [surveyed(kind, tallies[kind.name]) for kind in kinds.kinds if tallies[kind.name].n_calls]
    found.sort(
        key=lambda one: (-(one.spend.known_usd or 0.0), -one.n_calls, one.kind.name if one.kind else "")
    )
    return Survey(tuple(found), surveyed(None, other), days)
