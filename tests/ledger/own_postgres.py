"""A PostgreSQL of a test's own, that can be stopped and started."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("PostgreSQL's programs (initdb, pg_ctl) are not installed")
    return found[-1].parent if found else Path(on_path).resolve().parent


def _unprivileged_user() -> str | None:
    """Whom to run it as: PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    pytest.skip("this is root, and there is no other user whom PostgreSQL could run as")


class OwnPostgres:
    """One instance on a free port, in a folder of its own."""

    def __init__(self) -> None:
        self._bin = _programs()
        self._user = _unprivileged_user()
        # Not below the test's own folder: that one only root may enter.
        self._folder = Path(tempfile.mkdtemp(prefix="understudy-postgres-"))
        if self._user:
            shutil.chown(self._folder, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._run(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"
        )
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._bin / program), *words]
        # No privileges are changed in this process: a fork beside running threads could hang.
        done = subprocess.run(
            command, user=self._user, group=self._user and pwd.getpwnam(self._user).pw_gid,
            extra_groups=[] if self._user else None, cwd=self._folder, env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"{program} does not run on this machine")

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder} -c shared_buffers=8MB"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        if (Path(self._data) / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
