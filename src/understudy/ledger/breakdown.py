"""Sums per hour or day and task, and latencies per task: what a page that is looked at often needs, quickly.

Sums are exact; percentiles of many calls are those of a sample, which says so. Times are milliseconds since 1970,
UTC. Both are answered from one index that holds no texts (migration 4), so that neither a million rows nor long
requests make a page slow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, case, func, literal_column, select

from understudy.ledger.database import Ledger
from understudy.ledger.queries import Latency, MoneySum, Totals
from understudy.ledger.record import ANSWERERS, AnsweredBy
from understudy.ledger.schema import calls

__all__ = ["MOST_RANKED", "Breakdown", "SampledLatency", "Step", "breakdown", "latency_by_task", "merged"]

Step = Literal["hour", "day"]
Breakdown = dict[tuple[int, str | None], Totals]
"""Totals by start of the hour or day (milliseconds since 1970, UTC) and task."""

MOST_RANKED: Final = 50_000
"""Calls that are ranked for percentiles, about. Of a sample of n the share below its p-th percentile has a standard
error of sqrt(p (1 - p) / n) (binomial): the 99th of 50,000 is the 98.96th to the 99.04th of all."""

_STEP_MS: Final = {"hour": 3_600_000, "day": 86_400_000}


def _bucket(step: Step) -> ColumnElement[int]:
    # As the index spells it: SQLite compares expressions, and a bound parameter would not be equal.
    return literal_column(f"(understudy_calls.time_ms / {_STEP_MS[step]})")


def breakdown(ledger: Ledger, step: Step, since_ms: int, task: str | None = None) -> Breakdown:
    """Totals per hour or day and task, for all calls since the start of the hour or day that `since_ms` lies in.

    Parameters
    ----------
    ledger
        Where from.
    step
        How finely; hours read whole rows and are meant for a day or so.
    since_ms
        From when.
    task
        Only this task's, or ``None``.

    Raises
    ------
    LedgerError
        If the database does not answer.
    """
    c, bucket = calls.c, _bucket(step)
    first = since_ms // _STEP_MS[step]
    # What is saved is known where both costs are; NULL less anything is NULL, and counts nowhere.
    saving = c.teacher_cost_nanousd - c.cost_nanousd
    query = select(
        bucket.label("bucket"),
        c.task,
        c.answered_by,
        func.count().label("n"),
        func.coalesce(func.sum(c.cost_nanousd), 0).label("cost"),
        func.count(c.cost_nanousd).label("n_cost"),
        func.coalesce(func.sum(c.teacher_cost_nanousd), 0).label("teacher"),
        func.count(c.teacher_cost_nanousd).label("n_teacher"),
        func.coalesce(func.sum(saving), 0).label("saving"),
        func.count(saving).label("n_saving"),
        func.count(c.is_agreeing).label("n_compared"),
        func.count(case((c.is_agreeing, 1))).label("n_agreeing"),
    ).where(bucket >= first if step == "day" else c.time_ms >= first * _STEP_MS[step])
    if task is not None:
        query = query.where(c.task == task)
    with ledger.reading() as connection:
        rows = connection.execute(query.group_by(bucket, c.task, c.answered_by)).mappings().all()
    groups: dict[tuple[int, str | None], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((int(row["bucket"]) * _STEP_MS[step], row["task"]), []).append(dict(row))
    return {key: _totals(group) for key, group in sorted(groups.items(), key=_by_time_and_name)}


def _by_time_and_name(item: tuple[tuple[int, str | None], object]) -> tuple[int, bool, str]:
    (start_ms, task), _ = item
    return start_ms, task is None, task or ""


def _totals(rows: Sequence[Mapping[str, Any]]) -> Totals:
    def total(name: str) -> int:
        return sum(int(row[name]) for row in rows)  # PostgreSQL adds up BIGINT as NUMERIC

    answered: dict[AnsweredBy, int] = dict.fromkeys(ANSWERERS, 0)
    for row in rows:
        answered[row["answered_by"]] += row["n"]
    n_calls = total("n")
    students = [row for row in rows if row["answered_by"] == "student"]
    saved, n_saved = (sum(int(row[name]) for row in students) for name in ("saving", "n_saving"))
    return Totals(
        n_calls,
        answered,
        MoneySum(total("cost"), total("n_cost"), n_calls - total("n_cost")),
        MoneySum(total("teacher"), total("n_teacher"), n_calls - total("n_teacher")),
        MoneySum(saved, n_saved, answered["student"] - n_saved),
        total("n_compared"),
        total("n_agreeing"),
    )


def merged(parts: Iterable[Totals]) -> Totals:
    """Totals of totals."""
    known = list(parts)

    def money(name: Literal["cost", "teacher_cost", "saving"]) -> MoneySum:
        sums: list[MoneySum] = [getattr(one, name) for one in known]
        return MoneySum(
            sum(one.known_nanousd for one in sums),
            sum(one.n_known for one in sums),
            sum(one.n_unknown for one in sums),
        )

    return Totals(
        sum(one.n_calls for one in known),
        {name: sum(one.answered[name] for one in known) for name in ANSWERERS},
        money("cost"),
        money("teacher_cost"),
        money("saving"),
        sum(one.n_compared for one in known),
        sum(one.n_agreeing for one in known),
    )


@dataclass(frozen=True, slots=True)
class SampledLatency:
    """Percentiles of latency, and of how many calls.

    Attributes
    ----------
    latency
        Nearest rank, over the calls that were ranked.
    one_in
        1 if all calls were ranked, else every so-manieth, by the millisecond that it came in.
    """

    latency: Latency
    one_in: int


def latency_by_task(
    ledger: Ledger, since_ms: int, n_calls: int, task: str | None = None
) -> dict[str | None, SampledLatency]:
    """Percentiles of latency per task, over all who answered.

    Parameters
    ----------
    ledger
        Where from.
    since_ms
        From when.
    n_calls
        About how many calls there are; of more than :data:`MOST_RANKED` a sample is ranked: those that came in a
        millisecond which a whole number divides. That is random where calls do not come by the clock.
    task
        Only this task's, or ``None``.

    Raises
    ------
    LedgerError
        If the database does not answer.
    """
    c = calls.c
    one_in = max(1, math.ceil(n_calls / MOST_RANKED))
    # The day first, as the index has it.
    where = [_bucket("day") >= since_ms // _STEP_MS["day"], c.time_ms >= since_ms]
    if one_in > 1:
        where.append(c.time_ms % one_in == 0)
    if task is not None:
        where.append(c.task == task)
    found: dict[str | None, list[int]] = {}
    with ledger.reading() as connection:
        for name, latency_us in connection.execute(select(c.task, c.latency_us).where(*where)):
            found.setdefault(name, []).append(latency_us)
    return {name: SampledLatency(_percentiles(sorted(ranked)), one_in) for name, ranked in found.items()}


def _percentiles(ranked: Sequence[int]) -> Latency:
    p50, p95, p99 = (ranked[math.ceil(share * len(ranked) / 100) - 1] for share in (50, 95, 99))
    return Latency(len(ranked), p50, p95, p99)
