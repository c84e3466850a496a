"""What a run of labelling did and cost: every call, token and nano-dollar, per teacher and in all.

Money stands twice: ``cost_nanousd`` is the exact sum in whole nano-dollars, ``cost_usd`` the same for reading, or
``None`` where part of it is unknown, with the reason beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.teachers.asking import Asker
from understudy.teachers.tally import usd
from understudy.units import format_duration, format_usd

__all__ = ["Receipt", "money_facts", "receipt_path", "teacher_facts"]


def receipt_path(out: Path) -> Path:
    """Where the receipt of an output lies."""
    return out.with_name(f"{out.name}.receipt.json")


def teacher_facts(asker: Asker) -> dict[str, Any]:
    """One teacher's part."""
    return {
        "address": asker.teacher.address,
        "model": asker.teacher.model,
        "price_source": None if asker.price is None else asker.price.source,
        **asker.tally.to_dict(),
        "slow_downs": asker.limiter.n_slow_downs,
        "concurrency_at_end": int(asker.limiter.limit),
    }


def money_facts(
    askers: Sequence[Asker], limit_nanousd: int | None, before_nanousd: int, spent_nanousd: int
) -> dict[str, Any]:
    """All teachers together.

    Parameters
    ----------
    askers
        The teachers.
    limit_nanousd
        ``--max-usd``, or ``None``.
    before_nanousd
        What earlier runs of the same job count for.
    spent_nanousd
        What is counted against the limit now, those included.
    """
    cost = sum(asker.tally.cost_nanousd for asker in askers)
    maybe = sum(asker.tally.maybe_billed_nanousd for asker in askers)
    n_unknown = sum(asker.tally.n_unknown_cost for asker in askers)
    is_priced = all(asker.price is not None for asker in askers)
    reason = None
    if n_unknown:
        reason = f"the cost of {n_unknown} replies is unknown: " + (
            "they came without token counts" if is_priced else "no price; give --teacher-price"
        )
    return {
        "cost_usd": None if n_unknown else usd(cost),
        "cost_nanousd": cost,
        "unknown_replies": n_unknown,
        "reason": reason,
        "maybe_billed_at_most_nanousd": maybe if is_priced else None,
        "max_usd": None if limit_nanousd is None else usd(limit_nanousd),
        "earlier_runs_nanousd": before_nanousd,
        "counted_against_max_nanousd": spent_nanousd,
    }


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt of a run.

    Attributes
    ----------
    facts
        JSON form.
    """

    facts: dict[str, Any]

    @property
    def n_missing(self) -> int:
        """Questions without an answer."""
        calls = [teacher["calls"] for teacher in self.facts["teachers"]]
        return sum(int(call["failed"] + call["not_asked"]) for call in calls)

    @property
    def is_complete(self) -> bool:
        """Whether every line was an input, and every question was answered."""
        return not self.n_missing and not self.facts["lines"]["refused"]

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(self.facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)  # noqa: PTH105  (Path.replace does the same)

    def brief(self) -> list[str]:
        """A few lines for people."""
        lines, money = self.facts["lines"], self.facts["money"]
        calls = [teacher["calls"] for teacher in self.facts["teachers"]]
        total = {
            name: sum(call[name] for call in calls) for name in ("answered", "cached", "failed", "retries")
        }
        out = [
            ", ".join(
                f"{lines[name.replace('-', '_').replace(' ', '_')]:,} {name}"
                for name in ("labelled", "failed", "not asked", "refused", "off-schema")
            ),
            "calls: "
            + ", ".join(
                f"{total[key]:,} {name}"
                for key, name in (
                    ("answered", "new"),
                    ("cached", "from the cache"),
                    ("failed", "failed"),
                    ("retries", "retries"),
                )
            )
            + f", in {format_duration(self.facts['wall_s'])}",
        ]
        if not total["answered"] and total["cached"] and not total["failed"]:
            out.append("cost: $0; every answer was in the cache")
        elif money["cost_usd"] is None:
            out.append(f"cost: unknown ({money['reason']})")
        else:
            out.append(f"cost: {format_usd(money['cost_usd'])}")
        if money["maybe_billed_at_most_nanousd"]:
            most = format_usd(usd(money["maybe_billed_at_most_nanousd"]))
            out.append(f"perhaps billed for tries without an answer: at most {most}")
        for teacher in self.facts["teachers"]:
            reasons = teacher["calls"]["failed_by_reason"]
            if reasons:
                said = ", ".join(f"{count:,} x {word}" for word, count in reasons.items())
                out.append(f"failed ({teacher['model']}): {said}")
        out += [f"note: {note}" for note in self.facts["notes"]]
        if self.facts["stopped"]:
            out.append(f"stopped: {self.facts['stopped']}")
        return out
