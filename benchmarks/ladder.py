"""Measure this project beside TRACER, SetFit and model2vec, and write ``docs/benchmarks.md``.

``python benchmarks/ladder.py`` runs what is missing, one row at a time; ``--only NAME`` some rows,
``--quick`` a subsample (nothing is written to the page), ``--again`` also what is there, ``--render`` nothing
at all. Finished rows lie in ``build/benchmarks``, so a killed run goes on where it was. Without
the recorded calls beside the repository (or ``--data FOLDER``) it says so and claims nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench import data
from bench.machine import describe_machine, package_versions, source_fingerprint
from bench.render import peer_table, ratio_table, render_page, verdict_table
from bench.rows import BENCHMARKS, ROWS, Row
from bench.store import Store

CACHE = data.ROOT / "build" / "benchmarks"
PAGE = data.ROOT / "docs" / "benchmarks.md"


def row_key(row: Row, calls: Path | None) -> str:
    """Changes when the row's code or data change."""
    seen = source_fingerprint(*row.fingerprinted())
    return f"{seen}-{'none' if calls is None else data.fingerprint(calls)}-{' '.join(row.arguments)}"


def _command(row: Row, folder: Path, work: Path, *, quick: bool) -> list[str] | None:
    python = sys.executable
    if row.peer is not None:
        own = data.ROOT / f".venv-peer-{row.peer}" / "bin" / "python"
        if not own.exists():
            return None
        python = str(own)
    arguments = [*row.arguments, "--data", str(folder), "--work", str(work)]
    return [python, str(BENCHMARKS / row.script), *arguments, *(["--quick"] if quick else [])]


def busy_seconds() -> float | None:
    """CPU seconds that all processes but this one's children have used since the start of the machine."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, soft_irq = (int(field) for field in first[:7])
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = user + nice + system + irq + soft_irq
    return ticks / os.sysconf("SC_CLK_TCK") - own.ru_utime - own.ru_stime


def run_row(row: Row, command: Sequence[str], work: Path) -> dict[str, Any]:
    """Run one row; its figures, or why it failed."""
    work.mkdir(parents=True, exist_ok=True)
    log = work / f"{row.name}.log"
    environment = (
        {**os.environ, "PYTHONPATH": str(data.ROOT / "src")} if row.peer is None else dict(os.environ)
    )
    # Hubs cannot be needed: the encoder is a package. Asking them would only add time-outs.
    environment |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    start, busy = time.perf_counter(), busy_seconds()
    with log.open("w", encoding="utf-8") as errors:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True, check=False, cwd=work
        )
    wall = time.perf_counter() - start
    after = busy_seconds()
    others = None if busy is None or after is None else max(0.0, after - busy) / wall
    facts: dict[str, Any] = {"wall_s": wall, "others_cores": others, "figures": {}, "error": None}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        tail = [
            line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
        ][-1:]
        return {
            **facts,
            "error": f"exit code {done.returncode}: {tail[0].strip()[-200:] if tail else 'no message'}",
        }
    return {**facts, "figures": json.loads(lines[-1])}


def _measure(row: Row, store: Store, folder: Path, *, quick: bool, again: bool) -> None:
    calls = None if row.needs is None else folder / row.needs
    if calls is not None and not calls.is_file():
        print(
            f"{row.name}: skipped, there is no {calls.name} in the folder of recorded calls", file=sys.stderr
        )
        return
    key = row_key(row, calls)
    if not again and (known := store.find(row.name, quick=quick, key=key)) is not None and not known["error"]:
        print(f"{row.name}: measured already", file=sys.stderr)
        return
    work = CACHE / ("work-quick" if quick else "work")
    work = work if row.peer is None else work / row.name
    command = _command(row, folder, work, quick=quick)
    if command is None:
        print(f"{row.name}: skipped, run python benchmarks/peers/setup.py {row.peer}", file=sys.stderr)
        return
    print(f"{row.name}: running", file=sys.stderr, flush=True)
    found = run_row(row, command, work)
    identity = {"name": row.name, "quick": quick, "key": key, "peer": row.peer}
    store.add({**identity, "machine": describe_machine(), "packages": package_versions(), **found})
    print(f"{row.name}: {found['error'] or 'done'} in {found['wall_s']:.0f} s", file=sys.stderr, flush=True)


def _newest(store: Store, folder: Path, *, quick: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """Newest results in the rows' order, and the names of those that the code has left behind."""
    latest = store.latest(quick=quick)
    results = [latest[row.name] for row in ROWS if row.name in latest]
    stale = []
    for row in ROWS:
        calls = None if row.needs is None else folder / row.needs
        is_there = calls is None or calls.is_file()
        if row.name in latest and is_there and latest[row.name]["key"] != row_key(row, calls):
            stale.append(row.name)
    return results, stale


def _choose(only: Sequence[str]) -> list[Row]:
    if not only:
        return list(ROWS)
    names = {row.name for row in ROWS}
    chosen = [
        row
        for row in ROWS
        if any(row.name == name or (name not in names and row.name.startswith(name)) for name in only)
    ]
    if not chosen:
        raise SystemExit(f"no row begins with {', '.join(only)}; rows: {', '.join(row.name for row in ROWS)}")
    return chosen


def main() -> int:
    """Measure, print, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="NAME", help="rows, by the beginning of their names"
    )
    parser.add_argument("--quick", action="store_true", help="subsamples; prints, but writes no page")
    parser.add_argument("--again", action="store_true", help="measure rows that are up to date too")
    parser.add_argument(
        "--render", action="store_true", help="measure nothing, write the page from what is there"
    )
    parser.add_argument("--data", type=Path, default=data.default_folder(), help="folder of recorded calls")
    given = parser.parse_args()
    if not given.data.is_dir():
        print(
            "The recorded calls are not here: a folder shared/data/calls beside the repository, or "
            "--data FOLDER. Nothing was measured, nothing is claimed.",
            file=sys.stderr,
        )
        return 0
    # As for Ctrl-C: the row that runs is ended too, not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder, store = given.data.resolve(), Store(CACHE / "results.jsonl")
    for row in [] if given.render else _choose(given.only):
        _measure(row, store, folder, quick=given.quick, again=given.again)
    results, stale = _newest(store, folder, quick=given.quick)
    if not results:
        print("Nothing has been measured yet.", file=sys.stderr)
        return 0
    figures = {one["name"]: one["figures"] for one in results}
    if given.quick:
        print("A subsample: these figures show that the rows run, and answer for nothing else.\n")
    print("\n".join([*verdict_table(figures), "", *peer_table(figures), "", *ratio_table(figures)]))
    if not given.quick:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(render_page(results, stale, CACHE), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(data.ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
