"""CSV and Parquet as records, in batches.

CSV goes through the standard library, not polars: polars ends at the first ragged or wrongly encoded row,
and here such a row must be counted and the rest read. All CSV cells are text; an empty cell is a column
that is not there. Whether a column holds numbers or booleans is decided from its first rows
(:func:`typed_cells`).
"""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from understudy.calls.records import Record, RecordStream, strict_loads
from understudy.calls.report import LineRefusedError
from understudy.errors import DataError, MissingDependencyError

__all__ = ["csv_records", "parquet_records", "typed_cells"]

_SAMPLE_ROWS = 1000
_MAX_CELL_CHARS = 16 * 2**20
_BATCH_ROWS = 8192
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?\Z")


def csv_records(path: Path) -> RecordStream:
    """Rows of a CSV (or, by its ending, TSV) file with a header line; row numbers count the header as 1.

    Raises
    ------
    DataError
        If the file cannot be opened or has no header.
    """
    csv.field_size_limit(_MAX_CELL_CHARS)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter)
            header = next(rows, None)
            if not header or not any(name.strip() for name in header):
                raise DataError(
                    "a CSV file has no header line", given=path.name, todo="name the columns in line 1"
                )
            yield from _rows(rows, [name.strip() for name in header])
    except OSError as error:
        raise DataError(
            "a file of calls cannot be read", given=f"{path}: {error.__class__.__name__}"
        ) from error


def _rows(rows: Iterator[list[str]], header: list[str]) -> RecordStream:
    for number in itertools.count(2):
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            yield number, LineRefusedError("broken CSV")
            continue
        if not row:
            continue
        if len(row) > len(header):
            yield number, LineRefusedError("more cells than columns")
        elif any("\0" in cell for cell in row):
            yield number, LineRefusedError("null byte")
        elif any(_is_escaped(cell) for cell in row):
            yield number, LineRefusedError("not UTF-8")
        else:
            yield number, {name: cell for name, cell in zip(header, row, strict=False) if cell != ""}


def _is_escaped(cell: str) -> bool:
    """Whether bytes that are no UTF-8 were read in."""
    return not cell.isascii() and any("\udc80" <= char <= "\udcff" for char in cell)


def typed_cells(records: RecordStream, names: Collection[str]) -> RecordStream:
    """Give the columns `names` their type: numbers or booleans if each cell of the first 1,000 rows is one.

    A later cell that does not fit stays text (and will be off-schema). Cells that hold JSON objects or lists
    stay text too: the task's parser reads those.
    """
    head = list(itertools.islice(records, _SAMPLE_ROWS))
    cells: dict[str, set[str]] = {}
    for _, record in head:
        if isinstance(record, dict):
            for name in record.keys() & names:
                cell = record[name]
                cells.setdefault(name, set()).add(_cell_type(cell))
    types = {name: found.pop() for name, found in cells.items() if len(found) == 1}
    types = {name: kind for name, kind in types.items() if kind != "text"}
    for number, record in itertools.chain(head, records):
        if isinstance(record, dict):
            for name in types.keys() & record.keys():
                if _cell_type(record[name]) == types[name]:
                    record[name] = strict_loads(record[name].strip().lower())
        yield number, record


def _cell_type(cell: str) -> str:
    stripped = cell.strip()
    if stripped.lower() in ("true", "false"):
        return "boolean"
    return "number" if len(stripped) < 40 and _JSON_NUMBER.match(stripped) else "text"


def parquet_records(path: Path) -> RecordStream:
    """Rows of a Parquet file; a null cell of a flat column is a column that is not there.

    Raises
    ------
    MissingDependencyError
        Without polars.
    DataError
        If the file is no Parquet.
    """
    try:
        import polars as pl
    except ImportError as error:
        raise MissingDependencyError.of("polars", "learn") from error
    number = 0
    try:
        for batch in pl.scan_parquet(path).collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True):
            for row in batch.iter_rows(named=True):
                number += 1
                yield number, _row(row)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            "a file of calls cannot be read as Parquet", given=f"{path}: {error.__class__.__name__}"
        ) from error


def _row(row: dict[str, Any]) -> Record | LineRefusedError:
    record = {name: value for name, value in row.items() if value is not None}
    for value in record.values():
        if isinstance(value, float) and math.isnan(value):
            return LineRefusedError("NaN or Infinity")
    return record
