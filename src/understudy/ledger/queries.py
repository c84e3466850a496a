"""What the ledger says: counts, costs, savings, latencies, budgets.

Sums of money are whole nano-dollars and always come with how many calls they leave out, because what is unknown
is not 0. Times are milliseconds since 1970, UTC; `since_ms` is included, `until_ms` is not. What is still in a
spool is not seen here: a fraction of a second's calls, more while the database was down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, case, func, select

from understudy.ledger.database import Ledger
from understudy.ledger.record import ANSWERERS, AnsweredBy, CallRecord
from understudy.ledger.schema import TEXT_COLUMNS, audits, calls

__all__ = [
    "Latency",
    "MoneySum",
    "Totals",
    "by_day",
    "by_task",
    "latency_percentiles",
    "recent",
    "spent_nanousd",
    "totals",
]

_DAY_MS = 86_400_000
_Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class MoneySum:
    """A sum of money over calls.

    Attributes
    ----------
    known_nanousd
        Sum over the calls where it is known, nano-dollars.
    n_known, n_unknown
        Calls that are in the sum, and calls that are left out of it.
    """

    known_nanousd: int
    n_known: int
    n_unknown: int

    @property
    def total_nanousd(self) -> int | None:
        """The sum, or ``None`` if one of the calls is unknown."""
        return None if self.n_unknown else self.known_nanousd


@dataclass(frozen=True, slots=True)
class Totals:
    """Calls added up.

    Attributes
    ----------
    n_calls
        All of them.
    answered
        Calls per answerer; all four names are there.
    cost
        What they did cost.
    teacher_cost
        What they would have cost at the teacher.
    saving
        Teacher's cost less cost, over the calls that the student answered and both are known for; may be
        negative.
    n_compared, n_agreeing
        Calls in shadow mode where the student was compared with upstream, and where it was equal.
    """

    n_calls: int
    answered: Mapping[AnsweredBy, int]
    cost: MoneySum
    teacher_cost: MoneySum
    saving: MoneySum
    n_compared: int
    n_agreeing: int

    @property
    def coverage(self) -> float | None:
        """Share of calls that the student answered, in [0, 1]; ``None`` without calls."""
        return self.answered["student"] / self.n_calls if self.n_calls else None

    def to_dict(self) -> dict[str, Any]:
        """JSON form; an unknown total is null."""
        sums = {"cost": self.cost, "teacher_cost": self.teacher_cost, "saving": self.saving}
        return {
            "calls": self.n_calls,
            "answered": dict(self.answered),
            "coverage": self.coverage,
            **{name: {**asdict(value), "total_nanousd": value.total_nanousd} for name, value in sums.items()},
            "compared": self.n_compared,
            "agreeing": self.n_agreeing,
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of latency: of n calls in order, the ceil(p·n)-th (nearest rank).

    Attributes
    ----------
    n_calls
        How many were ranked.
    p50_us, p95_us, p99_us
        Microseconds; ``None`` without calls.
    """

    n_calls: int
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None


def _where(
    since_ms: int | None = None,
    until_ms: int | None = None,
    task: str | None = None,
    answered_by: Sequence[AnsweredBy] | None = None,
) -> list[_Condition]:
    found: list[_Condition] = []
    if since_ms is not None:
        found.append(calls.c.time_ms >= since_ms)
    if until_ms is not None:
        found.append(calls.c.time_ms < until_ms)
    if task is not None:
        found.append(calls.c.task == task)
    if answered_by is not None:
        found.append(calls.c.answered_by.in_(list(answered_by)))
    return found


def _count_if(condition: _Condition) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _sums() -> list[ColumnElement[Any]]:
    c = calls.c
    is_saved = and_(
        c.answered_by == "student", c.cost_nanousd.is_not(None), c.teacher_cost_nanousd.is_not(None)
    )
    saving = case((is_saved, c.teacher_cost_nanousd - c.cost_nanousd))
    return [
        func.count().label("n_calls"),
        *(_count_if(c.answered_by == name).label(f"n_{name}") for name in ANSWERERS),
        func.coalesce(func.sum(c.cost_nanousd), 0).label("cost"),
        func.count(c.cost_nanousd).label("n_cost"),
        func.coalesce(func.sum(c.teacher_cost_nanousd), 0).label("teacher_cost"),
        func.count(c.teacher_cost_nanousd).label("n_teacher_cost"),
        func.coalesce(func.sum(saving), 0).label("saving"),
        func.count(saving).label("n_saving"),
        func.count(c.is_agreeing).label("n_compared"),
        _count_if(c.is_agreeing.is_(True)).label("n_agreeing"),
    ]


def _totals(given: RowMapping) -> Totals:
    n_calls = given["n_calls"]
    answered: dict[AnsweredBy, int] = {name: given[f"n_{name}"] for name in ANSWERERS}

    def money(name: str, n_in_question: int) -> MoneySum:
        # PostgreSQL adds up BIGINT as NUMERIC, which is exact and comes as Decimal.
        n_known = given[f"n_{name}"]
        return MoneySum(int(given[name]), n_known, n_in_question - n_known)

    return Totals(
        n_calls,
        answered,
        money("cost", n_calls),
        money("teacher_cost", n_calls),
        money("saving", answered["student"]),
        given["n_compared"],
        given["n_agreeing"],
    )


def totals(
    ledger: Ledger,
    since_ms: int | None = None,
    until_ms: int | None = None,
    task: str | None = None,
    answered_by: Sequence[AnsweredBy] | None = None,
) -> Totals:
    """Add up the calls of a time, a task and some answerers (``None``: all).

    Raises
    ------
    LedgerError
        If the database does not answer.
    """
    with ledger.reading() as connection:
        query = select(*_sums()).where(*_where(since_ms, until_ms, task, answered_by))
        return _totals(connection.execute(query).mappings().one())


def by_day(
    ledger: Ledger, since_ms: int | None = None, until_ms: int | None = None, task: str | None = None
) -> dict[str, Totals]:
    """Totals per day of UTC (``2026-01-31``), in order; days without calls are left out."""
    day = (calls.c.time_ms - calls.c.time_ms % _DAY_MS).label("day_ms")
    query = select(day, *_sums()).where(*_where(since_ms, until_ms, task)).group_by(day).order_by(day)
    with ledger.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return {
        datetime.fromtimestamp(row["day_ms"] / 1000, UTC).date().isoformat(): _totals(row) for row in rows
    }


def by_task(
    ledger: Ledger, since_ms: int | None = None, until_ms: int | None = None
) -> dict[str | None, Totals]:
    """Totals per task, by name; calls that matched no task come under ``None``, last."""
    task = calls.c.task
    query = select(task, *_sums()).where(*_where(since_ms, until_ms)).group_by(task)
    with ledger.reading() as connection:
        rows = connection.execute(query).mappings().all()
    # Sorted here: databases order text by different rules.
    found = {row["task"]: _totals(row) for row in rows}
    return dict(sorted(found.items(), key=lambda item: (item[0] is None, item[0] or "")))


def latency_percentiles(
    ledger: Ledger,
    since_ms: int | None = None,
    until_ms: int | None = None,
    task: str | None = None,
    answered_by: Sequence[AnsweredBy] | None = None,
) -> Latency:
    """Percentiles of latency, ranked in the database."""
    where = _where(since_ms, until_ms, task, answered_by)
    ranked = select(calls.c.latency_us).where(*where).order_by(calls.c.latency_us)
    with ledger.reading() as connection:
        n_calls = connection.scalar(select(func.count()).select_from(calls).where(*where)) or 0
        if not n_calls:
            return Latency(0, None, None, None)
        p50, p95, p99 = (
            connection.scalar(ranked.limit(1).offset(math.ceil(share * n_calls / 100) - 1))
            for share in (50, 95, 99)
        )
    return Latency(n_calls, p50, p95, p99)


def recent(ledger: Ledger, most: int, task: str | None = None) -> list[CallRecord]:
    """The latest calls, newest first, without their texts."""
    columns = [column for column in calls.c if column.name not in TEXT_COLUMNS]
    query = select(*columns).where(*_where(task=task))
    query = query.order_by(calls.c.time_ms.desc(), calls.c.id.desc()).limit(most)
    with ledger.reading() as connection:
        return [CallRecord(**row) for row in connection.execute(query).mappings()]


def spent_nanousd(ledger: Ledger, key_name: str, since_ms: int | None = None) -> MoneySum:
    """What an API key's calls did cost upstream, audits included and students' own cost left out: for its budget.

    The database lags behind by the spool: a budget that must hold to the call needs a counter beside it.
    """
    of_key = (calls.c.key_name == key_name, *_where(since_ms))
    cost = calls.c.cost_nanousd
    query = select(func.coalesce(func.sum(cost), 0), func.count(cost), func.count())
    query = query.where(*of_key, calls.c.answered_by.in_(("upstream", "failed")))
    audited = select(
        func.coalesce(func.sum(audits.c.cost_nanousd), 0), func.count(audits.c.cost_nanousd), func.count()
    )
    audited = audited.join(calls, calls.c.id == audits.c.call_id).where(*of_key)
    with ledger.reading() as connection:
        known, n_known, n_calls = connection.execute(query).one()
        more, n_more_known, n_more = connection.execute(audited).one()
    return MoneySum(int(known) + int(more), n_known + n_more_known, n_calls + n_more - n_known - n_more_known)
