"""The job of labelling: every input to its teachers, every answer to a line, every cent to the receipt.

Inputs are read as a stream and a window of them is under way at once; lines come out in the order of the inputs.
What is known already comes from the cache, so the same command again goes on where the last one ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from understudy.calls.call import UNKNOWN
from understudy.economics.nano import NanoPrice
from understudy.economics.prices import TeacherPrice, model_price, parse_teacher_price
from understudy.errors import ConfigError, DataError
from understudy.task.parse import OutputParser
from understudy.teachers.asking import Asker, Stop
from understudy.teachers.budget import Budget, parse_limit_nanousd
from understudy.teachers.cache import LabelCache
from understudy.teachers.combine import Combiner
from understudy.teachers.endpoint import Endpoint, read_key
from understudy.teachers.inputs import InputLine
from understudy.teachers.job import Job
from understudy.teachers.limiter import Limiter
from understudy.teachers.lines import Said, failed_line, labelled_line, line_head
from understudy.teachers.options import LabelOptions, TeacherOptions
from understudy.teachers.output import LabelFile
from understudy.teachers.prompt import Prompt
from understudy.teachers.receipt import Receipt, money_facts, receipt_path, teacher_facts

__all__ = ["Progress", "label"]

_PROGRESS_LINES = 16


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes
    ----------
    n_lines, n_cached, n_failed
        Lines written, answers that came from the cache, and questions that failed.
    spent_nanousd
        What is counted against the limit.
    """

    n_lines: int
    n_cached: int
    n_failed: int
    spent_nanousd: int


def label(options: LabelOptions, progress: Callable[[Progress], None] | None = None) -> Receipt:
    """Label inputs; writes the output and ``OUT.receipt.json``.

    Parameters
    ----------
    options
        The job.
    progress
        Called now and then.

    Raises
    ------
    ConfigError
        If an option is wrong, or the teacher refuses everything.
    DataError
        If the inputs cannot be read, or none of them is an input of the task.
    """
    limit = None if options.max_usd is None else parse_limit_nanousd(options.max_usd)
    prices = [_price(teacher) for teacher in options.teachers]
    if limit is not None:
        _check_prices(options.teachers, prices)
    return asyncio.run(_label(options, prices, limit, progress))


def _price(teacher: TeacherOptions) -> TeacherPrice | None:
    return model_price(teacher.model) if teacher.price is None else parse_teacher_price(teacher.price)


def _check_prices(teachers: Iterable[TeacherOptions], prices: Iterable[TeacherPrice | None]) -> None:
    unknown = [teacher.model for teacher, price in zip(teachers, prices, strict=True) if price is None]
    if unknown:
        raise ConfigError(
            "--max-usd cannot be kept: what the teacher costs is unknown",
            given=f"no list price for model {', '.join(unknown)}",
            todo="give --teacher-price, dollars per call (0.002) or per million tokens in/out (0.15/0.60)",
        )


async def _label(
    options: LabelOptions,
    prices: list[TeacherPrice | None],
    limit: int | None,
    progress: Callable[[Progress], None] | None,
) -> Receipt:
    begin = time.perf_counter()
    prompt = Prompt(
        options.task, options.system_message, is_plain=options.is_plain, has_reason=options.has_rationale,
        temperature=options.temperature, max_tokens=options.max_tokens,
    )  # fmt: skip
    endpoints = [
        Endpoint(
            one.url, one.model, key=read_key(one.url, one.key_env), timeout_s=options.timeout_s,
            connections=options.concurrency,
        )
        for one in options.teachers
    ]  # fmt: skip
    templates = [prompt.template(end.model, max_tokens_key=end.max_tokens_key) for end in endpoints]
    job = _job_key(options, endpoints, templates)
    with (
        LabelFile(options.out, options.inputs) as file,
        contextlib.closing(LabelCache(options.cache)) as cache,
    ):
        before = cache.spent_nanousd(job)
        budget, stop = Budget(limit, before), Stop()
        askers = [
            Asker(
                end, Limiter(options.concurrency), budget, cache, stop, None if price is None else NanoPrice(price), job,
                options.max_tokens, options.retries,
            )
            for end, price in zip(endpoints, prices, strict=True)
        ]  # fmt: skip
        work = Job(options, prompt, askers, templates, stop)
        try:
            accuracy = await _write_lines(work, file, budget, progress)
        finally:
            for end in endpoints:
                await end.close()
        receipt = _receipt(work, limit, before, budget, accuracy, time.perf_counter() - begin)
        receipt.write(receipt_path(options.out))
        file.publish()
    return receipt


def _job_key(options: LabelOptions, endpoints: list[Endpoint], templates: list[dict[str, Any]]) -> bytes:
    """Stands for the same command: its runs share one budget."""
    what = [
        str(options.inputs.absolute()), str(options.out.absolute()),
        [[end.address, template] for end, template in zip(endpoints, templates, strict=True)],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode("utf-8")).digest()


async def _write_lines(
    work: Job, file: LabelFile, budget: Budget, progress: Callable[[Progress], None] | None
) -> dict[str, Any] | None:
    """All lines; returns how several teachers were combined."""
    parser = OutputParser(work.options.task)
    combiner = Combiner(work.options.task, len(work.askers)) if len(work.askers) > 1 else None
    rows: list[int] = []
    window: deque[tuple[InputLine, asyncio.Task[tuple[list[Said], list[str]]]]] = deque()
    most = max(32, 4 * work.options.concurrency)

    async def write_first() -> None:
        item, asked = window.popleft()
        said, words = await asked
        row = _write_line(work, file, item, said, words, combiner, parser)
        if row is not None:
            rows.append(row)
        if progress is not None and work.counts.labelled % _PROGRESS_LINES == 0:
            progress(_progress(work, budget))

    try:
        for item in work.items():
            window.append((item, asyncio.create_task(work.ask(item))))
            if len(window) >= most:
                await write_first()
        while window:
            await write_first()
    finally:
        for _, asked in window:
            asked.cancel()
        await asyncio.gather(*(asked for _, asked in window), return_exceptions=True)
    if progress is not None:
        progress(_progress(work, budget))
    if not work.report.n_lines or work.report.n_refused == work.report.n_lines:
        reasons = ", ".join(sorted(work.report.refused)) or "empty"
        raise DataError("there is nothing to label", given=f"{work.options.inputs}: {reasons}")
    return None if combiner is None else _combine(work, file, combiner, rows, parser)


def _write_line(
    work: Job,
    file: LabelFile,
    item: InputLine,
    said: list[Said],
    words: list[str],
    combiner: Combiner | None,
    parser: OutputParser,
) -> int | None:
    """Write one line, if there is anything to say; its row at the combiner, or -1 without an answer."""
    head = line_head(item, work.split)
    if not any(one.answers for one in said):
        if not words:
            work.counts.not_asked += 1
            return None
        work.counts.failed += 1
        file.write(failed_line(head, words))
        return -1
    line, firsts = labelled_line(head, work.prompt, said)
    work.counts.labelled += 1
    file.write(line)
    if combiner is not None:
        return combiner.add(firsts)
    work.check(line["output"], parser)
    return 0


def _combine(
    work: Job, file: LabelFile, combiner: Combiner, rows: list[int], parser: OutputParser
) -> dict[str, Any]:
    """Put the combined answer into every line."""
    if all(row < 0 for row in rows):
        return {}
    found = combiner.fit()
    at = iter(rows)

    def change(line: dict[str, Any]) -> dict[str, Any]:
        row = next(at)
        if row >= 0:
            combined = combiner.output(row)
            # Where some field has no answer that fits, one teacher's own words say more than a patchwork.
            line["output"] = line["output"] if combined is UNKNOWN else combined
            work.check(line["output"], parser)
        return line

    file.rewrite(change)
    names = [f"{asker.teacher.model} at {asker.teacher.address}" for asker in work.askers]
    return {name: accuracy.to_dict(names) for name, accuracy in found.items()}


def _progress(work: Job, budget: Budget) -> Progress:
    tallies = [asker.tally for asker in work.askers]
    return Progress(
        n_lines=work.counts.labelled + work.counts.failed,
        n_cached=sum(tally.n_cached for tally in tallies),
        n_failed=sum(sum(tally.failed.values()) for tally in tallies),
        spent_nanousd=budget.spent_nanousd,
    )


def _receipt(
    work: Job, limit: int | None, before: int, budget: Budget, accuracy: dict[str, Any] | None, wall_s: float
) -> Receipt:
    options, counts = work.options, work.counts
    stopped = work.stop.reason
    if stopped is None and work.stop.is_budget_reached:
        stopped = "the next request might have passed --max-usd; raise it to go on"
    if options.repeats > 1 and options.temperature == 0:
        work.notes.append("repeats at temperature 0 make a teacher look steadier than it is in use")
    if any(asker.tally.n_cut_off for asker in work.askers):
        work.notes.append("some answers were cut off at --max-tokens")
    return Receipt(
        {
            "format": 1,
            "task": options.task.name,
            "out": str(options.out),
            "lines": {
                "read": work.report.n_lines,
                "labelled": counts.labelled,
                "failed": counts.failed,
                "not_asked": counts.not_asked,
                "off_schema": counts.off_schema,
                "off_schema_by_reason": dict(counts.problems.most_common()),
                "refused": work.report.n_refused,
                "refused_by_reason": work.report.to_dict()["refused"],
            },
            "teachers": [teacher_facts(asker) for asker in work.askers],
            "combined": accuracy,
            "money": money_facts(work.askers, limit, before, budget.spent_nanousd),
            "stopped": stopped,
            "notes": work.notes,
            "wall_s": round(wall_s, 3),
        }
    )
