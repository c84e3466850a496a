"""From files (or calls) to a prepared dataset and the report of what was found.

Reading streams; then the task is found or taken, answers are typed, inputs grouped, rows split, costs
looked up. Memory grows with the texts themselves and little else.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.calls.call import Call, InputParts
from understudy.calls.readers import read_calls
from understudy.calls.report import ReadReport
from understudy.dataset.collect import CollectedCalls, collect_calls
from understudy.dataset.columns import TypedAnswers, parse_answers, parse_golds, parse_votes, soft_targets
from understudy.dataset.dataset import Dataset
from understudy.dataset.dedupe import group_near_duplicates
from understudy.dataset.facts import TeacherFacts, teacher_facts
from understudy.dataset.inspection import InspectReport, field_reports, rows_for_certificate
from understudy.dataset.splits import DEFAULT_SHARES, SplitPlan, plan_splits
from understudy.dataset.warn import find_warnings
from understudy.economics.prices import TeacherPrice, call_costs
from understudy.errors import DataError
from understudy.task.compile import compile_problems, deferred_fields, learnt_by_default
from understudy.task.infer import (
    TaskInference,
    find_line_labels,
    infer_fields,
    infer_input_names,
    refine_text,
)
from understudy.task.spec import task_name
from understudy.task.task import Task

__all__ = ["Progress", "dataset_from_calls", "load_dataset"]

Progress = Callable[[str, float | None], None]
"""Called with the phase and the share done (``None`` where the end is not known)."""

_SAMPLED_INPUTS = 5000


def load_dataset(
    paths: Iterable[str | Path],
    *,
    task: Task | None = None,
    mapping: Mapping[str, str] | None = None,
    format: str | None = None,  # noqa: A002
    seed: int = 0,
    lenient: bool = False,
    max_calls: int | None = None,
    progress: Progress | None = None,
    name: str | None = None,
    shares: tuple[float, float, float] = DEFAULT_SHARES,
    teacher_price: TeacherPrice | None = None,
    is_text_open: bool = False,
) -> tuple[Dataset, InspectReport]:
    """Read recorded calls and prepare them.

    Parameters
    ----------
    paths, mapping, format
        See :func:`understudy.calls.readers.read_calls`.
    task
        The schema; inferred where ``None``.
    seed
        Of the split.
    lenient
        Whether an answer may be read out of a longer text.
    max_calls
        Stop after so many calls.
    progress
        Called with a phase and the share done.
    name
        The inferred task's name; else the first file's.
    shares
        Of train, select and certify.
    teacher_price
        Fills in where the log tells no cost.
    is_text_open
        Whether text fields of `task` may turn out as choice or span (JSON Schema cannot tell them apart).

    Returns
    -------
    Dataset, InspectReport
        Deterministic in the calls, the settings and the seed.

    Raises
    ------
    ConfigError
        For wrong options.
    DataError
        If there is nothing to use.
    """
    files = [Path(path) for path in paths]
    report = ReadReport()
    calls: Iterable[Call] = read_calls(files, mapping=mapping, format=format, report=report)
    if max_calls is not None:
        calls = itertools.islice(calls, max_calls)
    stem = files[0].name.split(".")[0] if files else "task"
    return dataset_from_calls(
        calls,
        task=task, seed=seed, lenient=lenient, progress=progress, name=name or task_name(stem), shares=shares,
        teacher_price=teacher_price, is_text_open=is_text_open, report=report,
    )  # fmt: skip


def dataset_from_calls(
    calls: Iterable[Call],
    *,
    task: Task | None = None,
    seed: int = 0,
    lenient: bool = False,
    progress: Progress | None = None,
    name: str = "task",
    shares: tuple[float, float, float] = DEFAULT_SHARES,
    teacher_price: TeacherPrice | None = None,
    is_text_open: bool = False,
    report: ReadReport | None = None,
) -> tuple[Dataset, InspectReport]:
    """Like :func:`load_dataset`, from calls in memory or any other source."""
    raw = collect_calls(calls, progress)
    if not len(raw):
        raise DataError("there are no calls", todo="give a log with at least one call")
    report = report or ReadReport(n_lines=len(raw), n_calls=len(raw))
    inference = _find_task(raw, task, name, report, is_text_open=is_text_open, lenient=lenient)
    inputs, kept = _parts(inference.task, raw)
    if len(kept) < len(raw):
        raw = _keep_rows(raw, kept)
    answers = parse_answers(inference.task, raw.outputs, lenient=lenient, progress=progress)
    golds, n_null_golds = parse_golds(inference.task, raw.golds, answers.columns, lenient=lenient)
    votes = parse_votes(inference.task, raw.votes, lenient=lenient)
    learnt = answers.columns if raw.outputs_sketch.n_rows else golds.columns
    problems = compile_problems(inference.task, learnt, inputs)
    exact, group = group_near_duplicates(inputs, seed=seed, progress=progress)
    times = raw.column("time")
    plan = plan_splits(group, brought=raw.splits, times=times, shares=shares, seed=seed)
    costs = call_costs(
        raw.column("cost_usd"), raw.column("input_tokens"), raw.column("output_tokens"),
        raw.column("cached_tokens"), raw.models, teacher_price,
    )  # fmt: skip
    dataset = Dataset(
        task=inference.task,
        problems=tuple(problems),
        ids=raw.ids,
        inputs=inputs,
        teacher=answers.columns,
        gold=golds.columns,
        soft=soft_targets(
            inference.task, problems, answers.columns, votes, raw.label_probabilities, len(inputs)
        ),
        rationale=raw.rationale,
        exact=exact,
        group=group,
        split=plan.codes,
        off_schema=answers.is_off,
        time=times,
        cost_usd=costs.usd,
        latency_ms=raw.column("latency_ms"),
        input_tokens=raw.column("input_tokens"),
        output_tokens=raw.column("output_tokens"),
        cached_tokens=raw.column("cached_tokens"),
        models=raw.models,
        request_kinds=raw.request_kinds(),
    )
    facts = teacher_facts(inference.task, inputs, exact, answers.columns, golds.columns, votes)
    found = _Found(report, inference, task is not None, answers, golds, n_null_golds, plan, facts)
    return dataset, _report(dataset, raw, found, costs)


class _Found:
    """What preparing found besides the dataset; a bag between two functions of this module."""

    def __init__(
        self,
        read: ReadReport,
        inference: TaskInference,
        is_task_given: bool,
        answers: TypedAnswers,
        golds: TypedAnswers,
        n_null_golds: int,
        plan: SplitPlan,
        facts: TeacherFacts,
    ) -> None:
        self.read, self.inference, self.is_task_given = read, inference, is_task_given
        self.answers, self.golds, self.n_null_golds = answers, golds, n_null_golds
        self.plan, self.facts = plan, facts


def _find_task(
    raw: CollectedCalls,
    task: Task | None,
    name: str,
    report: ReadReport,
    *,
    is_text_open: bool,
    lenient: bool,
) -> TaskInference:
    if not raw.outputs_sketch.n_rows and not raw.golds_sketch.n_rows:
        columns = ", ".join(report.columns)
        raise DataError(
            "no call has an answer to learn from",
            given=f"columns seen: {columns}" if columns else None,
            todo="say which column is the answer, for example --map output=COLUMN",
        )
    if task is not None and not is_text_open:
        return TaskInference(task, {})
    step = max(1, len(raw) // _SAMPLED_INPUTS)
    sample: list[Any] = [
        given if isinstance(given, str) else dict(zip(*given, strict=True)) for given in raw.inputs[::step]
    ]
    names = infer_input_names(sample)
    labels = () if names else find_line_labels([given for given in sample if isinstance(given, str)])
    inference = infer_fields(raw.outputs_sketch, raw.golds_sketch, name, names, labels, lenient=lenient)
    if task is not None:
        refined = refine_text(task, inference.task)
        if not refined.input_names and not refined.line_labels:
            refined = replace(refined, input_names=names, line_labels=labels)
        return replace(inference, task=refined)
    return replace(inference, task=replace(inference.task, instructions=raw.system_text()))


def _parts(task: Task, raw: CollectedCalls) -> tuple[list[InputParts], list[int]]:
    """Inputs cut into the task's parts, and the rows whose input has its shape."""
    inputs, kept = [], []
    for row, given in enumerate(raw.inputs):
        try:
            parts = task.parts(given if isinstance(given, str) else dict(zip(*given, strict=True)))
        except DataError:
            continue
        inputs.append(parts)
        kept.append(row)
    if not kept:
        names = ", ".join(task.input_names) or "one text"
        raise DataError("no input has the shape that the task asks for", given=f"the task takes: {names}")
    return inputs, kept


def _keep_rows(raw: CollectedCalls, rows: Sequence[int]) -> CollectedCalls:
    """`raw` without the other rows; the sketches stay, as they only served to find the task."""
    kept = CollectedCalls()
    for name in ("ids", "inputs", "outputs", "golds", "rationale", "splits", "models"):
        values = getattr(raw, name)
        setattr(kept, name, [values[row] for row in rows])
    place = {row: at for at, row in enumerate(rows)}
    kept.votes = {place[row]: value for row, value in raw.votes.items() if row in place}
    kept.label_probabilities = {
        place[row]: value for row, value in raw.label_probabilities.items() if row in place
    }
    kept.templates = raw.templates
    kept.outputs_sketch, kept.golds_sketch = raw.outputs_sketch, raw.golds_sketch
    kept.take_numbers(raw, rows)
    return kept


def _report(dataset: Dataset, raw: CollectedCalls, found: _Found, costs: Any) -> InspectReport:
    lengths = np.array([sum(map(len, parts)) for parts in dataset.inputs])
    chars = (int(np.median(lengths)), int(np.quantile(lengths, 0.95)), int(lengths.max()))
    task = dataset.task
    deferred = deferred_fields(task)
    learnt = [problem for problem in dataset.problems if learnt_by_default(problem)]
    report = InspectReport(
        read=found.read,
        task=task,
        is_task_given=found.is_task_given,
        n_rows=len(dataset),
        n_bad_inputs=found.read.n_calls - len(dataset),
        input_chars=chars,
        fields=field_reports(task, learnt, found.inference.why, dataset.teacher, dataset.gold),
        n_off_schema=int(found.answers.is_off.sum()),
        off_schema=dict(found.answers.reasons.most_common(20)),
        n_without_answer=found.answers.n_missing,
        n_extra_keys=found.answers.n_extra,
        n_rare_keys=found.inference.n_rare_keys,
        **_duplicates(dataset),
        splits=found.plan,
        facts=found.facts,
        n_gold=len(dataset) - found.golds.n_missing,
        n_gold_off_schema=int(found.golds.is_off.sum()),
        n_gold_read_as_null=found.n_null_golds,
        n_votes=len(raw.votes),
        n_soft=len(raw.label_probabilities),
        n_rationales=sum(reason is not None for reason in raw.rationale),
        costs=costs,
        tokens=(_mean(dataset.input_tokens), _mean(dataset.output_tokens)),
        models=dict(Counter(model for model in raw.models if model).most_common(10)),
        learns=tuple(problem.field.name for problem in learnt),
        defers=deferred,
        certify_rows_needed=rows_for_certificate(),
        warnings=(),
    )
    hints = (found.inference.hint,) if found.inference.hint else ()
    return replace(report, warnings=(*find_warnings(report), *hints))


def _mean(column: Any) -> float | None:
    return float(np.nanmean(column)) if len(column) and not np.isnan(column).all() else None


def _duplicates(dataset: Dataset) -> dict[str, int]:
    _, group, sizes = np.unique(dataset.group, return_inverse=True, return_counts=True)
    n_different = np.zeros(len(sizes), dtype=np.int64)
    is_first = dataset.exact == np.arange(len(dataset))
    np.add.at(n_different, group[is_first], 1)
    is_near = n_different > 1
    names = [item.name for item in dataset.task.fields]
    repeats = np.flatnonzero(np.bincount(dataset.exact, minlength=len(dataset))[dataset.exact] > 1)
    seen: set[tuple[Any, ...]] = set()
    n_same_call = 0
    for row in repeats.tolist():
        key = (int(dataset.exact[row]), *(str(dataset.teacher[name][row]) for name in names))
        n_same_call += key in seen
        seen.add(key)
    return {
        "n_same_input": int((~is_first).sum()),
        "n_same_call": n_same_call,
        "n_near_groups": int(is_near.sum()),
        "n_near_rows": int(sizes[is_near].sum()),
        "largest_group": int(sizes.max()),
    }
