"""Files to calls: finds each file's format, reads it as a stream, counts what it cannot use.

Formats: plain JSON Lines, JSON arrays, CSV, Parquet, OpenAI chat requests with responses, batch files, stored
completions and fine-tuning lines. Memory is bounded, but for the ids (a few dozen bytes a call, to find
duplicates) and a batch's requests. It does not know the task: outputs stay as recorded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from understudy.calls.batch import is_batch_request, is_batch_response, joined_records
from understudy.calls.call import Call
from understudy.calls.chat import ChatExchange, chat_exchange, is_chat
from understudy.calls.columns import ColumnMap
from understudy.calls.plain import plain_call
from understudy.calls.records import Record, json_records
from understudy.calls.report import LineRefusedError, ReadReport
from understudy.calls.tabular import csv_records, parquet_records, typed_cells
from understudy.calls.template import SAMPLE_CALLS, find_template
from understudy.errors import ConfigError, DataError

__all__ = [
    "FORMATS",
    "batch_side",
    "chat_exchanges",
    "check_files",
    "find_format",
    "read_calls",
    "with_unique_id",
]

FORMATS: Final = ("plain", "chat", "batch", "csv", "parquet")
"""What ``--format`` takes; without it the format is found from the file's name and first records."""

_PROBE_RECORDS = 50
Placed = tuple[str, int, Record | LineRefusedError]


def read_calls(
    paths: Iterable[str | Path],
    *,
    mapping: Mapping[str, str] | None = None,
    format: str | None = None,  # noqa: A002
    report: ReadReport | None = None,
) -> Iterator[Call]:
    """Read recorded calls as a stream.

    Parameters
    ----------
    paths
        Files, read in order. A batch's input and output file are given as two paths.
    mapping
        Target attribute to source column, ``{"output": "teacher_label"}``; dotted sources reach into objects;
        ``input.NAME`` makes the input a record.
    format
        One of :data:`FORMATS`, or ``None`` to find it per file.
    report
        Filled while reading.

    Yields
    ------
    Call
        With unique ids: a repeated id gets ``#2``, ``#3`` ...

    Raises
    ------
    ConfigError
        If a path or format is unknown, or a mapped column never occurs.
    DataError
        If a file cannot be read, or no line of all files is a call.
    """
    report = ReadReport() if report is None else report
    files = [Path(path) for path in paths]
    check_files(files, format)
    columns = ColumnMap.of(mapping)
    seen: dict[int, int] = {}
    for call in _calls(files, columns, format, report):
        report.n_calls += 1
        yield with_unique_id(call, seen, report)
    if report.columns:
        columns.check_all_seen(list(report.columns))
    if not report.n_calls:
        raise DataError(
            "there are no calls to read", given=_why_none(files, report), todo=_what_to_do(report)
        )


def check_files(files: Sequence[Path], format_name: str | None) -> None:
    """Refuse paths and formats that cannot be read.

    Raises
    ------
    ConfigError
        If a file is missing, a folder, or the format is unknown.
    """
    if not files:
        raise ConfigError("no file of calls was given", todo="give one or more paths")
    for path in files:
        if not path.exists():
            raise ConfigError("a file of calls does not exist", given=str(path), todo="check the path")
        if path.is_dir():
            raise ConfigError(
                "a folder was given instead of a file", given=str(path), todo="name the files in it"
            )
    if format_name is not None and format_name not in FORMATS:
        raise ConfigError("unknown format", given=format_name, todo=f"use one of {', '.join(FORMATS)}")


def _why_none(files: Sequence[Path], report: ReadReport) -> str:
    names = ", ".join(path.name for path in files)
    if not report.n_lines:
        return f"{names}: empty"
    reasons = [
        f"{refusal.count:,} x {reason} (first: {refusal.places[0]})"
        for reason, refusal in sorted(report.refused.items(), key=lambda item: -item[1].count)
    ]
    return f"{names}: {report.n_lines:,} lines, refused: {'; '.join(reasons[:4])}"


def _what_to_do(report: ReadReport) -> str:
    if not report.n_lines:
        return "give a log with at least one call"
    if "no input" in report.refused:
        seen = ", ".join(report.columns) or "(none)"
        return f"say which column is the input, for example --map input=COLUMN; columns seen: {seen}"
    return "see the accepted formats in docs/calls.md"


def with_unique_id(call: Call, seen: dict[int, int], report: ReadReport) -> Call:
    """The call with an id that has not come before."""
    # 64-bit hashes instead of the texts: what stays in memory must not grow with long ids.
    key = hash(call.id)
    count = seen.get(key, 0) + 1
    seen[key] = count
    if count == 1:
        return call
    report.notes["ids that came before (suffixed)"] += 1
    while hash(unique := f"{call.id}#{count}") in seen:
        count += 1
    seen[key] = count
    seen[hash(unique)] = 1
    return replace(call, id=unique)


def _calls(
    files: Sequence[Path], columns: ColumnMap, format_name: str | None, report: ReadReport
) -> Iterator[Call]:
    kinds = {path: format_name or find_format(path, columns) for path in files}
    kinds = {path: batch_side(path) if kind == "batch" else kind for path, kind in kinds.items()}
    report.formats.update({path.name: kind for path, kind in kinds.items()})
    requests = [path for path in files if kinds[path] == "batch requests"]
    responses = [path for path in files if kinds[path] == "batch responses"]
    if (requests and not responses) or (responses and not requests):
        raise ConfigError(
            "one half of a batch is missing",
            given=", ".join(path.name for path in requests + responses),
            todo="give both files: the batch's requests and its responses",
        )
    chats: list[Iterator[Placed]] = []
    for at, path in enumerate(files):
        if kinds[path] in ("plain", "csv", "parquet"):
            prefix = "line" if at == 0 else f"f{at + 1}-line"
            yield from _plain_calls(path, kinds[path], columns, report, prefix)
        elif kinds[path] == "chat":
            chats.append((path.name, number, record) for number, record in json_records(path))
    if requests:
        chats.append(joined_records(requests, responses, report))
    if chats:
        yield from _chat_calls(itertools.chain.from_iterable(chats), columns, report)


def find_format(path: Path, columns: ColumnMap) -> str:
    """One of :data:`FORMATS`, from the file's name and first records."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".parquet" in suffixes or ".pq" in suffixes:
        return "parquet"
    if suffixes and suffixes[-1] in (".csv", ".tsv"):
        return "csv"
    if "input" in columns.mapping or columns.input_names:
        return "plain"
    for _, record in itertools.islice(json_records(path), _PROBE_RECORDS):
        if isinstance(record, dict):
            if is_batch_request(record) or is_batch_response(record):
                return "batch"
            return "chat" if is_chat(record) else "plain"
    return "plain"


def batch_side(path: Path) -> str:
    """``batch requests`` or ``batch responses``."""
    for _, record in itertools.islice(json_records(path), _PROBE_RECORDS):
        if isinstance(record, dict):
            return "batch requests" if is_batch_request(record) else "batch responses"
    return "batch responses"


def _plain_calls(
    path: Path, kind: str, columns: ColumnMap, report: ReadReport, id_prefix: str
) -> Iterator[Call]:
    if kind == "csv":
        answers = {columns.mapping.get(name, name) for name in ("output", "gold")}
        records = typed_cells(csv_records(path), answers)
    else:
        records = parquet_records(path) if kind == "parquet" else json_records(path)
    for number, record in records:
        report.n_lines += 1
        if isinstance(record, LineRefusedError):
            report.refuse(record.reason, f"{path.name}:{number}")
            continue
        if report.n_lines <= 1000 or number <= 1000:
            report.see_columns(record)
        try:
            yield plain_call(record, columns, f"{id_prefix}-{number}")
        except LineRefusedError as error:
            report.refuse(error.reason, f"{path.name}:{number}")


def _chat_calls(records: Iterator[Placed], columns: ColumnMap, report: ReadReport) -> Iterator[Call]:
    exchanges = chat_exchanges(records, columns, report)
    head = list(itertools.islice(exchanges, SAMPLE_CALLS))
    template = find_template([exchange.messages for _, exchange in head])
    for identity, exchange in itertools.chain(head, exchanges):
        text, kind, fits = template.cut(exchange.messages, exchange.output_format)
        fixed = report.see_template(kind.to_text())
        if not fits:
            report.notes["requests that do not fit the common template (whole message kept)"] += 1
        yield Call(
            id=identity,
            input=text,
            output=exchange.output,
            votes=exchange.votes,
            label_probabilities=exchange.label_probabilities,
            messages_template=fixed,
            **exchange.facts,
        )


def chat_exchanges(
    records: Iterator[Placed], columns: ColumnMap, report: ReadReport
) -> Iterator[tuple[str, ChatExchange]]:
    """Read chat records; what is none is counted."""
    for name, number, record in records:
        report.n_lines += 1
        if isinstance(record, LineRefusedError):
            report.refuse(record.reason, f"{name}:{number}")
            continue
        if number <= 1000:
            report.see_columns(record)
        try:
            exchange = chat_exchange(record, columns)
        except LineRefusedError as error:
            report.refuse(error.reason, f"{name}:{number}")
            continue
        yield exchange.id or f"line-{number}", exchange
