"""Several workers of one server: a change that one of them is asked for reaches all, and the asker hears from all.

They meet in a folder inside the spool folder, which the parent process makes and removes. The worker that takes a
change makes it first, then writes it down as an order; the others look for a newer order several times a second,
follow it and write down what they serve. Orders come one at a time: the one who gives it holds a lock until
everybody has followed. It knows nothing of artefacts: following is a function that it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from understudy.ledger.spool_file import make_folder
from understudy.serving.events import tell, where_it_broke
from understudy.serving.problems import RequestProblem

__all__ = ["Crew", "Order", "WorkerState", "crew_folder"]

Order = Literal["reload", "rollback"]
Follow = Callable[[Order], Awaitable[Mapping[str, str]]]
_LOOK_EVERY_S = 0.25
_MOST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What one worker serves.

    Attributes
    ----------
    pid
        Its process.
    number
        The last order that it followed or failed to follow.
    artefacts
        Ids by task.
    problem
        Why it could not follow, or ``None``.
    """

    pid: int
    number: int
    artefacts: Mapping[str, str]
    problem: str | None = None


@contextlib.contextmanager
def crew_folder(spool: Path) -> Iterator[Path]:
    """A folder for the workers of this process, for as long as the block runs.

    Those of processes that ended without clearing up are removed.
    """
    make_folder(spool)
    for old in spool.glob("crew-*"):
        if not _is_held(old / "parent.lock"):
            shutil.rmtree(old, ignore_errors=True)
    # Never one that another server has: in containers process ids are alike.
    folder = Path(tempfile.mkdtemp(prefix="crew-", dir=spool))
    held = _hold(folder / "parent.lock")
    try:
        yield folder
    finally:
        os.close(held)
        shutil.rmtree(folder, ignore_errors=True)


class Crew:
    """One worker's place among the others.

    To be made before the artefacts are loaded: an order given after that is followed.

    Parameters
    ----------
    folder
        From :func:`crew_folder`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pid = os.getpid()
        self._number = int(self._order()["number"])
        self._turn = asyncio.Lock()
        self._held: int | None = None
        self._seen_ns = 0

    @property
    def _name(self) -> str:
        return f"worker-{self._pid}"

    def join(self, artefacts: Mapping[str, str]) -> None:
        """Become visible to the others, with what is served from the start."""
        self._held = _hold(self._folder / f"{self._name}.lock")
        self._write_state(WorkerState(self._pid, self._number, dict(artefacts)))
        known = self._order().get("artefacts")
        if known is not None and known != artefacts:
            # After a roll-back, say: the folders still hold what the others went back from.
            tell(logging.WARNING, "worker_serves_other_artefacts", pid=self._pid)

    def leave(self) -> None:
        """Be waited for no longer."""
        if self._held is not None:
            for kind in ("metrics", "json", "lock"):
                (self._folder / f"{self._name}.{kind}").unlink(missing_ok=True)
            os.close(self._held)
            self._held = None

    def tell_others(self, value: Any) -> None:
        """Leave a value of JSON for :meth:`told_by_others` elsewhere."""
        _write(self._folder / f"{self._name}.metrics", value)

    def told_by_others(self) -> list[Any]:
        """The last value of each other living worker."""
        return self._living("metrics", has_own=False)

    async def follow_orders(self, follow: Follow) -> None:
        """Look for orders of others and follow them, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                changed_ns = (self._folder / "order.json").stat().st_mtime_ns
            except FileNotFoundError:
                continue
            if changed_ns != self._seen_ns:
                async with self._turn:
                    await self._catch_up(follow)
                self._seen_ns = changed_ns

    async def _catch_up(self, follow: Follow) -> None:
        order = self._order()
        if order["number"] <= self._number:
            return
        problem, artefacts = None, {}
        try:
            artefacts = dict(await follow(order["kind"]))
        except RequestProblem as error:
            problem = error.message
        except Exception:
            # Whatever it was, this worker goes on following: a watcher that ended would never be missed.
            tell(logging.ERROR, "order_not_followed", where=where_it_broke())
            problem = "It could not be followed."
        self._number = int(order["number"])
        try:
            self._write_state(WorkerState(self._pid, self._number, artefacts, problem))
        except OSError as error:
            tell(logging.ERROR, "state_not_told", error=type(error).__name__)

    async def give(self, kind: Order, follow: Follow) -> list[WorkerState]:
        """Follow an order here, then have all others follow it.

        Returns
        -------
        list of WorkerState
            All workers after it; some may not have followed, see :attr:`WorkerState.number` and `problem`.

        Raises
        ------
        RequestProblem
            409 if another change is in work; whatever `follow` raises here, and then nobody else hears of it.
        """
        lock = os.open(self._folder / "order.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _try_lock(lock):
                raise RequestProblem(409, "change_in_work", "Another change is in work.", retry_after_s=1)
            async with self._turn:
                await self._catch_up(follow)
                artefacts = dict(await follow(kind))
                self._number += 1
                self._write_state(WorkerState(self._pid, self._number, artefacts))
                order = {"number": self._number, "kind": kind, "artefacts": artefacts}
                _write(self._folder / "order.json", order)
            deadline = time.monotonic() + _MOST_WAIT_S
            while True:
                states = self.states()
                if all(one.number >= self._number for one in states) or time.monotonic() > deadline:
                    return states
                await asyncio.sleep(_LOOK_EVERY_S / 5)
        finally:
            os.close(lock)

    def states(self) -> list[WorkerState]:
        """What the living workers serve, by process."""
        return [WorkerState(**one) for one in self._living("json")]

    def _living(self, kind: str, *, has_own: bool = True) -> list[Any]:
        """What the living workers last wrote, by name."""
        found = []
        for path in sorted(self._folder.glob(f"worker-*.{kind}")):
            if (has_own or path.stem != self._name) and _is_held(path.with_suffix(".lock")):
                with contextlib.suppress(FileNotFoundError):  # it left in this moment
                    found.append(json.loads(path.read_text(encoding="utf-8")))
        return found

    def is_of_one_mind(self, states: list[WorkerState]) -> bool:
        """Whether all followed the last order and serve the same."""
        return all(
            one.number >= self._number and one.problem is None and one.artefacts == states[0].artefacts
            for one in states
        )

    def _order(self) -> dict[str, Any]:
        try:
            order: dict[str, Any] = json.loads((self._folder / "order.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"number": 0}
        return order

    def _write_state(self, state: WorkerState) -> None:
        _write(self._folder / f"{self._name}.json", asdict(state))


def _write(path: Path, value: Any) -> None:
    """Whole or not at all; nothing here has to survive the end of the machine."""
    begun = path.with_name(f"{path.name}.{os.getpid()}.new")
    begun.write_text(json.dumps(value), encoding="utf-8")
    begun.replace(path)


def _hold(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _is_held(path: Path) -> bool:
    """Whether a living process holds the file's lock; the kernel lets go of it however the process ends."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(fd)
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
