from __future__ import annotations

import json

import pytest

from understudy.calls.readers import read_calls
from understudy.ledger.export import ExportCounts, export_calls
from understudy.ledger.queries import recent, totals
from understudy.ledger.retention import forget_texts, purge


def texts(message, answer):
    request = {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Route it."}, {"role": "user", "content": message}],
    }
    response = {
        "id": "x", "object": "chat.completion", "model": "gpt-4o", "created": 7,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3},
    }  # fmt: skip
    return {"request": json.dumps(request), "response": json.dumps(response)}


@pytest.fixture
def filled(ledger, record):
    upstream = {"answered_by": "upstream"}
    ledger.insert(
        [
            record(time_ms=3_500, **upstream, **texts("my parcel is late", "delivery"), cost_nanousd=1_500),
            record(time_ms=2_000, **upstream, **texts("the bill is wrong", "billing"),
                   cost_nanousd=900, teacher_cost_nanousd=800),
            record(time_ms=4_000, **upstream, **texts("zażółć 🎉", "other"), task="triage"),
            record(time_ms=5_000, **texts("answered by a student", "billing"), cost_nanousd=1),
            record(time_ms=6_000, **upstream),
            record(time_ms=6_000, **{**upstream, **texts("", "")}, status=500),
            record(time_ms=7_000, **upstream, request="[]", response="{}"),
            record(time_ms=7_000, **upstream, request="{", response="{}"),
        ]
    )  # fmt: skip
    return ledger


def test_exported_calls_are_read_as_a_chat_log(filled, tmp_path):
    counts = ExportCounts()
    path = tmp_path / "calls.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for exported in export_calls(filled, counts=counts):
            stream.write(json.dumps(exported) + "\n")
    assert counts == ExportCounts(exported=3, without_texts=1, unreadable=2)
    found = list(read_calls([path]))
    assert [(call.input, call.output) for call in found] == [
        ("the bill is wrong", "billing"),
        ("my parcel is late", "delivery"),
        ("zażółć 🎉", "other"),
    ]
    assert [call.cost_usd for call in found] == [8e-7, 1.5e-6, None]
    assert [call.time for call in found] == [2.0, 3.5, 4.0]
    assert {call.latency_ms for call in found} == {1.5}
    assert {call.model for call in found} == {"gpt-4o"}
    assert found[0].usage.input_tokens == 12
    assert {call.id for call in found} <= {each.id for each in recent(filled, 10)}


def test_what_is_exported_can_be_narrowed(filled):
    def inputs(**options):
        return [each["request"]["messages"][1]["content"] for each in export_calls(filled, **options)]

    assert inputs(task="triage") == ["zażółć 🎉"]
    assert inputs(since_ms=3_000, task="support") == ["my parcel is late"]
    assert inputs(most=1) == ["the bill is wrong"]
    assert inputs(most=0) == []
    assert inputs(answered_by=("student",)) == ["answered by a student"]


def test_what_a_student_cost_is_not_what_its_teacher_would_have(filled):
    (exported,) = export_calls(filled, answered_by=("student",))
    assert "cost_usd" not in exported


def test_an_export_that_is_left_early_lets_go_of_its_connection(filled):
    stream = export_calls(filled)
    next(stream)
    stream.close()
    assert purge(filled, 10_000) == 8


def test_many_rows_come_as_a_stream(ledger, record):
    ledger.insert(
        [record(time_ms=each, answered_by="upstream", **texts(f"m {each}", "x")) for each in range(1000)]
    )
    assert [each["time"] for each in export_calls(ledger)] == [each / 1000 for each in range(1000)]


def test_texts_are_forgotten_and_the_figures_stay(filled):
    before = totals(filled)
    assert forget_texts(filled, 4_000) == 2
    assert forget_texts(filled, 4_000) == 0
    assert totals(filled) == before
    counts = ExportCounts()
    assert len(list(export_calls(filled, counts=counts))) == 1
    assert counts.without_texts == 3


def test_purged_calls_are_gone(filled):
    assert purge(filled, 4_000) == 2
    assert totals(filled).n_calls == 6
    assert purge(filled, 2**62) == 6
    assert totals(filled).n_calls == 0


def test_more_than_one_transaction_is_forgotten_and_purged(ledger, record):
    ledger.insert([record(time_ms=1, request="{}") for _ in range(2500)])
    assert forget_texts(ledger, 2) == 2500
    assert purge(ledger, 2) == 2500


def test_forgotten_texts_do_not_stay_in_the_file(sqlite_ledger, record, tmp_path):
    sqlite_ledger.insert([record(request='"a secret of some length"' * 50) for _ in range(20)])
    forget_texts(sqlite_ledger, 2**62)
    with sqlite_ledger.reading() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"a secret" not in (tmp_path / "ledger.db").read_bytes()
