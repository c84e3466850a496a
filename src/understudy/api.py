"""``understudy.learn``: from recorded calls to a certified artefact, in one call.

Reads, climbs, builds, certifies, reports, publishes; each of these lives in its own module, and this one only
puts them in order.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.calls.exchanges import read_exchanges
from understudy.calls.report import ReadReport
from understudy.dataset.dataset import Dataset
from understudy.dataset.inspection import InspectReport
from understudy.dataset.kinds import calls_of_kind, find_kinds
from understudy.dataset.ledger_log import ledger_log
from understudy.dataset.load import dataset_from_calls, load_dataset
from understudy.economics.prices import TeacherPrice, parse_teacher_price
from understudy.errors import ConfigError, DataError
from understudy.ladder.build import Built, artefact_id, assemble, certify_build, certify_gate, publish
from understudy.ladder.cache import RungCache
from understudy.ladder.climb import climb, folds, plan
from understudy.ladder.conclude import conclude, never_answered
from understudy.ladder.fit_rung import silent
from understudy.ladder.options import LearnOptions
from understudy.ladder.repeats import LOOKUP_DELTA_SHARE, study_repeats
from understudy.ladder.result import LearnResult
from understudy.ladder.rungs import RungPlan
from understudy.ladder.texts import take_on
from understudy.task.spec import load_task
from understudy.task.task import Task

__all__ = ["dry_run", "learn", "left_out", "read_log"]

Reporter = Callable[[str], None]


def read_log(
    calls: str | Path | Sequence[str | Path] = (),
    *,
    task: Task | str | Path | None = None,
    mapping: Mapping[str, str] | None = None,
    log_format: str | None = None,
    is_lenient: bool = False,
    max_calls: int | None = None,
    teacher_price: str | TeacherPrice | None = None,
    from_ledger: str | Path | None = None,
    request_kind: str | None = None,
    served_task: str | None = None,
    seed: int = 0,
) -> tuple[Dataset, InspectReport]:
    """Read, type, de-duplicate and split recorded calls; the parameters are those of :func:`learn`."""
    paths = [Path(calls)] if isinstance(calls, str | Path) else [Path(path) for path in calls]
    if served_task is not None and (from_ledger is None or request_kind is not None):
        raise ConfigError(
            "served_task goes with from_ledger, and without request_kind",
            given=repr(served_task),
            todo="say which ledger the task was served with: --from-ledger URL --served-task TASK",
        )
    settings: dict[str, Any] = {
        "task": load_task(task) if isinstance(task, str | Path) else task,
        "seed": seed,
        "lenient": is_lenient,
        "teacher_price": parse_teacher_price(teacher_price)
        if isinstance(teacher_price, str)
        else teacher_price,
        # A JSON Schema says "string" for labels, spans and prose alike; only the data can tell.
        "is_text_open": isinstance(task, str | Path) and str(task).endswith(".json"),
    }
    with contextlib.ExitStack() as stack:
        if from_ledger is not None:
            log, counts = stack.enter_context(ledger_log(from_ledger, served_task))
            paths.append(log)
        if request_kind is not None:
            found = _read_kind(paths, request_kind, mapping, log_format, max_calls, settings)
        else:
            found = load_dataset(paths, mapping=mapping, format=log_format, max_calls=max_calls, **settings)
        if from_ledger is not None and counts.without_texts:
            found[1].read.notes["calls of the ledger without texts (left out)"] += counts.without_texts
    return found


def _read_kind(
    paths: Sequence[Path],
    name: str,
    mapping: Mapping[str, str] | None,
    log_format: str | None,
    max_calls: int | None,
    settings: Mapping[str, Any],
) -> tuple[Dataset, InspectReport]:
    """Read the calls of one kind of request; the log is read twice."""
    kinds = find_kinds(read_exchanges(paths, mapping=mapping, format=log_format))
    if not kinds.kinds:
        raise DataError(
            "the log has no repeated full requests, so there are no kinds of request",
            given=", ".join(path.name for path in paths),
            todo="leave out --request-kind; `understudy inspect` shows what the log holds",
        )
    report = ReadReport()
    again = read_exchanges(paths, mapping=mapping, format=log_format, report=report)
    calls = calls_of_kind(again, kinds, name, report)
    return dataset_from_calls(
        calls if max_calls is None else itertools.islice(calls, max_calls),
        name=name,
        report=report,
        **settings,
    )


def left_out(inspected: InspectReport) -> list[str]:
    """Sentences about calls that were read and not taken: of other kinds of request, or without texts."""
    notes = inspected.read.notes
    return [
        f"{inspected.n_rows:,} calls kept; {count:,} {note}"
        for note, count in sorted(notes.items())
        if note.endswith("(left out)")
    ]


def dry_run(data: Dataset, options: LearnOptions) -> list[RungPlan]:
    """What ``learn`` would try, with predicted times; trains nothing."""
    return plan(data, options)


def learn(
    calls: str | Path | Sequence[str | Path] | tuple[Dataset, InspectReport] = (),
    *,
    out: str | Path = "artefacts/learnt",
    task: Task | str | Path | None = None,
    mapping: Mapping[str, str] | None = None,
    log_format: str | None = None,
    is_lenient: bool = False,
    max_calls: int | None = None,
    teacher_price: str | TeacherPrice | None = None,
    from_ledger: str | Path | None = None,
    request_kind: str | None = None,
    served_task: str | None = None,
    report: Reporter = silent,
    **options: Any,
) -> LearnResult:
    """Learn the cheapest certified student.

    Parameters
    ----------
    calls
        One or more logs, or what :func:`read_log` returned.
    out
        Folder of the artefact. An artefact that stands there is replaced only by one that is certified; after a
        useful no the report goes to ``OUT-not-certified``.
    task
        A task, or the path of a task TOML or JSON Schema; ``None`` infers it.
    mapping
        Where to find the parts of a call, ``{"output": "teacher_label"}``.
    log_format
        Format of the log, if it is not recognised.
    is_lenient
        Read labels out of longer answers where that is unambiguous.
    max_calls
        Read no more than this many calls.
    teacher_price
        Where the log tells no cost: ``"0.002"`` dollars per call, or ``"0.15/0.60"`` dollars per million tokens in
        and out.
    from_ledger
        A ledger whose stored texts are learnt from, beside `calls` or alone: a SQLite file or a PostgreSQL URL.
    request_kind
        Only calls of this kind of request, as ``understudy tasks`` names it; the task gets that name.
    served_task
        Of the ledger, only calls that were served as this task.
    report
        Called with one line of progress at a time.
    **options
        Fields of :class:`~understudy.ladder.options.LearnOptions`: ``target``, ``of``, ``confidence``, ``rungs``,
        ``max_minutes``, ``learn_from`` ...

    Returns
    -------
    LearnResult
        With everything that was found; ``is_certified`` tells a yes from a useful no.

    Raises
    ------
    DataError
        If the calls cannot be learnt from at all.
    ConfigError
        If an option is wrong.
    """
    settings = make_options(options)
    start = time.perf_counter()
    if isinstance(calls, tuple) and len(calls) == 2 and isinstance(calls[0], Dataset):
        data, inspected = calls[0], calls[1]
        assert isinstance(inspected, InspectReport)
    else:
        report("reading calls")
        data, inspected = read_log(
            calls,
            task=task,
            mapping=mapping,
            log_format=log_format,
            is_lenient=is_lenient,
            max_calls=max_calls,
            teacher_price=teacher_price,
            from_ledger=from_ledger,
            request_kind=request_kind,
            served_task=served_task,
            seed=settings.seed,
        )
        for line in left_out(inspected):
            report(line)
    return _run(data, inspected, settings, Path(out), report, start)


def make_options(given: Mapping[str, Any]) -> LearnOptions:
    """Options from keywords; unknown ones are errors."""
    known = set(LearnOptions.__dataclass_fields__)
    if unknown := sorted(set(given) - known):
        raise ConfigError(
            f"unknown option {', '.join(unknown)}", todo=f"known options: {', '.join(sorted(known))}"
        )
    values = dict(given)
    if "rungs" in values:
        names = values["rungs"]
        values["rungs"] = tuple(names.split(",")) if isinstance(names, str) else tuple(names)
    if values.get("cache") is not None:
        values["cache"] = Path(values["cache"])
    return LearnOptions(**values)


def _run(
    data: Dataset, inspected: InspectReport, options: LearnOptions, out: Path, report: Reporter, start: float
) -> LearnResult:
    teacher_usd = inspected.costs.mean_usd
    cache = RungCache(options.cache)
    cache.sweep()
    try:
        data = take_on(data, options)
        train, select = folds(data, options)
        lookup = study_repeats(data, options, train, select)
        state = climb(
            data, options, cache, teacher_usd=teacher_usd, lookup_reason=lookup.reason, report=report
        )
        if state.best is None:
            reasons = "; ".join(f"{one.plan.name}: {one.reason}" for one in state.records if one.reason)
            raise DataError("no rung could be trained that answers every field", given=reasons)
        if state.problems != data.problems:
            # The table stands before the winner, and answers what the winner answers.
            data = data.with_problems(state.problems)
            lookup = study_repeats(
                data, options, train.answering(state.problems), select.answering(state.problems)
            )
        report(f"building {state.best.name}")
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch, manifest = assemble(data, options, state, state.best, lookup, out)
        delta = options.delta * (1 - LOOKUP_DELTA_SHARE if lookup.student is not None else 1)
        report("certifying the artefact on calls that no choice has seen")
        gate = certify_gate(data, options)
        built = certify_build(scratch, manifest, options, state, state.best, gate, delta)
        facts = conclude(
            data, inspected, options, state, built, lookup, teacher_usd, delta, time.perf_counter() - start
        )
        return _write(built, facts, out, report)
    finally:
        cache.close()


def _write(built: Built, facts: dict[str, Any], out: Path, report: Reporter) -> LearnResult:
    from understudy.report.card import model_card
    from understudy.report.html import render_report

    manifest = {
        **built.manifest,
        "threshold": built.record.threshold,
        "field_thresholds": {name: one.threshold for name, one in built.fields.items()},
        "certificate": facts["certificate"],
        "gold_certificate": facts["gold_certificate"],
        "measured": facts["measured"],
    }
    manifest["id"] = artefact_id(built.folder, manifest)
    facts["id"] = manifest["id"]
    # Where free text keeps every record from being answered, fields that hold by themselves are still worth having.
    by_field = bool(never_answered(facts)) and any(one.is_certified for one in built.fields.values())
    is_certified = built.record.is_certified or by_field
    target = out if is_certified else out.with_name(f"{out.name}-not-certified")
    files = {
        "report.html": render_report(facts),
        "README.md": model_card(facts),
        "receipt.json": json.dumps(facts["receipt"], indent=1, ensure_ascii=False) + "\n",
        "facts.json": json.dumps(facts, indent=1, ensure_ascii=False) + "\n",
    }
    publish(built, target, files, manifest)
    report(f"wrote {target}")
    return LearnResult(facts, target, is_certified)
