from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.ledger.errors import LedgerError, RecordRefusedError
from understudy.ledger.framing import MAX_LINE_BYTES, frame, read_batch
from understudy.ledger.record import CallRecord
from understudy.ledger.spool import Spool
from understudy.ledger.spool_file import orphans

HERE = Path(__file__).parent


def read_all(spool, most=3):
    out = []
    while (batch := spool.read(most)).n_lines:
        out += batch.payloads
        spool.mark_drained(batch)
    return out


def left_behind(folder):
    """Payloads and number of damaged lines of all orphans."""
    payloads, n_damaged = [], 0
    for orphan in orphans(folder):
        while (batch := orphan.read(1000)).n_lines:
            payloads += batch.payloads
            n_damaged += batch.n_damaged
            orphan.mark_drained(batch)
    return payloads, n_damaged


def spool_file(folder):
    (path,) = folder.glob("*.spool")
    return path


@pytest.mark.parametrize("is_fsynced", [True, False])
def test_lines_come_back_in_order_until_they_are_drained(tmp_path, is_fsynced):
    spool = Spool(tmp_path / "new" / "spool", is_fsynced)
    lines = [b"%d" % number for number in range(10)]
    spool.write(lines[:4])
    spool.write(lines[4:])
    assert spool.read(3).payloads == spool.read(3).payloads == lines[:3]
    assert read_all(spool) == lines
    assert (spool.n_written, spool.n_drained) == (10, 10)
    assert not spool.read(3).n_lines
    spool.close()
    spool.close()
    assert list(spool.folder.iterdir()) == []


def test_texts_are_for_their_owner_only(tmp_path):
    spool = Spool(tmp_path / "spool")
    assert spool.folder.stat().st_mode & 0o077 == 0
    assert spool_file(spool.folder).stat().st_mode & 0o077 == 0
    spool.close()


def test_a_large_file_is_followed_by_a_new_one_and_deleted_when_drained(tmp_path):
    spool = Spool(tmp_path, rotate_bytes=100)
    lines = [b"x" * 30 + b"%d" % number for number in range(20)]
    for line in lines:
        spool.write([line])
    assert len(list(tmp_path.iterdir())) > 3
    assert spool.size > 20 * 30
    assert read_all(spool, 2) == lines
    assert len(list(tmp_path.iterdir())) == 1
    spool.close()


def test_a_closed_spool_takes_nothing_and_leaves_what_is_not_drained(tmp_path):
    spool = Spool(tmp_path)
    spool.write([b"one", b"two"])
    spool.mark_drained(spool.read(1))
    assert list(orphans(tmp_path)) == []  # Held.
    spool.close()
    with pytest.raises(LedgerError, match="closed"):
        spool.write([b"three"])
    assert left_behind(tmp_path) == ([b"one", b"two"], 0)


def test_a_forked_process_may_not_write(tmp_path):
    spool = Spool(tmp_path)
    child = os.fork()
    if child == 0:
        try:
            spool.write([b"from the child"])
        except LedgerError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    spool.write([b"from the parent"])
    assert read_all(spool) == [b"from the parent"]
    spool.close()


def test_a_torn_last_line_is_left_out(tmp_path):
    spool = Spool(tmp_path)
    spool.write([b"one", b"two"])
    spool.close()
    path = spool_file(tmp_path)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        expected = [b"one"] if cut >= len(frame(b"one")) else []
        assert left_behind(tmp_path) == (expected, 0)


def test_a_damaged_line_in_the_middle_is_skipped_and_counted(tmp_path):
    spool = Spool(tmp_path)
    spool.write([b"one", b"two", b"three", b"four"])
    spool.close()
    path = spool_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"two", b"twx"))
    assert left_behind(tmp_path) == ([b"one", b"three", b"four"], 1)
    path.write_bytes(b"\n\nnonsense\n" + path.read_bytes())
    assert left_behind(tmp_path) == ([b"one", b"three", b"four"], 4)


@given(st.binary(max_size=300), st.integers(1, 5))
def test_any_bytes_can_be_read(tmp_path_factory, content, most):
    path = tmp_path_factory.mktemp("bytes") / "file"
    path.write_bytes(frame(b"before") + content + b"\n" + frame(b"after"))
    found, offset, size = [], 0, path.stat().st_size
    with path.open("rb") as stream:
        while (batch := read_batch(stream.fileno(), offset, size, most)).n_lines:
            assert batch.next_offset > offset
            assert batch.n_lines <= most
            found += batch.payloads
            offset = batch.next_offset
    assert offset == size
    assert (found[0], found[-1]) == (b"before", b"after")


def test_lines_longer_than_a_block_are_read_whole(tmp_path):
    spool = Spool(tmp_path)
    lines = [b"a" * 3_000_000, b"b", b"c" * 1_048_576]
    spool.write(lines)
    assert read_all(spool) == lines
    spool.close()


def test_damage_without_a_line_break_is_skipped_in_bounded_memory(tmp_path):
    path = tmp_path / "calls-0.spool"
    path.write_bytes(b"z" * (MAX_LINE_BYTES + 3_000_000) + b"\n" + frame(b"after"))
    payloads, n_damaged = left_behind(tmp_path)
    assert payloads == [b"after"]
    assert n_damaged >= 1


def test_a_line_that_is_too_long_is_refused_and_the_spool_goes_on(tmp_path):
    spool = Spool(tmp_path)
    with pytest.raises(RecordRefusedError, match="too large"):
        spool.write([b"small", b"x" * (MAX_LINE_BYTES + 1)])
    spool.write([b"after"])
    assert read_all(spool) == [b"after"]
    spool.close()


def test_a_folder_that_cannot_be_used_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="folder") as refused:
        Spool(tmp_path / "file")
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("limit_bytes", [1500, 1777, 4096])
def test_a_full_disk_is_an_error_and_loses_nothing_acknowledged(tmp_path, limit_bytes):
    command = [
        sys.executable,
        str(HERE / "processes.py"),
        "append_to_full_disk",
        str(tmp_path),
        str(limit_bytes),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    acknowledged = done.stdout.split()
    payloads, n_damaged = left_behind(tmp_path)
    assert n_damaged == 0
    assert [CallRecord.from_json(payload).id for payload in payloads] == acknowledged
    assert len(acknowledged) >= 3
    assert spool_file(tmp_path).stat().st_size <= limit_bytes
