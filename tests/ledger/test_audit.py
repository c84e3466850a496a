from __future__ import annotations

import json
import threading

import pytest

from understudy.ledger.audit import AuditRecord, read_record
from understudy.ledger.disagreements import (
    Compared,
    answered_share,
    compared_counts,
    find_call,
    next_disagreement,
    queue_counts,
)
from understudy.ledger.drain import Drainer
from understudy.ledger.errors import RecordRefusedError
from understudy.ledger.export import export_calls
from understudy.ledger.queries import MoneySum, totals
from understudy.ledger.retention import forget_texts, purge
from understudy.ledger.spool import Spool

REQUEST = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]})


def reply(content):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]})


def audit(call, **changes):
    given = {"call_id": call.id, "time_ms": 5, "status": 200, "is_agreeing": False, "cost_nanousd": 500}
    return AuditRecord(**{**given, **changes})


@pytest.fixture
def answered(record):
    """A record of a call that a student answered."""
    return lambda **changes: record(**{"cost_nanousd": 10, "teacher_cost_nanousd": 400, **changes})


def test_a_call_takes_up_its_audit_once_in_whatever_order(ledger, answered):
    early, late = answered(), answered()
    assert ledger.insert([early]) == 1
    assert ledger.insert([audit(early), audit(late)]) == 2
    assert totals(ledger).cost == MoneySum(510, 1, 0)
    assert totals(ledger).saving == MoneySum(-110, 1, 0)
    assert (totals(ledger).n_compared, totals(ledger).n_agreeing) == (1, 0)
    assert ledger.insert([late]) == 1
    third = answered()
    assert ledger.insert([audit(early), third, audit(third, is_agreeing=True)]) == 2
    assert totals(ledger).cost == MoneySum(1530, 3, 0)
    assert (totals(ledger).n_compared, totals(ledger).n_agreeing) == (3, 1)
    assert ledger.insert([audit(early), audit(late), audit(third)]) == 0
    assert totals(ledger).cost == MoneySum(1530, 3, 0)


def test_an_audit_of_unknown_cost_makes_the_call_s_unknown(ledger, answered):
    call = answered()
    ledger.insert(
        [call, audit(call, cost_nanousd=None, is_agreeing=None, status=504, error="upstream_timeout")]
    )
    assert totals(ledger).cost == MoneySum(0, 0, 1)
    assert totals(ledger).saving == MoneySum(0, 0, 1)
    assert totals(ledger).n_compared == 0


def test_writers_at_once_count_each_audit_once(ledger, answered):
    calls = [answered() for _ in range(40)]
    ledger.insert(calls)
    threads = [
        threading.Thread(target=lambda part=part: ledger.insert([audit(call) for call in calls[part::2]]))
        for part in (0, 1, 0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals(ledger).cost == MoneySum(40 * 510, 40, 0)


def test_audits_go_through_the_spool_with_the_calls(ledger, answered, tmp_path):
    call = answered()
    spool = Spool(tmp_path / "spool")
    text = "é\x00\ud800"
    records = [call, audit(call, response=reply(text), student_answer='"b"', input_tokens=3)]
    spool.write([one.to_json().encode("utf-8", "surrogatepass") for one in records])
    drainer = Drainer(spool, ledger).start()
    assert drainer.stop()
    spool.close()
    assert drainer.n_refused == 0
    assert find_call(ledger, call.id).student_answer == '"b"'
    assert totals(ledger).cost == MoneySum(510, 1, 0)


def test_an_audit_is_read_back_as_it_was_written(answered):
    call = answered()
    for one in (audit(call), audit(call, response="{}", student_answer="1", error="x", output_tokens=2)):
        assert read_record(one.to_json().encode()) == one
    assert read_record(call.to_json().encode()) == call


@pytest.mark.parametrize(
    "changes",
    [
        {"cost_nanousd": -1},
        {"cost_nanousd": 0.5},
        {"status": None},
        {"is_agreeing": "yes"},
        {"call_id": "x" * 201},
        {"call_id": None},
        {"response": {}},
    ],
)
def test_what_is_no_audit_is_refused(answered, changes):
    with pytest.raises(RecordRefusedError):
        audit(answered(), **changes)


@pytest.mark.parametrize(
    "line", [b'{"audit_of":', b'{"audit_of":"a"}', b'{"audit_of":"a","time_ms":1,"status":1,"x":1}']
)
def test_lines_of_another_version_are_refused(line):
    with pytest.raises(RecordRefusedError):
        read_record(line)


def test_audits_count_as_comparisons_of_answers(ledger, answered):
    calls = [answered(artefact_id="x", confidence=0.9) for _ in range(3)]
    ledger.insert([*calls, answered(answered_by="upstream", artefact_id="x", confidence=0.1)])
    ledger.insert([audit(calls[0]), audit(calls[1], is_agreeing=True)])
    assert compared_counts(ledger, "support", "x", 0, 0.5) == Compared(0, 0, 0, 0, 2, 1)
    assert answered_share(ledger, "support", "x", 0) == (3, 4)
    assert answered_share(ledger, "support", "another", 0) == (0, 0)


def test_an_audited_disagreement_waits_with_upstream_s_answer(ledger, answered):
    call = answered(request=REQUEST, response=reply("student's"))
    ledger.insert([call, audit(call, response=reply("teacher's"), student_answer='"student\'s"')])
    assert queue_counts(ledger).n_waiting == 1
    found = next_disagreement(ledger)
    assert found.response == reply("teacher's")
    assert found.student_answer == '"student\'s"'
    (exported,) = export_calls(ledger)
    assert exported["response"] == json.loads(reply("teacher's"))
    assert exported["cost_usd"] == 5e-7
    assert "latency_ms" not in exported
    (own,) = export_calls(ledger, answered_by=("student",))
    assert own["response"] == json.loads(reply("student's"))
    forget_texts(ledger, 2**62)
    assert (queue_counts(ledger).n_waiting, queue_counts(ledger).n_without_texts) == (0, 1)
    assert find_call(ledger, call.id).response is None
    assert list(export_calls(ledger)) == []
    purge(ledger, 2**62)
    with ledger.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM understudy_audits").scalar() == 0


def test_a_failed_audit_gives_out_nothing(ledger, answered):
    call = answered(request=REQUEST, response=reply("student's"))
    ledger.insert([call, audit(call, status=500, is_agreeing=None)])
    assert list(export_calls(ledger)) == []
