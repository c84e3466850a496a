"""The page that Prometheus reads."""

from __future__ import annotations

import json
import re

from understudy.ledger.record import CallRecord
from understudy.serving.metrics import Metrics

GAUGES = {"ledger_lag_records": 2, "requests_in_work": 1, "upstream_circuits_open": 0}


def record(latency_us: int, **more: object) -> CallRecord:
    given = {"answered_by": "student", "mode": "serve", "status": 200, **more}
    return CallRecord(id="x", time_ms=1, latency_us=latency_us, **given)  # type: ignore[arg-type]


def test_workers_are_added_up() -> None:
    one, other = Metrics(), Metrics()
    one.count(record(900, task="queue", cost_nanousd=0, teacher_cost_nanousd=7_800))
    other.count(record(3_000, task="queue", cost_nanousd=0, teacher_cost_nanousd=7_800))
    other.count(record(40_000_000, answered_by="failed", status=502, task='a"b'))
    other.ledger_failures = 3
    told = json.loads(json.dumps({"metrics": other.state(), "gauges": GAUGES}))
    before = one.text(GAUGES)
    page = one.text(GAUGES, [told])
    assert one.text(GAUGES) == before, "adding up changes nothing"
    for line in (
        'understudy_calls_total{task="queue",answered_by="student",status="200"} 2',
        'understudy_calls_total{task="a\\"b",answered_by="failed",status="502"} 1',
        'understudy_call_seconds_bucket{answered_by="student",le="0.001"} 1',
        'understudy_call_seconds_bucket{answered_by="student",le="0.005"} 2',
        'understudy_call_seconds_bucket{answered_by="failed",le="30.0"} 0',
        'understudy_call_seconds_bucket{answered_by="failed",le="+Inf"} 1',
        'understudy_call_seconds_sum{answered_by="student"} 0.0039',
        'understudy_usd_total{task="queue",kind="teacher"} 1.56e-05',
        "understudy_ledger_failures_total 3",
        "understudy_ledger_lag_records 4",
        "understudy_workers 2",
    ):
        assert line in page.splitlines()


def test_every_metric_says_what_it_is() -> None:
    metrics = Metrics()
    metrics.count(record(1))
    page = metrics.text(GAUGES)
    names = {
        re.sub("_(bucket|sum|count)$", "", re.split("[{ ]", line)[0])
        for line in page.splitlines()
        if not line.startswith("#")
    }
    for kind in ("HELP", "TYPE"):
        assert {line.split()[2] for line in page.splitlines() if line.startswith(f"# {kind}")} >= names
