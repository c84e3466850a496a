"""The file that outlives a killed process."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from understudy.calls.call import Usage
from understudy.errors import ConfigError, DataError
from understudy.teachers.cache import CachedAnswer, LabelCache, answer_key
from understudy.teachers.teacher import Reply

ANSWER = CachedAnswer(Reply("half \ud83d of it", Usage(3, 2, None), "stop", 1.5, 10.0), 7)
JOB = b"job"


def test_answers_come_back_in_another_process(tmp_path: Path) -> None:
    key = answer_key("http://x/v1", "m", {"a": 1}, 0)
    cache = LabelCache(tmp_path / "c")
    assert cache.get(key) is None
    cache.close_request(cache.open_request(JOB, 9), JOB, 7, key=key, model="m", answer=ANSWER)
    again = LabelCache(tmp_path / "c")
    assert again.get(key) == ANSWER
    assert again.spent_nanousd(JOB) == 7
    assert again.spent_nanousd(b"other") == 0
    assert stat.S_IMODE(again.path.stat().st_mode) == 0o600
    cache.close()
    again.close()


def test_keys_differ_by_all_that_matters() -> None:
    keys = {
        answer_key("http://x/v1", "m", {"a": 1, "b": 2}, 0),
        answer_key("http://y/v1", "m", {"a": 1, "b": 2}, 0),
        answer_key("http://x/v1", "n", {"a": 1, "b": 2}, 0),
        answer_key("http://x/v1", "m", {"a": 1, "b": 3}, 0),
        answer_key("http://x/v1", "m", {"a": 1, "b": 2}, 1),
    }
    assert len(keys) == 5
    assert answer_key("http://x/v1", "m", {"b": 2, "a": 1}, 0) in keys


def test_requests_that_a_killed_run_left_open_count_in_full(tmp_path: Path) -> None:
    cache = LabelCache(tmp_path)
    cache.open_request(JOB, 100)
    cache.close_request(cache.open_request(JOB, 50), JOB, 0)
    cache.close()
    again = LabelCache(tmp_path)
    assert again.spent_nanousd(JOB) == 100
    assert again.spent_nanousd(JOB) == 100  # once
    again.close()


def test_a_newer_or_damaged_file_is_refused(tmp_path: Path) -> None:
    LabelCache(tmp_path / "new").close()
    with sqlite3.connect(tmp_path / "new" / "labels.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ConfigError, match="another version"):
        LabelCache(tmp_path / "new")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "labels.db").write_bytes(b"not a database" * 100)
    with pytest.raises((ConfigError, DataError), match="cache of answers"):
        LabelCache(tmp_path / "bad")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be opened"):
        LabelCache(tmp_path / "file")
