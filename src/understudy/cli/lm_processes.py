"""``--processes``: the same command in several processes of this machine, which train one model together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO

__all__ = ["is_first_process", "leave_processes", "run_in_processes"]

_POLL_SECONDS, _GRACE_SECONDS = 0.2, 10.0


def is_first_process() -> bool:
    """Whether this process speaks for all: the only one, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def run_in_processes(count: int, words: Sequence[str], *, threads: int) -> int | None:
    """Run ``understudy`` with `words` in `count` processes and give the exit code.

    ``None``: this is one of them already, or `count` is 1, so that the caller goes on. The first process has
    stdout and stderr; of the others is shown what the first that failed said, where the first process did not fail.
    """
    if count <= 1 or "LOCAL_RANK" in os.environ:
        return None
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "understudy", *words]
    with tempfile.TemporaryFile() as said:
        started = [_start(command, rank, shared, said) for rank in range(count)]
        try:
            code = _wait(started)
        except KeyboardInterrupt:  # they were interrupted too, by the same key
            _stop(started)
            raise
        if code and not started[0].returncode:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
    return code


def leave_processes() -> None:
    """Say goodbye to the other processes, where there are any."""
    if "LOCAL_RANK" in os.environ:
        from accelerate import PartialState

        PartialState().destroy_process_group()


def _start(command: list[str], rank: int, shared: dict[str, str], said: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
    if not rank:
        return subprocess.Popen(command, env=environment)  # noqa: S603  (this program itself)
    return subprocess.Popen(  # noqa: S603
        command, env=environment, stdout=subprocess.DEVNULL, stderr=said
    )


def _wait(started: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all, or for the first that fails: the others would wait for it for ever."""
    while any(process.poll() is None for process in started):
        if any(process.poll() for process in started):
            # A mistake that all see ends all by itself; give the first process time to say it.
            _stop(started)
            break
        time.sleep(_POLL_SECONDS)
    codes = [process.returncode for process in started]
    first_bad = codes[0] if codes[0] > 0 else next((code for code in codes if code), 0)
    return first_bad if first_bad >= 0 else 128 - first_bad


def _stop(started: list[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + _GRACE_SECONDS
    for process in started:
        try:
            process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.terminate()
    for process in started:
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
