"""Counters of this process in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter

from understudy.ledger.audit import AuditRecord
from understudy.ledger.record import CallRecord

__all__ = ["Metrics"]

_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


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
        self._seconds: Counter[str] = Counter()
        self._nanousd: Counter[tuple[str, str]] = Counter()
        self._audits: Counter[str] = Counter()

    def count(self, record: CallRecord) -> None:
        """Count one recorded call."""
        task = record.task or ""
        self._calls[(task, record.answered_by, record.status)] += 1
        seconds = record.latency_us / 1e6
        buckets = self._buckets.setdefault(record.answered_by, [0] * (len(_BOUNDS_S) + 1))
        buckets[next((at for at, bound in enumerate(_BOUNDS_S) if seconds <= bound), len(_BOUNDS_S))] += 1
        self._seconds[record.answered_by] += record.latency_us
        for name, amount in (("spent", record.cost_nanousd), ("teacher", record.teacher_cost_nanousd)):
            if amount is not None:
                self._nanousd[(task, name)] += amount

    def count_audit(self, record: AuditRecord) -> None:
        """Count one audit, and what it cost."""
        word = {True: "agreeing", False: "differing", None: "not_compared"}[record.is_agreeing]
        self._audits[word] += 1
        if record.cost_nanousd is not None:
            self._nanousd[("", "audits")] += record.cost_nanousd

    def text(self, *, lag_records: int, in_work: int) -> str:
        """The page of ``/metrics``."""
        lines = ["# TYPE understudy_calls_total counter"]
        lines += [
            f'understudy_calls_total{{task="{_label(task)}",answered_by="{by}",status="{status}"}} {count}'
            for (task, by, status), count in sorted(self._calls.items())
        ]
        lines.append("# TYPE understudy_call_seconds histogram")
        for by, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*map(str, _BOUNDS_S), "+Inf"), buckets, strict=True):
                total += count
                lines.append(f'understudy_call_seconds_bucket{{answered_by="{by}",le="{bound}"}} {total}')
            lines.append(f'understudy_call_seconds_sum{{answered_by="{by}"}} {self._seconds[by] / 1e6}')
            lines.append(f'understudy_call_seconds_count{{answered_by="{by}"}} {total}')
        lines.append("# TYPE understudy_usd_total counter")
        lines += [
            f'understudy_usd_total{{task="{_label(task)}",kind="{kind}"}} {amount / 1e9}'
            for (task, kind), amount in sorted(self._nanousd.items())
        ]
        lines.append("# TYPE understudy_audits_total counter")
        lines += [
            f'understudy_audits_total{{result="{word}"}} {n}' for word, n in sorted(self._audits.items())
        ]
        gauges = (
            ("understudy_ledger_lag_records", "gauge", lag_records),
            ("understudy_requests_in_work", "gauge", in_work),
            ("understudy_ledger_failures_total", "counter", self.ledger_failures),
        )
        for name, kind, value in gauges:
            lines += [f"# TYPE {name} {kind}", f"{name} {value}"]
        return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
