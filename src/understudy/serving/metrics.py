"""Counters in the text format of Prometheus; those of several workers can be added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from understudy.ledger.audit import AuditRecord
from understudy.ledger.record import CallRecord

__all__ = ["Gauges", "Metrics"]

_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_GAUGES = {
    "understudy_workers": "Processes that these numbers are of.",
    "understudy_ledger_lag_records": "Calls in the spool that are not in the database yet.",
    "understudy_requests_in_work": "Requests that are being answered.",
    "understudy_upstream_circuits_open": "Upstreams that are left alone after failures, counted per process.",
}

Gauges = Mapping[str, int]
"""Values of this moment: ``ledger_lag_records``, ``requests_in_work``, ``upstream_circuits_open``."""


class Metrics:
    """What happened since the process began.

    Attributes
    ----------
    ledger_failures
        Calls that could not be written down.
    """

    def __init__(self) -> None:
        self.ledger_failures = 0
        self._calls: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._microseconds: Counter[str] = Counter()
        self._nanousd: Counter[tuple[str, str]] = Counter()
        self._audits: Counter[str] = Counter()

    def count(self, record: CallRecord) -> None:
        """Count one recorded call."""
        task = record.task or ""
        self._calls[(task, record.answered_by, record.status)] += 1
        seconds = record.latency_us / 1e6
        buckets = self._buckets.setdefault(record.answered_by, [0] * (len(_BOUNDS_S) + 1))
        buckets[next((at for at, bound in enumerate(_BOUNDS_S) if seconds <= bound), len(_BOUNDS_S))] += 1
        self._microseconds[record.answered_by] += record.latency_us
        for name, amount in (("spent", record.cost_nanousd), ("teacher", record.teacher_cost_nanousd)):
            if amount is not None:
                self._nanousd[(task, name)] += amount

    def count_audit(self, record: AuditRecord) -> None:
        """Count one audit, and what it cost."""
        word = {True: "agreeing", False: "differing", None: "not_compared"}[record.is_agreeing]
        self._audits[word] += 1
        if record.cost_nanousd is not None:
            self._nanousd[("", "audits")] += record.cost_nanousd

    def state(self) -> dict[str, Any]:
        """JSON form, for :meth:`add` in another process."""
        return {
            "ledger_failures": self.ledger_failures,
            "calls": [[*key, count] for key, count in self._calls.items()],
            "buckets": self._buckets,
            "microseconds": self._microseconds,
            "nanousd": [[*key, amount] for key, amount in self._nanousd.items()],
            "audits": self._audits,
        }

    def add(self, state: Mapping[str, Any]) -> None:
        """Add what another process counted."""
        self.ledger_failures += state["ledger_failures"]
        for task, by, status, count in state["calls"]:
            self._calls[(task, by, status)] += count
        for by, counts in state["buckets"].items():
            own = self._buckets.setdefault(by, [0] * len(counts))
            self._buckets[by] = [one + more for one, more in zip(own, counts, strict=True)]
        self._microseconds.update(state["microseconds"])
        for task, kind, amount in state["nanousd"]:
            self._nanousd[(task, kind)] += amount
        self._audits.update(state["audits"])

    def text(self, gauges: Gauges, others: Sequence[Mapping[str, Any]] = ()) -> str:
        """The page of ``/metrics``.

        Parameters
        ----------
        gauges
            Of this process.
        others
            Of other workers: ``metrics``, from :meth:`state`, and ``gauges``.
        """
        total = Metrics()
        total.add(self.state())
        values: Counter[str] = Counter({"workers": 1 + len(others), **gauges})
        for one in others:
            total.add(one["metrics"])
            values.update(one["gauges"])
        return "\n".join([*total._counters(), *_gauge_lines(values)]) + "\n"

    def _counters(self) -> list[str]:
        lines = [
            "# HELP understudy_calls_total Calls with a row in the ledger.",
            "# TYPE understudy_calls_total counter",
        ]
        lines += [
            f'understudy_calls_total{{task="{_label(task)}",answered_by="{by}",status="{status}"}} {count}'
            for (task, by, status), count in sorted(self._calls.items())
        ]
        lines.append("# HELP understudy_call_seconds From the request read to its row written.")
        lines.append("# TYPE understudy_call_seconds histogram")
        for by, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*map(str, _BOUNDS_S), "+Inf"), buckets, strict=True):
                total += count
                lines.append(f'understudy_call_seconds_bucket{{answered_by="{by}",le="{bound}"}} {total}')
            lines.append(f'understudy_call_seconds_sum{{answered_by="{by}"}} {self._microseconds[by] / 1e6}')
            lines.append(f'understudy_call_seconds_count{{answered_by="{by}"}} {total}')
        lines.append(
            "# HELP understudy_usd_total Money spent, and what the teacher would have cost, where known."
        )
        lines.append("# TYPE understudy_usd_total counter")
        lines += [
            f'understudy_usd_total{{task="{_label(task)}",kind="{kind}"}} {amount / 1e9}'
            for (task, kind), amount in sorted(self._nanousd.items())
        ]
        lines.append(
            "# HELP understudy_audits_total Answers of students that upstream was asked about afterwards."
        )
        lines.append("# TYPE understudy_audits_total counter")
        lines += [
            f'understudy_audits_total{{result="{word}"}} {n}' for word, n in sorted(self._audits.items())
        ]
        name = "understudy_ledger_failures_total"
        lines.append(f"# HELP {name} Calls that failed because their row could not be written.")
        return [*lines, f"# TYPE {name} counter", f"{name} {self.ledger_failures}"]


def _gauge_lines(values: Mapping[str, int]) -> list[str]:
    lines = []
    for name, meaning in _GAUGES.items():
        value = values[name.removeprefix("understudy_")]
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", f"{name} {value}"]
    return lines


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
