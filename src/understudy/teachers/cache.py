"""Answers that were paid for, and what was spent on whose behalf: one SQLite file that outlives a killed process.

An answer is found again by the SHA-256 of the teacher's address (without a key), its model, the whole request and
the number of the repeat. An answer and its cost are stored in one transaction, before anything is done with them;
money set aside for a request under way is stored before it is sent, so that a killed run's open requests count as
spent. The file holds answers and token counts, never an input or a key.

A process that is killed loses nothing that was stored; a power cut may lose the last moments (WAL, synchronous
NORMAL), which are then asked, and counted, again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.calls.call import Usage
from understudy.errors import ConfigError, DataError
from understudy.teachers.teacher import Reply

__all__ = ["CachedAnswer", "LabelCache", "answer_key"]

_VERSION = 1
_TABLES = """
CREATE TABLE answers (
    key BLOB PRIMARY KEY,
    model TEXT NOT NULL,
    text BLOB NOT NULL,
    finish_reason TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_tokens INTEGER,
    cost_nanousd INTEGER,
    latency_ms REAL NOT NULL,
    time_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE spent (job BLOB PRIMARY KEY, nanousd INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE open_requests (id INTEGER PRIMARY KEY, job BLOB NOT NULL, nanousd INTEGER NOT NULL);
"""


def answer_key(address: str, model: str, body: Mapping[str, Any], repeat: int) -> bytes:
    """32 bytes that stand for one question to one teacher."""
    asked = json.dumps(
        [address, model, body, repeat], ensure_ascii=True, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(asked.encode("ascii")).digest()


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer of an earlier time.

    Attributes
    ----------
    reply
        As it came then.
    cost_nanousd
        What it cost then, or ``None`` if that was unknown.
    """

    reply: Reply
    cost_nanousd: int | None


class LabelCache:
    """The open file.

    Parameters
    ----------
    folder
        Made if it is not there; the file is ``labels.db`` in it, readable by its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "labels.db"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                "the cache of answers cannot be opened",
                given=f"{self.path}: {error.__class__.__name__}",
                todo="check the folder's permissions, or give another --cache",
            ) from error

    def _prepare(self) -> None:
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise ConfigError(
                    "the cache of answers is of another version",
                    given=f"{self.path}: version {version}, this program knows {_VERSION}",
                    todo="update Understudy, or give another --cache",
                )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise DataError(
                "the cache of answers cannot be written",
                given=f"{self.path}: {error}",
                todo="make room on the disk, then run the same command again",
            ) from error

    def _row(self, query: str, key: bytes) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._db.execute(query, (key,)).fetchone()
        except sqlite3.Error as error:
            raise DataError(
                "the cache of answers cannot be read",
                given=f"{self.path}: {error}",
                todo="if it is damaged, move it away: answers in it are then asked, and paid, again",
            ) from error
        return row

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def get(self, key: bytes) -> CachedAnswer | None:
        """The answer to a question that was asked before."""
        row = self._row(
            "SELECT text, finish_reason, input_tokens, output_tokens, cached_tokens, cost_nanousd, latency_ms,"
            " time_s FROM answers WHERE key = ?",
            key,
        )
        if row is None:
            return None
        text, finish_reason, n_in, n_out, n_cached, cost, latency_ms, time_s = row
        usage = Usage(n_in, n_out, n_cached)
        return CachedAnswer(
            Reply(text.decode("utf-8", "surrogatepass"), usage, finish_reason, latency_ms, time_s), cost
        )

    def spent_nanousd(self, job: bytes) -> int:
        """What a job has cost so far; requests that a killed run left open count in full.

        To be asked at a job's start, when nothing of it is under way.
        """
        with self._transaction():
            (left,) = self._db.execute(
                "SELECT coalesce(sum(nanousd), 0) FROM open_requests WHERE job = ?", (job,)
            ).fetchone()
            if left:
                self._book(job, left)
            self._db.execute("DELETE FROM open_requests WHERE job = ?", (job,))
        row = self._row("SELECT nanousd FROM spent WHERE job = ?", job)
        return int(row[0]) if row else 0

    def open_request(self, job: bytes, reserved_nanousd: int) -> int:
        """Write down that a request is about to be sent; returns its number."""
        with self._transaction():
            done = self._db.execute(
                "INSERT INTO open_requests (job, nanousd) VALUES (?, ?)", (job, reserved_nanousd)
            )
            assert done.lastrowid is not None
            return done.lastrowid

    def close_request(
        self,
        number: int,
        job: bytes,
        spent_nanousd: int,
        *,
        key: bytes | None = None,
        model: str = "",
        answer: CachedAnswer | None = None,
    ) -> None:
        """A request is over: book what it cost, and keep its answer if there is one."""
        with self._transaction():
            self._db.execute("DELETE FROM open_requests WHERE id = ?", (number,))
            if spent_nanousd:
                self._book(job, spent_nanousd)
            if answer is not None:
                reply = answer.reply
                self._db.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        key,
                        model,
                        reply.text.encode("utf-8", "surrogatepass"),
                        reply.finish_reason,
                        reply.usage.input_tokens,
                        reply.usage.output_tokens,
                        reply.usage.cached_tokens,
                        answer.cost_nanousd,
                        reply.latency_ms,
                        reply.time_s,
                    ),
                )

    def _book(self, job: bytes, nanousd: int) -> None:
        self._db.execute(
            "INSERT INTO spent VALUES (?, ?) ON CONFLICT (job) DO UPDATE SET nanousd = nanousd + excluded.nanousd",
            (job, nanousd),
        )
