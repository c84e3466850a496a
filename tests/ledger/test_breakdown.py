from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.ledger import breakdown as module
from understudy.ledger.breakdown import breakdown, latency_by_task, merged
from understudy.ledger.database import Ledger
from understudy.ledger.queries import by_day, by_task, latency_percentiles, totals
from understudy.ledger.record import ANSWERERS, CallRecord, new_call_id

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
START_MS = 20_000 * DAY_MS
MONEY = st.one_of(st.none(), st.integers(0, 10**15))
CALLS = st.lists(
    st.builds(
        lambda time, task, by, cost, teacher, agrees, latency: CallRecord(
            id=new_call_id(), time_ms=START_MS + time, task=task, answered_by=by, mode="shadow", status=200,
            cost_nanousd=cost, teacher_cost_nanousd=teacher, is_agreeing=agrees, latency_us=latency,
        ),
        st.integers(0, 3 * DAY_MS), st.sampled_from(["a", "b", None]), st.sampled_from(ANSWERERS), MONEY, MONEY,
        st.sampled_from([None, True, False]), st.integers(0, 10**9),
    ),
    max_size=60,
)  # fmt: skip


def check_sums(ledger):
    days, hours = breakdown(ledger, "day", 0), breakdown(ledger, "hour", 0)
    assert merged(days.values()) == merged(hours.values()) == totals(ledger)
    starts = sorted({start for start, _ in days})
    assert [merged(one for (at, _), one in days.items() if at == start) for start in starts] == list(
        by_day(ledger).values()
    )
    for task, expected in by_task(ledger).items():
        assert merged(one for (_, name), one in days.items() if name == task) == expected
        found = latency_by_task(ledger, 0, 1)[task]
        assert found.one_in == 1
        if task is not None:
            assert merged(breakdown(ledger, "day", 0, task).values()) == expected
            assert found.latency == latency_percentiles(ledger, task=task)


@settings(max_examples=25)
@given(CALLS)
def test_parts_add_up_to_what_is_asked_for_at_once(tmp_path_factory, records):
    ledger = Ledger.open(tmp_path_factory.mktemp("parts") / "ledger.db")
    ledger.insert(records)
    check_sums(ledger)
    ledger.close()


def test_parts_add_up_in_either_database(ledger, record):
    ledger.insert(
        [
            record(
                time_ms=START_MS + at * HOUR_MS, task=["a", "b", None][at % 3], answered_by=ANSWERERS[at % 4],
                cost_nanousd=None if at % 5 == 0 else at, teacher_cost_nanousd=2**56 + 1 if at % 7 else None,
                is_agreeing=[None, True, False][at % 3], latency_us=at,
            )
            for at in range(60)
        ]
    )  # fmt: skip
    check_sums(ledger)


def test_a_time_begins_with_its_hour_or_day(ledger, record):
    ledger.insert([record(time_ms=START_MS + at * HOUR_MS) for at in (-1, 0, 5, 6, 30)])
    since_ms = START_MS + 5 * HOUR_MS + 10
    assert [start for start, _ in breakdown(ledger, "day", since_ms)] == [START_MS, START_MS + DAY_MS]
    assert [start - START_MS for start, _ in breakdown(ledger, "hour", since_ms)] == [
        5 * HOUR_MS, 6 * HOUR_MS, 30 * HOUR_MS,
    ]  # fmt: skip
    assert latency_by_task(ledger, since_ms, 5)["support"].latency.n_calls == 2


def test_of_many_calls_a_sample_is_ranked(ledger, record, monkeypatch):
    monkeypatch.setattr(module, "MOST_RANKED", 100)
    ledger.insert([record(time_ms=START_MS + at, latency_us=at) for at in range(1000)])
    found = latency_by_task(ledger, START_MS, 1000)["support"]
    assert found.one_in == 10
    assert found.latency.n_calls == 100
    assert found.latency.p50_us == pytest.approx(500, abs=10)
    assert found.latency.p99_us == pytest.approx(990, abs=10)


def test_sums_of_days_read_the_index_alone(sqlite_ledger, record, monkeypatch):
    """A row may hold a long request: a sum must not read it."""
    plans = []

    def explained(statement, connection):
        text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
        plans.append(str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()))

    from sqlalchemy import event

    @event.listens_for(sqlite_ledger._engine, "before_execute")
    def listen(connection, statement, *_):
        if not isinstance(statement, str):
            explained(statement, connection)

    breakdown(sqlite_ledger, "day", START_MS)
    latency_by_task(sqlite_ledger, START_MS, 10)
    assert len(plans) == 2
    assert all("COVERING INDEX understudy_calls_day" in plan for plan in plans), plans
