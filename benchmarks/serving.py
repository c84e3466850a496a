"""Measure the server: what passing a request through costs beside LiteLLM's proxy, and how fast students answer.

``python benchmarks/serving.py`` needs ``python benchmarks/peers/setup.py litellm`` for the comparison. The server
under test has one core to itself; the load and the local upstream share the others. Prints a table, keeps it in
``build/benchmarks/serving.json``; ``--page`` puts it on docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench import data
from bench.load import LoadResult, run_load
from bench.machine import describe_machine

RESULT = data.ROOT / "build" / "benchmarks" / "serving.json"
SYSTEM = "Route the message to a queue."
WORDS = {
    "delivery": "parcel courier late shipment".split(),
    "billing": "invoice charged card payment".split(),
    "returns": "refund return broken exchange".split(),
}
FILLERS = "please hello my the about order yesterday again where is what thanks team customer today".split()
_UPSTREAM = """
import json
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    choice = {"index": 0, "message": {"role": "assistant", "content": "other"}, "finish_reason": "stop"}
    body = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
        "choices": [choice], "usage": {"prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


def texts(count: int) -> list[tuple[str, str]]:
    """Messages and their queues, all different."""
    import random

    draw = random.Random(0)
    out = []
    for at in range(count):
        queue = draw.choice(sorted(WORDS))
        words = [*draw.sample(WORDS[queue], 2), *draw.sample(FILLERS, 6), f"nr{at}"]
        draw.shuffle(words)
        out.append((" ".join(words), queue))
    return out


def chat(text: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Message: {text}"}]
    return {"model": "gpt-4o-mini", "messages": messages}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Of a process and the children it has now."""
    total, ticks = 0.0, os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for one in [pid, *map(int, children.read_text().split() if children.exists() else [])]:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@contextlib.contextmanager
def running(
    command: list[str], port: int, path: str, folder: Path, *, core: int | None, **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A server process and the seconds until it answered."""
    start = time.perf_counter()
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    if core is not None:
        os.sched_setaffinity(process.pid, {core})
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).read()
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - start > 120:
                    said = (folder / "server.log").read_text(encoding="utf-8", errors="replace")
                    raise SystemExit(f"a server did not start: {said[-2_000:]}") from None
                time.sleep(0.02)
        yield process, time.perf_counter() - start
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def loaded(process: subprocess.Popen[bytes], load: Any) -> tuple[LoadResult, float]:
    """A load's result, and the server's CPU milliseconds per request."""
    before = cpu_seconds(process.pid)
    result: LoadResult = load()
    return result, (cpu_seconds(process.pid) - before) / max(result.n_requests, 1) * 1e3


def pass_through(
    process: Any, port: int, seconds: float, base_ms: float, key: str | None = None
) -> dict[str, float]:
    """Figures of forwarding: requests that no task knows."""
    requests = [{**chat(text), "messages": [{"role": "user", "content": text}]} for text, _ in texts(200)]
    run_load(port, requests, connections=4, seconds=1.0, key=key)
    alone, _ = loaded(process, lambda: run_load(port, requests, connections=1, seconds=seconds, key=key))
    full, cpu_ms = loaded(process, lambda: run_load(port, requests, connections=16, seconds=seconds, key=key))
    assert not alone.n_failed + full.n_failed, "every request must be answered"
    return {
        "per_second": full.per_second,
        "per_core_second": 1e3 / cpu_ms,
        "cpu_ms": cpu_ms,
        "added_median_ms": alone.percentile(0.5) - base_ms,
        "p99_ms_at_16": full.percentile(0.99),
        "resident_mb": resident_mb(process.pid),
    }


def local_answers(process: Any, port: int, seconds: float) -> dict[str, float]:
    """Figures of a student's answers, the ledger's write included."""
    requests = [chat(text) for text, _ in texts(3_000)[2_000:]]
    run_load(port, requests, connections=4, seconds=1.0)
    full, cpu_ms = loaded(process, lambda: run_load(port, requests, connections=32, seconds=seconds))
    half = run_load(port, requests, connections=32, seconds=seconds, rate=full.per_second / 2)
    assert not full.n_failed + half.n_failed, "every request must be answered"
    return {
        "per_second": full.per_second,
        "per_core_second": 1e3 / cpu_ms,
        "cpu_ms": cpu_ms,
        "p50_ms_at_half": half.percentile(0.5),
        "p99_ms_at_half": half.percentile(0.99),
        "resident_mb": resident_mb(process.pid),
    }


def learn(folder: Path) -> Path:
    """An artefact with the linear rung, from a log of full requests."""
    import understudy

    log = folder / "log.jsonl"
    with log.open("w", encoding="utf-8") as lines:
        for text, queue in texts(2_000):
            lines.write(json.dumps({"request": chat(text), "response": {"content": queue}}) + "\n")
    result = understudy.learn(
        log, out=folder / "artefact", rungs=("linear",), target=0.95, cache=folder / "cache"
    )
    assert result.is_certified
    return Path(result.folder)


def litellm_command(folder: Path, upstream: int, port: int) -> list[str] | None:
    """LiteLLM's proxy before the same upstream, or ``None`` where it is not installed."""
    program = data.ROOT / ".venv-peer-litellm" / "bin" / "litellm"
    if not program.exists():
        return None
    config = folder / "litellm.yaml"
    config.write_text(
        "model_list:\n  - model_name: gpt-4o-mini\n    litellm_params:\n      model: openai/gpt-4o-mini\n"
        f"      api_base: http://127.0.0.1:{upstream}/v1\n      api_key: none\n"
        "litellm_settings:\n  telemetry: false\n"
        "general_settings:\n  dangerously_permit_weak_or_unset_master_key: true\n",
        encoding="utf-8",
    )
    return [
        str(program),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]


def measure(seconds: float) -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0))
    own, rest = cores[-1], set(cores[:-1]) or set(cores)
    folder = Path(tempfile.mkdtemp(prefix="understudy-serving-"))
    out: dict[str, Any] = {"machine": describe_machine(), "seconds": seconds}
    try:
        artefact = learn(folder)
        os.sched_setaffinity(0, rest)
        (folder / "upstream.py").write_text(_UPSTREAM, encoding="utf-8")
        up, port, peer_port = free_port(), free_port(), free_port()
        upstream = [
            sys.executable,
            "-m",
            "uvicorn",
            "upstream:app",
            "--port",
            str(up),
            "--log-level",
            "error",
        ]
        serve = [sys.executable, "-m", "understudy", "serve", str(artefact), "--port", str(port)]
        serve += ["--upstream", f"http://127.0.0.1:{up}/v1", "--teacher-price", "0.15/0.60"]
        with running(upstream, up, "/v1/models", folder, core=None):
            direct = run_load(up, [chat("x")], connections=1, seconds=seconds)
            out["direct_median_ms"] = base = direct.percentile(0.5)
            with running(serve, port, "/readyz", folder, core=own) as (process, ready_s):
                out["understudy"] = {"ready_s": ready_s, **pass_through(process, port, seconds, base)}
                out["local"] = local_answers(process, port, seconds)
            command = litellm_command(folder, up, peer_port)
            if command is not None:
                with running(command, peer_port, "/health/liveliness", folder, core=own) as (
                    process,
                    ready_s,
                ):
                    out["litellm"] = {"ready_s": ready_s, **pass_through(process, peer_port, seconds, base)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--page", action="store_true", help="put the figures on docs/benchmarks.md")
    given = parser.parse_args()
    found = measure(given.seconds)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1), encoding="utf-8")
    from bench.render import serving_lines, write_serving_section

    if given.page:
        write_serving_section(data.ROOT / "docs" / "benchmarks.md", RESULT.parent)
    print("\n".join(serving_lines(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
