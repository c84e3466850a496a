"""Answer a stream of lines: ordered, one output line per input line, in bounded memory.

A line that cannot be answered becomes an output line with ``error``; nothing is dropped. Texts are never logged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from understudy.errors import ConfigError, DataError
from understudy.runtime.answer import Understudy

__all__ = ["StreamCounts", "answer_lines", "answer_stream", "count_finished_lines"]

CHUNK_LINES = 1024
WRITER_CHUNK_LINES = 16
"""Of students that write: they hold every text under way in memory, and take seconds rather than microseconds."""
MAX_LINE_BYTES = 8_000_000


@dataclass
class StreamCounts:
    """How many lines were read, answered, deferred and refused so far."""

    read: int = 0
    answered: int = 0
    deferred: int = 0
    refused: int = 0


def _parse_line(raw: bytes, input_names: tuple[str, ...]) -> tuple[Any, Any, str | None]:
    """Id, input and error of one line."""
    if len(raw) > MAX_LINE_BYTES:
        return None, None, f"the line is longer than {MAX_LINE_BYTES} bytes"
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError) as error:
        return None, None, f"not JSON: {type(error).__name__}"
    if isinstance(given, str):
        return None, given, None
    if not isinstance(given, dict):
        return None, None, f"a line must be a JSON string or object, not {type(given).__name__}"
    if "input" in given and "input" not in input_names:
        return given.get("id"), given["input"], None
    if input_names and all(name in given for name in input_names):
        return given.get("id"), {name: given[name] for name in input_names}, None
    return given.get("id"), None, 'the object has no key "input"'


def _chunk_lines(model: Understudy) -> int:
    return WRITER_CHUNK_LINES if model.is_writer else CHUNK_LINES


def answer_lines(model: Understudy, lines: Iterable[bytes], counts: StreamCounts) -> Iterator[bytes]:
    """One JSON line per input line, in order."""
    source = iter(lines)
    names, size = model.task.input_names, _chunk_lines(model)
    while chunk := list(islice(source, size)):
        parsed = [_parse_line(line, names) for line in chunk]
        parts: list[Any] = []
        errors: list[str | None] = []
        for _, given, unreadable in parsed:
            error = unreadable
            if error is None:
                try:
                    parts.append(model.task.parts(given))
                except DataError as refused:
                    error = refused.what
            errors.append(error)
        answers = iter(model.answer_parts(parts) if parts else [])
        for (name, _, _), error in zip(parsed, errors, strict=True):
            counts.read += 1
            head = {} if name is None else {"id": name}
            if error is not None:
                counts.refused += 1
                yield _dump({**head, "error": error, "answered": False})
                continue
            answer = next(answers)
            if answer.is_answered:
                counts.answered += 1
            else:
                counts.deferred += 1
            yield _dump({**head, **answer.to_dict()})


_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(", ", ": ")).encode


def _dump(line: Mapping[str, Any]) -> bytes:
    return _encode(line).encode("utf-8", "surrogatepass") + b"\n"


def count_finished_lines(path: Path) -> tuple[int, int]:
    """Complete lines in an output file, and the byte where the last of them ends."""
    lines = end = at = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found = block.count(b"\n")
            if found:
                lines += found
                end = at + block.rfind(b"\n") + 1
            at += len(block)
    return lines, end


def answer_stream(
    model: Understudy,
    source: BinaryIO,
    target: BinaryIO,
    *,
    skip: int = 0,
    progress: Callable[[StreamCounts], None] | None = None,
) -> StreamCounts:
    """Answer every line of `source` into `target`, after skipping `skip` lines that were answered before.

    Raises
    ------
    ConfigError
        If the input is shorter than what was answered before: it is not the same input.
    """
    lines = (line for line in source if line.strip())
    for done in range(skip):
        if next(lines, None) is None:
            raise ConfigError(
                f"the output holds {skip} answers, the input only {done} lines",
                todo="this is not the input that was being answered; give another --out",
            )
    counts, size = StreamCounts(), _chunk_lines(model)
    for number, line in enumerate(answer_lines(model, lines, counts), start=1):
        target.write(line)
        if number % size == 0:
            target.flush()
            if progress is not None:
                progress(counts)
    target.flush()
    if progress is not None:
        progress(counts)
    return counts
