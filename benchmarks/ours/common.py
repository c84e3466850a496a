"""What this project's rows share: their command line, rungs fitted once and kept, serving figures."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench import data, probe
from bench.machine import source_fingerprint

__all__ = ["Given", "fit_rung", "run_row", "served", "served_values", "write_calls"]

SOURCE = data.ROOT / "src"
SERVE = Path(__file__).with_name("serve.py")


@dataclass(frozen=True, slots=True)
class Given:
    """A row's circumstances.

    Attributes
    ----------
    data
        Folder of recorded calls.
    work
        Folder for what is fitted; rows share it.
    is_quick
        Whether to take a subsample.
    """

    data: Path
    work: Path
    is_quick: bool


def run_row(rows: Mapping[str, Callable[[Given], dict[str, Any]]]) -> None:
    """Run the row named on the command line and print its figures as one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("row", choices=sorted(rows))
    parser.add_argument("--data", type=Path, required=True, help="folder of recorded calls")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is fitted")
    parser.add_argument("--quick", action="store_true", help="a subsample, for smoke tests")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    probe.report(rows[given.row](Given(given.data, given.work.resolve(), given.quick)))


def fit_rung(
    name: str, make: Callable[[], Any], inputs: Sequence[Any], targets: Sequence[Any], work: Path
) -> Path:
    """Fit and export a rung unless this state of the code has done so already; the folder of its component.

    Beside it lies ``NAME.json`` with the seconds that fitting and exporting took.
    """
    folder, facts_path = work / "rungs" / name, work / "rungs" / f"{name}.json"
    state = source_fingerprint(SOURCE)
    if facts_path.exists() and json.loads(facts_path.read_text(encoding="utf-8"))["state"] == state:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start, cpu_start = time.perf_counter(), time.process_time()
    student = make().fit(inputs, targets)
    student.export(folder)
    seconds = {"fit_s": time.perf_counter() - start, "fit_cpu_s": time.process_time() - cpu_start}
    student.save_state(_state_folder(folder))
    facts_path.write_text(json.dumps({"state": state, **seconds}), encoding="utf-8")
    return folder


def _state_folder(folder: Path) -> Path:
    made = folder.with_name(f"{folder.name}-state")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    return made


def fit_seconds(folder: Path) -> dict[str, float]:
    """What :func:`fit_rung` measured."""
    facts = json.loads(folder.with_name(f"{folder.name}.json").read_text(encoding="utf-8"))
    return {name: facts[name] for name in ("fit_s", "fit_cpu_s")}


def served(kind: str, folder: Path, texts: Sequence[str], given: Given) -> dict[str, Any]:
    """Cold start, time per answer and memory of a fresh process that serves `folder`."""
    command = [sys.executable, str(SERVE), kind, str(folder)]
    return probe.measure(command, texts, given.work, python_path=str(SOURCE))


def served_values(folder: Path, inputs: Sequence[tuple[str, ...]]) -> list[Any]:
    """First-field values of a component, as the runtime gives them."""
    from understudy.runtime.component import load_component

    return load_component(folder).predict(list(inputs))[0].values


def write_calls(path: Path, texts: Sequence[str], labels: Sequence[str]) -> Path:
    """A plain log without splits."""
    rows = (json.dumps({"input": text, "output": label}) for text, label in zip(texts, labels, strict=True))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
