"""OpenAI batch files: the requests of one file joined to the answers of another by ``custom_id``.

The requests are held in memory (as compact JSON) while the answers stream past; answers without a request,
and requests without an answer, are counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from understudy.calls.records import Record, RecordStream, json_records
from understudy.calls.report import LineRefusedError, ReadReport

__all__ = ["is_batch_request", "is_batch_response", "joined_records"]


def is_batch_request(record: Record) -> bool:
    """Whether a record is a line of a batch's input file."""
    return "custom_id" in record and isinstance(record.get("body"), dict) and "response" not in record


def is_batch_response(record: Record) -> bool:
    """Whether a record is a line of a batch's output (or error) file."""
    return "custom_id" in record and ("response" in record or "error" in record) and "body" not in record


def joined_records(
    requests: Sequence[Path], responses: Sequence[Path], report: ReadReport
) -> Iterator[tuple[str, int, Record | LineRefusedError]]:
    """Records with ``body`` and ``response``: file name, line number, record (or why not)."""
    waiting: dict[str, bytes] = {}
    for path in requests:
        for number, record in json_records(path):
            if isinstance(record, LineRefusedError):
                yield path.name, number, record
                continue
            if not is_batch_request(record):
                yield path.name, number, LineRefusedError("not a batch request")
                continue
            custom_id = str(record["custom_id"])
            if custom_id in waiting:
                yield path.name, number, LineRefusedError("custom_id given twice in the batch's requests")
                continue
            waiting[custom_id] = json.dumps(record["body"], ensure_ascii=False).encode(
                "utf-8", "surrogatepass"
            )
    for path in responses:
        yield from ((path.name, number, record) for number, record in _answers(json_records(path), waiting))
    if waiting:
        report.notes["batch requests without an answer"] += len(waiting)


def _answers(records: RecordStream, waiting: dict[str, bytes]) -> RecordStream:
    for number, record in records:
        if isinstance(record, LineRefusedError):
            yield number, record
            continue
        body = waiting.pop(str(record.get("custom_id")), None)
        if body is None:
            yield number, LineRefusedError("no batch request with this custom_id")
        elif record.get("error") or not isinstance(record.get("response"), dict):
            yield number, LineRefusedError("the response is an error")
        else:
            request: Any = json.loads(body.decode("utf-8", "surrogatepass"))
            yield number, {**record, "id": record["custom_id"], "body": request}
