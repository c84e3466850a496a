"""Inputs to label: JSON Lines as a stream, each a text, a record of named texts, or an object with ``input``.

A line that is no input of the task is counted by reason and left out; no message shows its text.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from understudy.calls.call import InputParts
from understudy.calls.plain import call_id, check_text
from understudy.calls.records import MAX_LINE_BYTES, strict_loads
from understudy.calls.report import LineRefusedError, ReadReport
from understudy.errors import DataError
from understudy.task.task import Task

__all__ = ["InputLine", "read_inputs"]

_OURS = frozenset(
    {
        "cached_tokens", "completion", "cost_usd", "error", "id", "input", "input_tokens", "label_probabilities",
        "labelled_at", "latency_ms", "model", "output", "output_tokens", "rationale", "usage", "votes",
    }
)  # fmt: skip
"""Keys that say who answered what; an input's own are left out, or they would be read as this teacher's."""


@dataclass(frozen=True, slots=True)
class InputLine:
    """One input.

    Attributes
    ----------
    id
        Its own, or ``line-17``.
    given
        A text or a record, as it came.
    parts
        The same, cut by the task.
    carried
        The line's other keys.
    """

    id: str
    given: str | Mapping[str, Any]
    parts: InputParts
    carried: dict[str, Any]


def read_inputs(path: Path, task: Task, report: ReadReport) -> Iterator[InputLine]:
    """Read inputs as a stream.

    Parameters
    ----------
    path
        JSON Lines, gzipped or not; ``-`` for standard input.
    task
        What an input has to look like.
    report
        Counts lines, and those refused.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        if str(path) == "-":
            yield from _inputs(sys.stdin.buffer, task, report, "stdin")
            return
        with _open(path) as lines:
            yield from _inputs(lines, task, report, path.name)
    except (OSError, EOFError) as error:
        raise DataError(
            "the inputs cannot be read", given=f"{path}: {error.__class__.__name__}", todo="check the path"
        ) from error


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _inputs(lines: IO[bytes], task: Task, report: ReadReport, name: str) -> Iterator[InputLine]:
    number = 0
    while raw := lines.readline(MAX_LINE_BYTES + 1):
        number += 1
        is_too_long = len(raw) > MAX_LINE_BYTES
        while is_too_long and raw and not raw.endswith(b"\n"):
            raw = lines.readline(MAX_LINE_BYTES)
        if not is_too_long and not raw.strip():
            continue
        report.n_lines += 1
        try:
            if is_too_long:
                raise LineRefusedError("line too long")
            yield _input(raw, task, number)
        except LineRefusedError as error:
            report.refuse(error.reason, f"{name}:{number}")


def _input(raw: bytes, task: Task, number: int) -> InputLine:
    try:
        line = strict_loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise LineRefusedError("not UTF-8") from error
    except ValueError as error:
        raise LineRefusedError("broken JSON") from error
    carried: dict[str, Any] = {}
    identity = f"line-{number}"
    given = line
    if isinstance(line, dict):
        is_record = bool(task.input_names) and all(name in line for name in task.input_names)
        if "input" in line and not (is_record and "input" in task.input_names):
            given = line["input"]
        elif is_record:
            given = {name: line[name] for name in task.input_names}
        else:
            raise LineRefusedError("no input")
        identity = call_id(line, identity)
        known = _OURS.union(given) if is_record and given is not line.get("input") else _OURS
        carried = {key: value for key, value in line.items() if key not in known}
    if not isinstance(given, str | dict):
        raise LineRefusedError("input is not a text or an object of texts")
    try:
        parts = task.parts(given)
    except DataError as error:
        raise LineRefusedError("not an input of the task") from error
    if not any(part.strip() for part in parts):
        raise LineRefusedError("empty input")
    for part in parts:
        check_text(part)
    return InputLine(identity, given, parts, carried)
