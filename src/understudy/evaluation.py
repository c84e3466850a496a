"""Measure an artefact on recorded calls: coverage, agreement, gold accuracy, per record and per field.

Streams the log; keeps one byte per call and figure. It certifies nothing: the certificate was made once, by
``learn``. If the calls were part of what was learnt, the figures flatter, and it cannot know that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from understudy.calls.call import ABSENT, Call
from understudy.calls.readers import read_calls
from understudy.calls.report import ReadReport
from understudy.certify.bounds import clopper_pearson_interval
from understudy.errors import DataError
from understudy.runtime.answer import Answer, Understudy, load
from understudy.task.field import values_equal
from understudy.task.parse import OffSchema, parse_output
from understudy.units import format_share

__all__ = ["evaluate", "print_evaluation"]

_CHUNK = 512


@dataclass
class _Tally:
    """Counts of one reference (teacher or gold) for the record or one field."""

    n: int = 0
    right: int = 0
    answered: int = 0
    answered_right: int = 0

    def add(self, is_right: bool, is_answered: bool) -> None:
        self.n += 1
        self.right += is_right
        self.answered += is_answered
        self.answered_right += is_right and is_answered

    def figures(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "all": _share(self.right, self.n),
            "answered": _share(self.answered_right, self.answered),
            "coverage": _share(self.answered, self.n),
        }


def _share(count: int, n: int) -> dict[str, Any] | None:
    if not n:
        return None
    low, high = clopper_pearson_interval(count, n)
    return {"share": count / n, "low": low, "high": high, "count": count, "n": n}


@dataclass
class _Counts:
    calls: int = 0
    answered: int = 0
    refused_inputs: int = 0
    off_schema: dict[str, int] = field(default_factory=dict)
    rungs: dict[str, int] = field(default_factory=dict)
    tallies: dict[tuple[str, str], _Tally] = field(default_factory=dict)

    def tally(self, which: str, name: str) -> _Tally:
        return self.tallies.setdefault((which, name), _Tally())


def evaluate(
    artefact: str | Path,
    logs: Sequence[str | Path],
    *,
    mapping: Mapping[str, str] | None = None,
    log_format: str | None = None,
    split: str | None = None,
    is_lenient: bool = False,
) -> dict[str, Any]:
    """Figures of an artefact on recorded calls.

    Parameters
    ----------
    artefact
        Folder of the artefact.
    logs, mapping, log_format
        As for reading calls.
    split
        Only calls that the log marks with this split.
    is_lenient
        Parse answers that wrap a label in other text.

    Returns
    -------
    dict
        ``calls``, ``coverage``, ``rungs``, and per reference (``teacher``, ``gold``) and name (``record`` or a field)
        the shares right among all and among answered calls, with exact 95 % intervals; ``equality`` says per field of
        text what counts as right.

    Raises
    ------
    DataError
        If no call is left to measure on.
    """
    model = load(artefact)
    report = ReadReport()
    source = read_calls(logs, mapping=mapping, format=log_format, report=report)
    wanted = (call for call in source if split is None or call.split == split.lower())
    counts = _Counts()
    for chunk in _chunks(wanted):
        _measure(model, chunk, counts, is_lenient=is_lenient)
    if not counts.calls:
        raise DataError(
            "there is no call to measure on",
            given=f"split {split!r}" if split else None,
            todo="check --split against the log's own names of splits",
        )
    shares: dict[str, dict[str, Any]] = {which: {} for which, _ in counts.tallies}
    for (which, name), tally in counts.tallies.items():
        shares[which][name] = tally.figures()
    return {
        "artefact": model.manifest.get("id"),
        "task": model.task.name,
        "target": model.manifest["options"]["target"],
        "calls": counts.calls,
        "coverage": _share(counts.answered, counts.calls),
        "rungs": {name: count / counts.calls for name, count in sorted(counts.rungs.items())},
        "refused_inputs": counts.refused_inputs,
        "refused_lines": report.n_refused,
        "equality": {
            one.name: words for one in model.task.fields if (words := one.equality_words) is not None
        },
        "off_schema": counts.off_schema,
        **shares,
    }


def _chunks(calls: Iterator[Call]) -> Iterator[list[Call]]:
    while chunk := list(islice(calls, _CHUNK)):
        yield chunk


def _measure(model: Understudy, chunk: Sequence[Call], counts: _Counts, *, is_lenient: bool) -> None:
    parts, kept = [], []
    for call in chunk:
        try:
            parts.append(model.task.parts(call.input))
        except DataError:
            counts.refused_inputs += 1
            continue
        kept.append(call)
    for call, answer in zip(kept, model.answer_parts(parts), strict=True):
        counts.calls += 1
        counts.answered += answer.is_answered
        counts.rungs[answer.rung] = counts.rungs.get(answer.rung, 0) + 1
        for which, raw in (("teacher", call.output), ("gold", call.gold)):
            if raw is not ABSENT:
                _compare(model, answer, raw, which, counts, is_lenient=is_lenient)


def _compare(
    model: Understudy, answer: Answer, raw: Any, which: str, counts: _Counts, *, is_lenient: bool
) -> None:
    truth = parse_output(model.task, raw, lenient=is_lenient)
    if isinstance(truth, OffSchema):
        counts.off_schema[which] = counts.off_schema.get(which, 0) + 1
        return
    record = True
    for task_field in model.task.fields:
        if task_field.name not in answer.fields:
            continue
        said = answer.fields[task_field.name]
        is_right = values_equal(task_field, said.value, truth[task_field.name])
        counts.tally(which, task_field.name).add(is_right, said.is_answered)
        record &= is_right or not task_field.required
    counts.tally(which, "record").add(record, answer.is_answered)


def print_evaluation(figures: Mapping[str, Any]) -> None:
    """The figures as a table on stdout."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    coverage = figures["coverage"]
    console.print(
        f"[bold]{figures['task']}[/bold]: {figures['calls']:,} calls, {format_share(coverage['share'])} answered "
        f"(95 % interval {format_share(coverage['low'])} to {format_share(coverage['high'])})"
    )
    table = Table(box=None, pad_edge=False)
    for name in ("against", "what", "calls", "right", "of answered", "(95 %)", "answered"):
        is_word = name in ("against", "what")
        table.add_column(name, justify="left" if is_word else "right", overflow="fold")
    for which in ("teacher", "gold"):
        for name, row in sorted(figures.get(which, {}).items(), key=lambda item: item[0] != "record"):
            served = row["answered"]
            interval = "-" if served is None else f"{100 * served['low']:.1f}-{100 * served['high']:.1f}"
            table.add_row(
                which,
                name,
                f"{row['n']:,}",
                format_share(row["all"]["share"]),
                "-" if served is None else format_share(served["share"]),
                interval,
                format_share(row["coverage"]["share"]),
            )
    console.print(table)
    for name, words in figures["equality"].items():
        if any(name in figures.get(which, {}) for which in ("teacher", "gold")):
            console.print(f"{name}: a text is right if it {words}", markup=False)
    for what in ("refused_inputs", "refused_lines"):
        if figures[what]:
            console.print(f"{what.replace('_', ' ')}: {figures[what]:,}")
    for which, count in figures["off_schema"].items():
        console.print(f"{which} answers off the schema, not compared: {count:,}")
