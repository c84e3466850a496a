"""The facts of the overview: sums, steps of time, tasks with their certificates, the latest calls.

Plain data out of the ledger and the artefacts in use; nothing of how it looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from understudy.ledger.breakdown import SampledLatency, breakdown, latency_by_task, merged
from understudy.ledger.database import Ledger
from understudy.ledger.disagreements import (
    Compared,
    QueueCounts,
    answered_share,
    compared_counts,
    queue_counts,
)
from understudy.ledger.queries import Totals, recent
from understudy.ledger.record import CallRecord
from understudy.serving.dashboard.periods import Period
from understudy.serving.dashboard.state import CertificateState, certificate_state
from understudy.serving.registry import ServedTask

__all__ = ["Overview", "TaskRow", "overview"]

_RECENT: Final = 25


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task.

    Attributes
    ----------
    name
        ``None`` for calls that matched no task.
    totals, latency
        Of the period; no latency without calls.
    sentence
        What the certificate says, where the task is served.
    state
        Whether it holds; ``None`` where the task is not served now.
    """

    name: str | None
    totals: Totals
    latency: SampledLatency | None
    sentence: str | None
    state: CertificateState | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the page.

    Attributes
    ----------
    period, task
        What was asked for; ``None``: all tasks.
    totals
        Of the period.
    steps
        Totals by start of hour or day, milliseconds since 1970; steps without calls are there.
    tasks
        Rows, by name.
    names
        Tasks to choose from.
    latest
        Calls, newest first, without texts.
    queue
        What waits for review.
    """

    period: Period
    task: str | None
    totals: Totals
    steps: Mapping[int, Totals]
    tasks: list[TaskRow]
    names: list[str]
    latest: list[CallRecord]
    queue: QueueCounts


def overview(
    ledger: Ledger, served: Mapping[str, ServedTask], period: Period, task: str | None, now_ms: int
) -> Overview:
    """Ask the ledger.

    Parameters
    ----------
    ledger
        Where from.
    served
        Tasks in use, by name.
    period, task
        What to show.
    now_ms
        Milliseconds since 1970.

    Raises
    ------
    LedgerError
        If the database does not answer.
    """
    starts = period.starts_ms(now_ms)
    parts = breakdown(ledger, period.step, starts[0], task)
    everything = merged(parts.values())
    latencies = latency_by_task(ledger, starts[0], everything.n_calls, task)
    steps = {start: merged(one for (at, _), one in parts.items() if at == start) for start in starts}
    found = {name for _, name in parts}
    wanted = found | {name for name in served if task is None or name == task}
    rows = []
    for name in sorted(wanted, key=lambda one: (one is None, one or "")):
        totals = merged(one for (_, of), one in parts.items() if of == name)
        known = None if name is None else served.get(name)
        state = None if known is None else _state(ledger, known, starts[0])
        sentence = None if known is None else known.sentence
        rows.append(TaskRow(name, totals, latencies.get(name), sentence, state))
    names = sorted({name for name in found if name is not None} | set(served) | ({task} if task else set()))
    return Overview(
        period,
        task,
        everything,
        steps,
        rows,
        names,
        recent(ledger, _RECENT, task),
        queue_counts(ledger, task),
    )


def _state(ledger: Ledger, task: ServedTask, since_ms: int) -> CertificateState:
    stages = task.model.cascade.stages
    seen = compared_counts(
        ledger,
        task.name,
        task.artefact_id,
        since_ms,
        task.model.threshold,
        [stage.rung for stage in stages if stage.is_certified_alone],
    )
    # An artefact with a field that no rung writes never answers, whatever its confidence.
    if task.model.never_answered:
        seen = Compared(seen.n, seen.n_differing)
    share = answered_share(ledger, task.name, task.artefact_id, since_ms) if seen.n_audited else (0, 0)
    return certificate_state(task.model.manifest.get("certificate"), seen, share)
