from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.ledger.queries import (
    Latency,
    MoneySum,
    by_day,
    by_task,
    latency_percentiles,
    recent,
    spent_nanousd,
    totals,
)

DAY_MS = 86_400_000
START_MS = int(datetime(2026, 1, 31, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def filled(ledger, record):
    """Two days of two tasks, with costs that are not all known."""
    ledger.insert(
        [
            record(time_ms=START_MS, cost_nanousd=10, teacher_cost_nanousd=1010, latency_us=1, key_name="web"),
            record(time_ms=START_MS + 1, cost_nanousd=20, teacher_cost_nanousd=None, latency_us=2, key_name="web"),
            record(time_ms=START_MS + 2, cost_nanousd=None, teacher_cost_nanousd=500, latency_us=3, key_name="web"),
            record(time_ms=START_MS + 3, answered_by="upstream", mode="shadow", cost_nanousd=700,
                   teacher_cost_nanousd=700, latency_us=400, is_agreeing=True),
            record(time_ms=START_MS + 4, answered_by="upstream", mode="shadow", cost_nanousd=None,
                   latency_us=500, is_agreeing=False),
            record(time_ms=START_MS + DAY_MS - 1, answered_by="failed", status=502, latency_us=9),
            record(time_ms=START_MS + DAY_MS, task="triage", answered_by="uncertified", cost_nanousd=0,
                   teacher_cost_nanousd=0, latency_us=7),
            record(time_ms=START_MS + DAY_MS, task=None, answered_by="upstream", mode="record", cost_nanousd=5,
                   teacher_cost_nanousd=5, latency_us=8, key_name="web"),
        ]
    )  # fmt: skip
    return ledger


def test_totals_say_what_they_leave_out(filled):
    found = totals(filled)
    assert found.n_calls == 8
    assert found.answered == {"student": 3, "upstream": 3, "uncertified": 1, "failed": 1}
    assert found.coverage == 3 / 8
    assert found.cost == MoneySum(735, 5, 3)
    assert found.cost.total_nanousd is None
    assert found.teacher_cost == MoneySum(2215, 5, 3)
    assert found.saving == MoneySum(1000, 1, 2)
    assert (found.n_compared, found.n_agreeing) == (2, 1)
    assert found.to_dict()["cost"] == {
        "known_nanousd": 735, "n_known": 5, "n_unknown": 3, "total_nanousd": None,
    }  # fmt: skip


def test_where_nothing_is_known_the_total_is_unknown_and_where_nothing_is_it_is_nought(ledger, record):
    assert totals(ledger).cost.total_nanousd == 0
    assert totals(ledger).coverage is None
    ledger.insert([record()])
    assert totals(ledger).cost == MoneySum(0, 0, 1)
    assert totals(ledger).cost.total_nanousd is None
    assert totals(ledger).saving.total_nanousd is None


def test_totals_of_a_time_and_a_task(filled):
    assert totals(filled, since_ms=START_MS + 1, until_ms=START_MS + 3).cost == MoneySum(20, 1, 1)
    assert totals(filled, task="triage").cost.total_nanousd == 0
    assert totals(filled, task="triage").n_calls == 1
    assert totals(filled, since_ms=START_MS + 2 * DAY_MS).n_calls == 0


def test_by_day_and_by_task_add_up_to_all(filled):
    days, tasks = by_day(filled), by_task(filled)
    assert list(days) == ["2026-01-31", "2026-02-01"]
    assert [each.n_calls for each in days.values()] == [6, 2]
    assert list(by_day(filled, task="triage")) == ["2026-02-01"]
    assert list(tasks) == ["support", "triage", None]
    assert [each.n_calls for each in tasks.values()] == [6, 1, 1]
    for parts in (days, tasks):
        assert sum(each.cost.known_nanousd for each in parts.values()) == 735
        assert sum(each.cost.n_unknown for each in parts.values()) == 3


def test_a_sum_is_exact_to_the_nano_dollar(ledger, record):
    # Beyond 2**53 a float would lose the last digits.
    amounts = [1_234_567_890_123_456_789, 2**53 + 1, 1, 999_999_999]
    ledger.insert([record(cost_nanousd=amount, teacher_cost_nanousd=2 * amount) for amount in amounts])
    found = totals(ledger)
    assert found.cost.total_nanousd == sum(amounts)
    assert found.teacher_cost.total_nanousd == 2 * sum(amounts)
    assert found.saving.total_nanousd == sum(amounts)
    assert type(found.cost.known_nanousd) is int


@pytest.mark.slow
def test_a_million_rows_add_up_exactly(ledger):
    n_rows, first = 1_000_000, 1_234_567_890_123
    numbers = (
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {n_rows})"
    )
    columns = "id, time_ms, answered_by, mode, status, latency_us, is_streamed, cost_nanousd"
    values = f"CAST(n AS TEXT), {START_MS} + n, 'upstream', 'serve', 200, n, {{no}}, {first} + n"
    with ledger.writing() as connection:
        no = "false" if connection.dialect.name == "postgresql" else "0"
        connection.exec_driver_sql(
            f"INSERT INTO understudy_calls ({columns}) {numbers} SELECT {values.format(no=no)} FROM numbers"
        )
    assert totals(ledger).cost.total_nanousd == n_rows * first + n_rows * (n_rows + 1) // 2
    assert latency_percentiles(ledger) == Latency(n_rows, 500_000, 950_000, 990_000)


def test_percentiles_are_of_the_nearest_rank(filled):
    assert latency_percentiles(filled) == Latency(8, 7, 500, 500)
    assert latency_percentiles(filled, answered_by=("student",)) == Latency(3, 2, 3, 3)
    assert latency_percentiles(filled, task="none") == Latency(0, None, None, None)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=150))
def test_percentiles_rank_as_a_sorted_list_does(tmp_path_factory, latencies):
    from understudy.ledger.database import Ledger
    from understudy.ledger.record import CallRecord, new_call_id

    ledger = Ledger.open(tmp_path_factory.mktemp("ranks") / "ledger.db")
    ledger.insert(
        [
            CallRecord(
                id=new_call_id(), time_ms=1, answered_by="student", mode="serve", status=200, latency_us=each
            )
            for each in latencies
        ]
    )
    ranked = sorted(latencies)
    expected = [ranked[math.ceil(len(ranked) * share / 100) - 1] for share in (50, 95, 99)]
    assert latency_percentiles(ledger) == Latency(len(ranked), *expected)
    ledger.close()


def test_recent_calls_come_newest_first_without_texts(ledger, record):
    records = [record(time_ms=number, request="{}", response="{}") for number in range(5)]
    ledger.insert(records)
    found = recent(ledger, 2)
    assert [each.id for each in found] == [records[4].id, records[3].id]
    assert {each.request for each in found} == {None}
    assert recent(ledger, 5, task="other") == []


def test_what_a_key_spent_says_what_is_unknown(filled):
    # Upstream's costs alone: what students cost is no money of the key's.
    assert spent_nanousd(filled, "web") == MoneySum(5, 1, 0)
    assert spent_nanousd(filled, "web", since_ms=START_MS + DAY_MS) == MoneySum(5, 1, 0)
    assert spent_nanousd(filled, "nobody") == MoneySum(0, 0, 0)


def test_audits_are_paid_by_the_key_of_their_call(ledger, record):
    from understudy.ledger.audit import AuditRecord

    calls = [record(time_ms=START_MS + at, cost_nanousd=1, key_name="web") for at in range(3)]
    ledger.insert(
        [*calls, record(answered_by="upstream", time_ms=START_MS, cost_nanousd=None, key_name="web")]
    )
    ledger.insert(
        [
            AuditRecord(call_id=calls[0].id, time_ms=START_MS, status=200, cost_nanousd=70),
            AuditRecord(call_id=calls[1].id, time_ms=START_MS, status=500, error="upstream_500"),
        ]
    )
    assert spent_nanousd(ledger, "web") == MoneySum(70, 1, 2)
