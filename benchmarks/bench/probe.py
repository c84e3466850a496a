"""Serve in a fresh process and measure it: cold start, time per answer, memory. Standard library only.

Protocol: the served process calls :func:`serve` with a function that loads and returns ``answer(text)``; the
measuring process calls :func:`measure`. Cold start is the wall time from starting the interpreter to the
first answer, median of several starts with warm disk caches. Time per answer is one text at a time on one
thread.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ONE_THREAD", "folder_bytes", "measure", "peak_mb", "serve"]

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
) | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
_STARTS = 3


def _status_mb(key: str) -> float | None:
    """A size from the kernel's account of this process in MB (2**20 bytes); ``None`` where there is no such
    account.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:")), None)


def peak_mb() -> float | None:
    """Peak resident memory of this process.

    Not getrusage: its figure survives exec and so would contain the process that started this one.
    """
    return _status_mb("VmHWM")


def folder_bytes(folder: Path) -> int:
    """Size of a file, or of all files in a folder."""
    if folder.is_file():
        return folder.stat().st_size
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def serve(load: Callable[[], Callable[[str], Any]], argv: Sequence[str]) -> None:
    """The served process. `argv`: a JSON file of texts, and the number of seconds to answer for at most.

    No texts are answered beyond the first if the seconds are 0: a mere start.
    """
    texts_path, seconds = Path(argv[0]), float(argv[1])
    answer = load()
    answer("Where is my card?")
    first = {"resident_mb": _status_mb("VmRSS")}
    print(json.dumps(first), flush=True)
    count, spent, cpu = 0, 0.0, 0.0
    if seconds:
        texts = json.loads(texts_path.read_text(encoding="utf-8"))
        start, cpu_start = time.perf_counter(), time.process_time()
        for text in texts:
            answer(text)
            count += 1
            if count % 16 == 0 and time.perf_counter() - start > seconds:
                break
        spent, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    timed = {"ms_per_answer": spent / count * 1e3, "cpu_ms_per_answer": cpu / count * 1e3} if count else {}
    print(json.dumps({**timed, "n_timed": count, "serve_peak_mb": peak_mb()}), flush=True)


def _start(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, dict[str, Any]]:
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(environment), text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        cold = time.perf_counter() - start
        last = process.stdout.readline()
    if process.returncode or not last:
        raise RuntimeError(f"serving failed with code {process.returncode}: {' '.join(command)}")
    return cold, {**json.loads(first), **json.loads(last)}


def measure(
    command: Sequence[str],
    texts: Sequence[str],
    work: Path,
    *,
    seconds: float = 60.0,
    python_path: str | None = None,
) -> dict[str, Any]:
    """Figures of serving by `command`, to which the path of the texts and the seconds are appended."""
    texts_path = work / "texts.json"
    texts_path.write_text(json.dumps(list(texts)), encoding="utf-8")
    environment = {**os.environ, **ONE_THREAD}
    if python_path is not None:
        environment["PYTHONPATH"] = python_path
    colds = [_start([*command, str(texts_path), "0"], environment)[0] for _ in range(_STARTS - 1)]
    cold, figures = _start([*command, str(texts_path), str(seconds)], environment)
    return {"cold_s": statistics.median([*colds, cold]), **figures}


def report(figures: Mapping[str, Any]) -> None:
    """The one JSON line that a row's process prints, with its own peak memory."""
    sys.stdout.write(json.dumps({**figures, "fit_peak_mb": peak_mb()}) + "\n")
    sys.stdout.flush()
