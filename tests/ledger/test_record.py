from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.ledger.errors import LedgerError, RecordRefusedError
from understudy.ledger.record import ANSWERERS, MAX_COUNT, MODES, CallRecord, new_call_id

counts = st.integers(0, MAX_COUNT)
names = st.none() | st.text(max_size=200)
texts = st.none() | st.text() | st.text(st.characters())  # Unpaired surrogates too.
records = st.builds(
    CallRecord,
    id=st.text(min_size=1, max_size=200),
    time_ms=counts,
    answered_by=st.sampled_from(ANSWERERS),
    mode=st.sampled_from(MODES),
    status=counts,
    latency_us=counts,
    task=names,
    model=names,
    rung=names,
    confidence=st.none() | st.floats(0, 1),
    artefact_id=names,
    input_tokens=st.none() | counts,
    output_tokens=st.none() | counts,
    cached_tokens=st.none() | counts,
    cost_nanousd=st.none() | counts,
    teacher_cost_nanousd=st.none() | counts,
    is_streamed=st.booleans(),
    is_agreeing=st.none() | st.booleans(),
    key_name=names,
    error=names,
    request=texts,
    response=texts,
)


@given(records)
def test_a_record_comes_back_from_its_line(record):
    line = record.to_json()
    assert "\n" not in line
    assert CallRecord.from_json(line) == record
    assert CallRecord.from_json(line.encode("utf-8", "surrogatepass")) == record


@given(st.binary() | st.text())
def test_other_lines_are_refused(line):
    with pytest.raises(RecordRefusedError):
        CallRecord.from_json(line)


def test_unknown_is_left_out_and_nought_is_not(record):
    assert "cost_nanousd" not in record().to_json()
    assert CallRecord.from_json(record(cost_nanousd=0).to_json()).cost_nanousd == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": 7},
        {"task": "x" * 201},
        {"cost_nanousd": 0.5},
        {"cost_nanousd": -1},
        {"input_tokens": MAX_COUNT + 1},
        {"time_ms": None},
        {"status": True},
        {"confidence": float("nan")},
        {"confidence": 1.01},
        {"confidence": "high"},
        {"answered_by": "nobody"},
        {"mode": "dream"},
        {"is_streamed": 1},
        {"is_agreeing": "yes"},
        {"request": {"messages": []}},
    ],
)
def test_what_a_database_would_not_take_is_refused_at_once(record, changes):
    with pytest.raises(LedgerError) as refused:
        record(**changes)
    assert refused.value.exit_code == 7
    assert next(iter(changes)) in refused.value.what


def test_fields_of_another_version_are_refused(record):
    with pytest.raises(RecordRefusedError, match="fields"):
        CallRecord.from_json(record().to_json()[:-1] + ',"colour":"red"}')


def test_ids_are_unique_and_sort_by_time():
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: new_call_id(), range(2000)))
    assert len(set(ids)) == 2000
    assert {len(identity) for identity in ids} == {32}
    first = new_call_id()
    time.sleep(0.001)
    assert first < new_call_id()
