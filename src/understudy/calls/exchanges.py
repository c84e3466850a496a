"""Files to exchanges: full requests with their answers, before the fixed part of a request is cut off.

For those who ask which requests a log holds. Whoever wants calls takes ``readers``. Files whose records are only
inputs and outputs hold no requests; they are counted, not read. Memory is bounded as in ``readers``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from understudy.calls.batch import joined_records
from understudy.calls.call import Call
from understudy.calls.chat import ChatExchange
from understudy.calls.columns import ColumnMap
from understudy.calls.readers import batch_side, chat_exchanges, check_files, find_format, with_unique_id
from understudy.calls.records import Record, json_records
from understudy.calls.report import LineRefusedError, ReadReport
from understudy.errors import ConfigError

__all__ = ["Identified", "exchanges_of", "read_exchanges", "with_unique_ids"]

Identified = tuple[str, ChatExchange]
"""The record's own id, or its line (``line-17``), and the exchange."""

_WITHOUT_REQUESTS = ("plain", "csv", "parquet")


def read_exchanges(
    paths: Iterable[str | Path],
    *,
    mapping: Mapping[str, str] | None = None,
    format: str | None = None,  # noqa: A002
    report: ReadReport | None = None,
) -> Iterator[Identified]:
    """Read full requests and their answers as a stream; the parameters are those of ``read_calls``.

    Raises
    ------
    ConfigError
        If a path or format is unknown, or one half of a batch is missing.
    DataError
        If a file cannot be read.
    """
    report = ReadReport() if report is None else report
    files = [Path(path) for path in paths]
    check_files(files, format)
    columns = ColumnMap.of(mapping)
    kinds = {path: format or find_format(path, columns) for path in files}
    kinds = {path: batch_side(path) if kind == "batch" else kind for path, kind in kinds.items()}
    report.formats.update({path.name: kind for path, kind in kinds.items()})
    requests = [path for path in files if kinds[path] == "batch requests"]
    responses = [path for path in files if kinds[path] == "batch responses"]
    if bool(requests) != bool(responses):
        raise ConfigError(
            "one half of a batch is missing",
            given=", ".join(path.name for path in requests + responses),
            todo="give both files: the batch's requests and its responses",
        )
    if n_without := sum(kind in _WITHOUT_REQUESTS for kind in kinds.values()):
        report.notes["files without requests (left out)"] += n_without
    for path in files:
        if kinds[path] == "chat":
            yield from exchanges_of(json_records(path), path.name, columns, report)
    if requests:
        yield from chat_exchanges(joined_records(requests, responses, report), columns, report)


def exchanges_of(
    records: Iterable[tuple[int, Record | LineRefusedError]],
    name: str,
    columns: ColumnMap,
    report: ReadReport,
) -> Iterator[Identified]:
    """Exchanges of numbered records, whatever they come from; `name` stands in the report's places."""
    return chat_exchanges(((name, number, record) for number, record in records), columns, report)


def with_unique_ids(calls: Iterable[Call], report: ReadReport) -> Iterator[Call]:
    """Calls as ``read_calls`` gives them: counted, and a repeated id suffixed."""
    seen: dict[int, int] = {}
    for call in calls:
        report.n_calls += 1
        yield with_unique_id(call, seen, report)
