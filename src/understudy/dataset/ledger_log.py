"""A ledger as a log: the calls that upstream answered, where their texts were kept.

What a student answered is left out: a student must not learn from itself. It does not know what a served task
deferred and why; the calls of one that serves are its hard ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from understudy.calls.columns import ColumnMap
from understudy.calls.exchanges import Identified, exchanges_of
from understudy.calls.report import ReadReport
from understudy.errors import DataError
from understudy.task.spec import task_name

if TYPE_CHECKING:
    from understudy.ledger.database import Ledger
    from understudy.ledger.export import ExportCounts

__all__ = ["is_ledger", "ledger_exchanges", "ledger_log", "write_ledger_log"]

_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_SCHEMES = ("sqlite://", "postgres://", "postgresql://", "postgresql+psycopg://")


def is_ledger(place: str | Path) -> bool:
    """Whether this names a ledger rather than a file of calls."""
    text = str(place)
    return text.startswith(_SCHEMES) or text.lower().endswith(_SUFFIXES)


@contextlib.contextmanager
def _opened(url: str | Path) -> Iterator[Ledger]:
    from understudy.ledger.database import Ledger

    ledger = Ledger.open(url, may_create=False)
    try:
        yield ledger
    finally:
        ledger.close()


def ledger_exchanges(url: str | Path, report: ReadReport) -> Iterator[Identified]:
    """Full requests and their answers as a stream.

    Raises
    ------
    ConfigError, LedgerError
        If there is no such ledger, or it does not answer.
    DataError
        If it keeps no texts.
    """
    from understudy.ledger.export import ExportCounts, export_calls

    counts = ExportCounts()
    with _opened(url) as ledger:
        report.formats[ledger.shown_url.split("?")[0].rsplit("/", 1)[-1]] = "ledger"
        records = enumerate(export_calls(ledger, counts=counts), 1)
        yield from exchanges_of(records, "ledger", ColumnMap.of(None), report)
        _note(counts, report)
        if not counts.exported:
            raise _no_texts(ledger, counts, None)


def _note(counts: ExportCounts, report: ReadReport) -> None:
    if counts.without_texts:
        report.notes["calls of the ledger without texts (left out)"] += counts.without_texts
    if counts.unreadable:
        report.notes["calls of the ledger whose texts are no JSON (left out)"] += counts.unreadable


def write_ledger_log(
    ledger: Ledger, stream: TextIO, *, task: str | None = None, since_ms: int | None = None
) -> ExportCounts:
    """Write calls with texts as JSON Lines, as ``learn`` reads them.

    Parameters
    ----------
    ledger
        Where from.
    stream
        Where to.
    task
        Only what was served as this task.
    since_ms
        Only from then on, milliseconds since 1970.
    """
    from understudy.ledger.export import ExportCounts, export_calls

    counts = ExportCounts()
    records = export_calls(ledger, task, since_ms, counts=counts)
    stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return counts


@contextlib.contextmanager
def ledger_log(url: str | Path, task: str | None = None) -> Iterator[tuple[Path, ExportCounts]]:
    """A temporary log of the ledger's calls, readable by its owner only and removed afterwards.

    Parameters
    ----------
    url
        The ledger.
    task
        Only what was served as this task.

    Raises
    ------
    ConfigError, LedgerError
        If there is no such ledger, or it does not answer.
    DataError
        If it has no calls with texts.
    """
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        path = Path(folder) / f"{task_name(task or 'ledger')}.jsonl"
        with (
            _opened(url) as ledger,
            os.fdopen(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as stream,
        ):
            counts = write_ledger_log(ledger, stream, task=task)
            if not counts.exported:
                raise _no_texts(ledger, counts, task)
        yield path, counts


def _no_texts(ledger: Ledger, counts: ExportCounts, task: str | None) -> DataError:
    asked = f" for the task {task!r}" if task is not None else ""
    if counts.without_texts:
        return DataError(
            f"the ledger keeps no texts{asked}, and without them nothing can be learnt",
            given=f"{ledger.shown_url}: {counts.without_texts:,} calls that upstream answered, none with texts",
            todo="start the server with `understudy serve --store-texts`, or set keeps_texts = true under "
            "[ledger] in serve.toml; calls made from then on can be learnt from",
        )
    from understudy.ledger.queries import by_task

    found: dict[str | None, Any] = by_task(ledger)
    named = ", ".join(f"{name} ({one.n_calls:,} calls)" for name, one in found.items() if name is not None)
    return DataError(
        f"the ledger has no calls that upstream answered{asked}",
        given=f"{ledger.shown_url}: {sum(one.n_calls for one in found.values()):,} calls in all; "
        f"tasks: {named or 'none'}",
        todo="let the application call the server first (`understudy serve --mode record --store-texts`), or "
        "name another task or ledger",
    )
