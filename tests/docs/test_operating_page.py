"""The page on operating names what there is: options, metrics, events, attributes; its unit is valid."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from pages import ROOT, blocks_of

from understudy.cli.main import cli
from understudy.ledger.record import CallRecord
from understudy.serving.metrics import Metrics

PAGE = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
SOURCES = [*sorted((ROOT / "src/understudy/serving").glob("*.py")), ROOT / "src/understudy/cli/serve.py"]


def test_options_of_watching_are_named() -> None:
    command = cli.get_command(click.Context(cli), "serve")
    assert command is not None
    for name in ("log_format", "log_level", "access_log", "telemetry", "workers"):
        (option,) = [one for one in command.params if one.name == name]
        assert option.opts[0] in PAGE


def test_metrics_are_the_page_s() -> None:
    metrics = Metrics()
    metrics.count(CallRecord(id="x", time_ms=1, answered_by="failed", mode="serve", status=500, latency_us=1))
    shown = set(re.findall(r"^# TYPE (\w+)", metrics.text({}), re.MULTILINE))
    table = set(re.findall(r"^\| `(understudy_\w+)", PAGE, re.MULTILINE))
    assert table == shown
    alerts = next(block.text for block in blocks_of("docs/operating.md") if block.language == "yaml")
    used = {re.sub("_bucket$", "", name) for name in re.findall(r"understudy_\w+", alerts)}
    assert used <= shown


def told_events() -> set[str]:
    """First words of every `tell` in the server."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tell":
                found |= {one.value for one in ast.walk(node.args[1]) if isinstance(one, ast.Constant)}
    return {str(one) for one in found if isinstance(one, str)}


def test_events_are_the_page_s() -> None:
    debugging = {"no_sighup_here", "budgets_not_known"}
    # `f"{order}_failed"` gives its end alone.
    events = told_events() - debugging - {"_failed"}
    assert len(events) > 10
    missing = [event for event in sorted(events) if f"`{event}`" not in PAGE]
    assert missing == []


def test_attributes_of_spans_are_the_page_s() -> None:
    text = (ROOT / "src/understudy/serving/tracing.py").read_text(encoding="utf-8")
    names = set(re.findall(r'"((?:gen_ai|understudy|server|http|error)\.[a-z_.]+)"', text))
    names.discard("understudy.serving")
    assert len(names) > 12
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_valid(tmp_path: Path) -> None:
    (block,) = [one for one in blocks_of("docs/operating.md") if one.file_name == "understudy.service"]
    settings = [line for line in block.text.splitlines() if "=" in line]
    assert len(settings) == 12
    unit = tmp_path / "understudy.service"
    # A program that is there: the check looks for it.
    unit.write_text(block.text.replace("/opt/understudy/bin/understudy", sys.executable), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "understudy" in line]) == (0, [])
