"""Run a command and tell its time and peak memory: ``timed.py COMMAND ...`` prints one JSON line on stdout.

A process of its own, because the kernel counts a child's peak from what its parent held when it was started:
a child of a large process would seem large. The command's own output goes to stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

__all__ = ["run_timed"]


def run_timed(command: list[str], **environment: str) -> dict[str, Any]:
    """Seconds, CPU seconds, peak resident MB (2**20 bytes) and exit code of `command`."""
    done = subprocess.run(
        [sys.executable, __file__, *command],
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run the command line after this script's name."""
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    figures = {
        "s": time.perf_counter() - start,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
        "code": process.returncode,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
