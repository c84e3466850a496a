"""Two workers of one server: budgets hold over both, and a change of artefacts reaches both."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.test_kill import Process, processes  # noqa: F401  (a fixture)
from serving.test_openai_client import SURE, UNSURE, Upstream
from serving.test_operating import a_key
from serving.upstream_app import chat_request
from understudy.runtime.artefact import write_manifest
from understudy.serving.crew import Crew, crew_folder
from understudy.serving.problems import RequestProblem

COST_NANOUSD = 46_000


def new_connections(**more: Any) -> httpx.Client:
    """A client whose every call is a new connection, for whichever worker takes it."""
    return httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=40, **more)


def served_artefacts(served: Process, count: int = 40) -> set[str]:
    """Ids that answers carry, over enough connections to meet every worker."""
    address = f"{served.url}/v1/chat/completions"
    with new_connections() as client:
        replies = [client.post(address, json=chat_request(SURE)) for _ in range(count)]
    return {reply.headers["x-understudy-artefact"] for reply in replies}


def wait_for_two(served: Process) -> list[int]:
    """Process ids, once both workers have joined: the first is ready before the second is there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        reply = httpx.post(f"{served.url}/admin/reload", timeout=40)
        pids = sorted({one["pid"] for one in reply.json().get("workers", ())})
        if len(pids) == 2:
            return pids
        time.sleep(0.1)
    raise AssertionError("the second worker did not join")


def rename(folder: Path, name: str) -> None:
    """Another artefact in the folder: the same but for its id."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest.pop("files")
    write_manifest(folder, {**manifest, "id": name})


def test_a_change_reaches_every_worker(
    plain_artefact: Path,
    tmp_path: Path,
    processes: list[Process],  # noqa: F811
) -> None:
    folder = tmp_path / "artefact"
    shutil.copytree(plain_artefact, folder)
    served = Process(folder, tmp_path, "--workers", "2")
    processes.append(served)
    wait_for_two(served)
    (before,) = served_artefacts(served)
    rename(folder, "second")
    reply = httpx.post(f"{served.url}/admin/reload", timeout=40)
    assert reply.status_code == 200
    workers = reply.json()["workers"]
    assert len({one["pid"] for one in workers}) == 2
    assert [one["artefacts"] for one in workers] == [{"queue": "second"}] * 2
    assert served_artefacts(served) == {"second"}
    reply = httpx.post(f"{served.url}/admin/rollback", timeout=40)
    assert [one["artefacts"] for one in reply.json()["workers"]] == [{"queue": before}] * 2
    assert served_artefacts(served) == {before}
    (folder / "components" / "linear" / "linear.npz").write_bytes(b"broken")
    reply = httpx.post(f"{served.url}/admin/reload", timeout=40)
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "reload_failed")
    assert served_artefacts(served) == {before}
    # Whichever worker is asked, it counts the calls of both.
    wanted = 'understudy_calls_total{task="queue",answered_by="student",status="200"} 160\n'
    deadline = time.monotonic() + 20
    with new_connections() as client:
        while not all(wanted in client.get(f"{served.url}/metrics").text for _ in range(10)):
            assert time.monotonic() < deadline, "a worker does not know of the other's calls"
            time.sleep(0.2)
        assert "\nunderstudy_workers 2\n" in client.get(f"{served.url}/metrics").text
    served.end()
    assert not list(Path(f"{served.ledger}-spool").glob("crew-*"))


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_sighup_takes_up_a_new_artefact_without_a_lost_call(
    plain_artefact: Path,
    tmp_path: Path,
    processes: list[Process],  # noqa: F811
    workers: int,
) -> None:
    folder = tmp_path / "artefact"
    shutil.copytree(plain_artefact, folder)
    served = Process(folder, tmp_path, "--workers", str(workers))
    processes.append(served)
    rename(folder, "second")
    os.kill(served.process.pid, signal.SIGHUP)
    deadline = time.monotonic() + 120
    while served_artefacts(served) != {"second"}:  # fails if a call is not answered
        assert time.monotonic() < deadline
    assert served.process.poll() is None


def test_a_budget_holds_over_two_workers(
    plain_artefact: Path,
    upstream: Upstream,
    tmp_path: Path,
    processes: list[Process],  # noqa: F811
) -> None:
    """Calls one after the other: the one that reaches the limit is the last, whichever worker takes it."""
    key = a_key("small")
    config = tmp_path / "serve.toml"
    limit = 20
    config.write_text(
        f'[upstream]\nurl = "{upstream[1]}"\nprice = "1/2"\n[[key]]\nname = "small"\nsha256 = "{key.sha256}"\n'
        f"usd_per_day = {(limit - 0.5) * COST_NANOUSD / 1e9}\n",
        encoding="utf-8",
    )
    served = Process(plain_artefact, tmp_path, "--workers", "2", "--config", str(config))
    processes.append(served)

    def statuses(count: int) -> list[int]:
        with new_connections(headers={"authorization": "Bearer secret-small"}) as client:
            address = f"{served.url}/v1/chat/completions"
            return [client.post(address, json=chat_request(UNSURE)).status_code for _ in range(count)]

    assert statuses(limit + 15) == [200] * limit + [429] * 15
    assert len(upstream[0].seen) == limit
    # Nor is it forgotten when the workers begin anew, though the ledger may lag behind.
    served.kill()
    served = Process(plain_artefact, tmp_path, "--workers", "2", "--config", str(config))
    processes.append(served)
    assert statuses(5) == [429] * 5


def test_an_order_is_followed_once_and_failures_are_heard_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    followed: list[tuple[str, str]] = []

    def follower(name: str, problem: str | None = None) -> Any:
        async def follow(order: str) -> Mapping[str, str]:
            followed.append((name, order))
            if problem:
                raise RequestProblem(409, "reload_failed", problem)
            return {"queue": "second"}

        return follow

    async def run(folder: Path) -> None:
        one, other = Crew(folder), Crew(folder)
        other._pid = 1  # stands for another process
        one.join({"queue": "first"})
        other.join({"queue": "first"})
        looking = asyncio.create_task(other.follow_orders(follower("other")))
        states = await one.give("reload", follower("one"))
        assert one.is_of_one_mind(states)
        looking.cancel()
        looking = asyncio.create_task(other.follow_orders(follower("other", "no room")))
        states = await one.give("rollback", follower("one"))
        assert not one.is_of_one_mind(states)
        assert sorted(state.problem or "" for state in states) == ["", "no room"]
        looking.cancel()
        with pytest.raises(RequestProblem, match="damaged"):
            await one.give("reload", follower("one", "damaged"))
        # Nobody is waited for who has left, and a newcomer follows no old order.
        other.leave()
        assert len(await one.give("reload", follower("one"))) == 1
        new = Crew(folder)
        new._pid = 2
        looking = asyncio.create_task(new.follow_orders(follower("new")))
        await asyncio.sleep(0.4)
        looking.cancel()
        # The folders may hold something else than what the others went back to.
        new.join({"queue": "first"})
        assert [one.message for one in caplog.records] == ["worker_serves_other_artefacts"]
        new.leave()
        one.leave()

    with crew_folder(tmp_path / "spool") as folder:
        asyncio.run(run(folder))
    assert followed == [
        ("one", "reload"),
        ("other", "reload"),
        ("one", "rollback"),
        ("other", "rollback"),
        ("one", "reload"),
        ("one", "reload"),
    ]
    assert not folder.exists()


def test_one_change_at_a_time(tmp_path: Path) -> None:
    async def slow(_order: str) -> Mapping[str, str]:
        await asyncio.sleep(0.2)
        return {}

    async def run(folder: Path) -> None:
        one, other = Crew(folder), Crew(folder)
        working = asyncio.create_task(one.give("reload", slow))
        await asyncio.sleep(0.05)
        with pytest.raises(RequestProblem) as caught:
            await other.give("reload", slow)
        assert caught.value.code == "change_in_work"
        await working

    with crew_folder(tmp_path) as folder:
        asyncio.run(run(folder))


def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "crew-999999999"
    left.mkdir()
    (left / "parent.lock").touch()
    with crew_folder(tmp_path) as folder:
        assert not left.exists()
        assert folder.exists()


def test_a_worker_that_is_gone_is_not_waited_for(
    plain_artefact: Path,
    tmp_path: Path,
    processes: list[Process],  # noqa: F811
) -> None:
    served = Process(plain_artefact, tmp_path, "--workers", "2")
    processes.append(served)
    pids = wait_for_two(served)
    os.kill(pids[0], signal.SIGKILL)
    deadline = time.monotonic() + 90
    while True:  # a call that the killed worker was to take breaks off; the parent starts another
        try:
            reply = httpx.post(f"{served.url}/admin/reload", timeout=40)
            after = {one["pid"] for one in reply.json()["workers"]}
            if len(after) == 2:
                break
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert pids[0] not in after
    assert pids[1] in after


def test_two_servers_with_one_process_id_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with crew_folder(tmp_path) as one, crew_folder(tmp_path) as other:
        assert one != other
        assert one.is_dir()


def test_a_worker_that_breaks_over_an_order_goes_on_following(tmp_path: Path) -> None:
    async def breaks(order: str) -> Mapping[str, str]:
        raise OSError(order)

    async def serves(order: str) -> Mapping[str, str]:
        return {"queue": "second"}

    async def run() -> list[tuple[int, str | None]]:
        with crew_folder(tmp_path) as folder:
            giver, follower = Crew(folder), Crew(folder)
            follower._pid += 1  # as if it were another process
            giver.join({"queue": "first"})
            follower.join({"queue": "first"})
            beside = asyncio.create_task(follower.follow_orders(breaks))
            states = await giver.give("reload", serves)
            is_alive = not beside.done()
            beside.cancel()
            follower.leave()
            giver.leave()
            assert is_alive
            return [(one.number, one.problem) for one in states]

    assert asyncio.run(run()) == [(1, None), (1, "It could not be followed.")]
