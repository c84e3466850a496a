from __future__ import annotations

import json

import pytest

from understudy.ledger.disagreements import (
    Compared,
    QueueCounts,
    compared_counts,
    find_call,
    next_disagreement,
    queue_counts,
)
from understudy.ledger.errors import RecordRefusedError
from understudy.ledger.export import export_calls
from understudy.ledger.gold import GoldLabel, add_gold, gold_counts, last_gold, undo_gold
from understudy.ledger.record import CallRecord
from understudy.ledger.retention import forget_texts, purge

TEXTS = {
    "request": json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}),
    "response": json.dumps({"choices": [{"message": {"role": "assistant", "content": "a"}}]}),
    "student_answer": '"b"',
}


@pytest.fixture
def compared(record):
    """A record of a call in shadow mode on which the two differ."""

    def make(**changes):
        given = {
            "answered_by": "upstream",
            "mode": "shadow",
            "is_agreeing": False,
            "artefact_id": "x",
            **TEXTS,
        }
        return record(**{**given, **changes})

    return make


def label(call, chosen="teacher", value='"a"', by="ann", **more):
    return GoldLabel(call_id=call.id, chosen=chosen, value=value, labelled_by=by, task=call.task, **more)


def test_comparisons_are_counted_where_the_student_answers(ledger, compared):
    ledger.insert(
        [
            compared(confidence=0.9, is_agreeing=True),
            compared(confidence=0.8),
            compared(confidence=0.1),
            compared(confidence=0.1, rung="lookup", is_agreeing=True),
            compared(confidence=0.9, artefact_id="other"),
            compared(confidence=0.9, task="triage"),
            compared(confidence=0.9, is_agreeing=None),
            compared(confidence=0.9, time_ms=5),
        ]
    )

    def counts(threshold, rungs=()):
        return compared_counts(ledger, "support", "x", 10, threshold, rungs)

    assert counts(0.8) == Compared(4, 2, 2, 1)
    assert counts(0.8, ["lookup"]) == Compared(4, 2, 3, 1)
    assert counts(None) == Compared(4, 2, 0, 0)
    assert compared_counts(ledger, "none", "x", 0, 0.5) == Compared()


def test_disagreements_wait_newest_first_until_they_are_labelled(ledger, compared):
    calls = [compared(time_ms=at) for at in range(3)]
    ledger.insert(
        [*calls, compared(time_ms=9, task="triage"), compared(is_agreeing=True), compared(request=None)]
    )
    assert queue_counts(ledger) == QueueCounts(4, 1)
    assert queue_counts(ledger, "support") == QueueCounts(3, 1)
    assert next_disagreement(ledger).task == "triage"
    for call in reversed(calls):
        assert next_disagreement(ledger, "support") == call
        assert find_call(ledger, call.id) == call
        assert add_gold(ledger, label(call))
    assert next_disagreement(ledger, "support") is None
    assert queue_counts(ledger, "support") == QueueCounts(0, 1)
    assert find_call(ledger, "none") is None


def test_the_first_label_of_a_call_stays_until_it_is_undone(ledger, compared):
    one, two = compared(), compared()
    ledger.insert([one, two])
    assert add_gold(ledger, label(one, time_ms=1))
    assert not add_gold(ledger, label(one, "student", '"b"', by="bob"))
    assert add_gold(ledger, label(two, "skip", None, by="bob", time_ms=2))
    assert gold_counts(ledger) == {"student": 0, "teacher": 1, "other": 0, "skip": 1}
    assert gold_counts(ledger, "triage")["teacher"] == 0
    assert last_gold(ledger, "bob").call_id == two.id
    assert undo_gold(ledger, "bob").chosen == "skip"
    assert undo_gold(ledger, "bob") is None
    assert last_gold(ledger, "ann").value == '"a"'
    assert last_gold(ledger, "ann").time_ms == 1


@pytest.mark.parametrize(
    "changes", [{"chosen": "me"}, {"value": "{"}, {"by": "x" * 201}, {"value": None}, {"chosen": "skip"}]
)
def test_what_is_no_label_is_refused(ledger, compared, changes):
    with pytest.raises(RecordRefusedError):
        add_gold(ledger, label(compared(), **changes))


def test_gold_goes_out_with_its_call(ledger, compared):
    calls = [compared(time_ms=at) for at in range(4)]
    ledger.insert(calls)
    add_gold(ledger, label(calls[0], "other", json.dumps({"queue": "é\x00", "sum": None})))
    add_gold(ledger, label(calls[1], "skip", None))
    add_gold(ledger, label(calls[2], "student", "null"))
    exported = list(export_calls(ledger))
    assert [one.get("gold", "none") for one in exported] == [
        {"queue": "é\x00", "sum": None},
        "none",
        None,
        "none",
    ]


def test_gold_is_a_text_and_is_forgotten_and_purged_as_one(ledger, compared):
    old, new = compared(time_ms=1), compared(time_ms=9)
    ledger.insert([old, new])
    for call in (old, new):
        add_gold(ledger, label(call))
    assert forget_texts(ledger, 5) == 1
    assert find_call(ledger, old.id).student_answer is None
    assert find_call(ledger, new.id) == new
    assert [one.get("gold") for one in export_calls(ledger)] == ["a"]
    assert gold_counts(ledger)["teacher"] == 2
    assert purge(ledger, 5) == 1
    assert gold_counts(ledger)["teacher"] == 1


def test_a_record_of_the_version_before_is_still_read(record):
    line = record(request="{}").to_json()
    assert "student_answer" not in line
    assert CallRecord.from_json(line).student_answer is None


def test_the_queue_is_found_by_its_index(sqlite_ledger):
    with sqlite_ledger.reading() as connection:
        from sqlalchemy import select

        from understudy.ledger.disagreements import _open_items
        from understudy.ledger.schema import calls

        query = (
            select(calls.c.id).where(*_open_items(None)).order_by(calls.c.time_ms.desc(), calls.c.id.desc())
        )
        text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all())
    assert "understudy_calls_disagreeing" in plan
    assert "TEMP B-TREE" not in plan


def test_an_undo_takes_only_the_very_label_that_it_saw(ledger, compared, monkeypatch):
    call = compared()
    ledger.insert([call])
    mine, theirs = label(call, time_ms=1), label(call, "student", '"b"', by="bob", time_ms=2)
    assert add_gold(ledger, mine)
    assert undo_gold(ledger, "ann") == mine
    assert add_gold(ledger, theirs)
    # A second click of ann's, which looked before the first was done.
    monkeypatch.setattr("understudy.ledger.gold.last_gold", lambda *_: mine)
    assert undo_gold(ledger, "ann") is None
    assert last_gold(ledger, "bob") == theirs
