"""JSON files as a stream of records: JSON Lines (gzipped or not) and JSON arrays, in bounded memory.

Each record comes with its line (or element) number. A line that is broken comes as the reason, so that the
reader can count it and go on. Knows nothing of calls.
"""

from __future__ import annotations

import codecs
import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from understudy.calls.report import LineRefusedError
from understudy.errors import DataError

__all__ = ["MAX_LINE_BYTES", "Record", "RecordStream", "decode_record", "json_records", "strict_loads"]

MAX_LINE_BYTES = 64 * 2**20
"""Longer lines are refused unread, which bounds memory whatever the file holds."""

Record = dict[str, Any]
RecordStream = Iterator[tuple[int, Record | LineRefusedError]]
_CHUNK_CHARS = 2**20


def _refuse_constant(_name: str) -> Any:
    raise LineRefusedError("NaN or Infinity")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise LineRefusedError("NaN or Infinity")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def strict_loads(text: str) -> Any:
    """JSON as the standard has it: no NaN, no Infinity, no number too large for a float.

    Raises
    ------
    LineRefusedError
        For those, and for nesting deeper than Python's stack.
    ValueError
        For broken JSON.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise LineRefusedError("nested too deeply") from error


def decode_record(line: bytes) -> Record:
    """One line of JSON Lines as a record.

    Raises
    ------
    LineRefusedError
        With the reason.
    """
    if b"\0" in line:
        raise LineRefusedError("null byte")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LineRefusedError("not UTF-8") from error
    try:
        record = strict_loads(text)
    except ValueError as error:
        raise LineRefusedError("broken JSON") from error
    if not isinstance(record, dict):
        raise LineRefusedError("not a JSON object")
    return record


def json_records(path: Path) -> RecordStream:
    """Records of a ``.jsonl`` or ``.json`` file, gzipped or not.

    Names that end in ``.jsonl`` or ``.ndjson`` are read line by line. Of other files, one that starts with
    ``[`` is read as an array; a ``.json`` file that is a single object spread over lines, or holds its
    records in a list under ``data``, is read whole.

    Raises
    ------
    DataError
        If the file cannot be opened.
    """
    try:
        with _open(path) as file:
            first = _first_byte(file)
        with _open(path) as file:
            name = path.name.removesuffix(".gz").lower()
            if name.endswith((".jsonl", ".ndjson")):
                yield from _lines(file)
            elif first == b"[":
                yield from _array(file)
            elif name.endswith(".json") and not _is_lines(path):
                yield from _whole(file)
            else:
                yield from _lines(file)
    except (OSError, EOFError) as error:
        raise DataError(
            "a file of calls cannot be read",
            given=f"{path}: {error.__class__.__name__}",
            todo="check the path, its permissions and, for .gz, that the file is complete",
        ) from error


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _first_byte(file: IO[bytes]) -> bytes:
    head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head[:1]


def _lines(file: IO[bytes]) -> RecordStream:
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, LineRefusedError("line too long")
            continue
        if not line.strip():
            continue
        try:
            yield number, decode_record(line)
        except LineRefusedError as error:
            yield number, error


def _is_lines(path: Path) -> bool:
    """Whether the first line is a whole record (or no JSON at all: line by line then counts the damage)."""
    with _open(path) as file:
        for line in file:
            if line.strip():
                try:
                    decode_record(line)
                except LineRefusedError:
                    return not line.lstrip().startswith(b"{")
                return True
    return True


def _whole(file: IO[bytes]) -> RecordStream:
    try:
        record = decode_record(file.read())
    except LineRefusedError as error:
        yield 1, error
        return
    inner = record.get("data")
    if not isinstance(inner, list):
        yield 1, record
        return
    for number, item in enumerate(inner, 1):
        yield number, item if isinstance(item, dict) else LineRefusedError("not a JSON object")


def _array(file: IO[bytes]) -> RecordStream:
    """Elements of one JSON array, decoded as they come; after a syntax error nothing more can be found."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    buffer, at, number, is_end = "", 0, 0, False
    is_open = False
    while True:
        at = _past_separators(buffer, at)
        if not is_open and at < len(buffer):
            at, is_open = at + 1, True
            continue
        if at < len(buffer) and buffer[at] == "]":
            return
        found = _element(buffer, at) if at < len(buffer) else None
        # An element that touches the buffer's end may go on in the next chunk.
        if found and (found[1] < len(buffer) or is_end):
            number += 1
            at = found[1]
            yield number, found[0]
            continue
        if is_end or len(buffer) - at > MAX_LINE_BYTES:
            yield number + 1, LineRefusedError("broken JSON")
            return
        chunk = file.read(max(_CHUNK_CHARS, len(buffer) - at))
        is_end = not chunk
        try:
            buffer, at = buffer[at:] + decoder.decode(chunk, final=is_end), 0
        except UnicodeDecodeError:
            yield number + 1, LineRefusedError("not UTF-8")
            return


def _past_separators(buffer: str, at: int) -> int:
    while at < len(buffer) and buffer[at] in " \t\r\n,":
        at += 1
    return at


def _element(buffer: str, at: int) -> tuple[Record | LineRefusedError, int] | None:
    """The element at `at` and where it ends; ``None`` if it is not complete (or broken)."""
    try:
        item, end = _DECODER.raw_decode(buffer, at)
    except LineRefusedError as error:
        try:
            _, end = json.JSONDecoder().raw_decode(buffer, at)
        except ValueError:
            return None
        return error, end
    except (ValueError, RecursionError):
        return None
    return (item if isinstance(item, dict) else LineRefusedError("not a JSON object")), end
