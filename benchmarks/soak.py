"""Half an hour of mixed traffic with an upstream that fails at random: is every call answered or failed cleanly?

``python benchmarks/soak.py --minutes 30`` starts the server with two workers before an upstream that is slow, answers
429 and 500, cuts replies and streams short and hangs; sends local, deferred, streamed, malformed and abandoned calls;
kills nothing. Then it compares the ledger's rows with the calls that were accepted, and the workers' memory at the end
with that after the first sixth. Exits 1 if a row is missing or one too many, or a failure was not clean.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench import data
from bench.machine import describe_machine

import serving

RESULT = data.ROOT / "build" / "benchmarks" / "soak.json"
READ_S = 1.5
_UPSTREAM = """
import asyncio, json, random
draw = random.Random(7)
CHUNK = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
USAGE = {"prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    is_streamed = b'"stream": true' in body
    fate = draw.random()
    await asyncio.sleep(draw.expovariate(1 / 0.02))
    if fate < 0.02:
        return await reply(send, 429, b'{"error": {"message": "slow down"}}', [(b"retry-after", b"0.2")])
    if fate < 0.04:
        return await reply(send, 500, b'{"error": {"message": "broken"}}')
    if fate < 0.045:
        await asyncio.sleep(6)  # longer than the server waits
    if is_streamed:
        return await stream(send, cut=fate < 0.06)
    choice = {"index": 0, "message": {"role": "assistant", "content": "other"}, "finish_reason": "stop"}
    whole = json.dumps({**CHUNK, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()
    if fate < 0.06:  # says more than it sends
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(whole) + 9).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": whole, "more_body": True})
        raise ConnectionError
    await reply(send, 200, whole)

async def reply(send, status, body, more=()):
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

async def stream(send, cut):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for word in ("ot", "her"):
        event = {**CHUNK, "choices": [{"index": 0, "delta": {"content": word}}]}
        await send({"type": "http.response.body", "body": b"data: " + json.dumps(event).encode() + b"\\n\\n", "more_body": True})
        await asyncio.sleep(draw.expovariate(1 / 0.01))
        if cut:
            raise ConnectionError
    last = {**CHUNK, "choices": [], "usage": USAGE}
    end = b"data: " + json.dumps(last).encode() + b"\\n\\ndata: [DONE]\\n\\n"
    await send({"type": "http.response.body", "body": end})
"""
KINDS = ("local", "deferred", "streamed", "left", "malformed")
SHARES = (0.5, 0.2, 0.2, 0.05, 0.05)


class Traffic:
    """Callers, and what became of their calls."""

    def __init__(self, port: int, callers: int, rate: float, seconds: float) -> None:
        self.port, self.callers, self.rate, self.seconds = port, callers, rate, seconds
        self.ends: collections.Counter[tuple[str, str]] = collections.Counter()
        self.unclean: collections.Counter[str] = collections.Counter()
        self.n_accepted = 0
        self.latencies: dict[str, list[float]] = {kind: [] for kind in KINDS}

    async def run(self) -> None:
        start = time.monotonic()
        await asyncio.gather(*(self._caller(at, start) for at in range(self.callers)))

    async def _caller(self, at: int, start: float) -> None:
        draw = random.Random(at)
        texts = [text for text, _ in serving.texts(3_000)[2_000:]]
        while time.monotonic() - start < self.seconds:
            kind = draw.choices(KINDS, SHARES)[0]
            began = time.perf_counter()
            try:
                async with asyncio.timeout(60):
                    end = await self._call(kind, draw.choice(texts), draw)
            except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
                self.unclean[f"{kind}: {type(error).__name__}"] += 1
                end = "no reply"
            if kind != "left":
                self.latencies[kind].append(time.perf_counter() - began)
            self.ends[kind, end] += 1
            await asyncio.sleep(draw.expovariate(self.rate / self.callers))

    async def _call(self, kind: str, text: str, draw: random.Random) -> str:
        body: bytes
        if kind == "local":
            body = json.dumps(serving.chat(text)).encode()
        elif kind == "malformed":
            body = draw.choice([b"{", b"\xff\xfe", b'{"model": ' * 2_000, b"nonsense"])
        else:
            asked = {**serving.chat(text), "messages": [{"role": "user", "content": text}]}
            body = json.dumps(asked if kind == "deferred" else {**asked, "stream": True}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            said = await reader.readuntil(b"\r\n\r\n")
            status = int(said[9:12])
            if kind == "malformed":
                self._check(status == 400, f"malformed: status {status}")
                return str(status)
            self.n_accepted += 1
            if kind == "left" and status == 200:
                return "left"
            rest = await reader.read()
            return self._judge(kind, status, said, rest)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _judge(self, kind: str, status: int, head: bytes, rest: bytes) -> str:
        if status >= 400:
            try:
                is_clean = "message" in json.loads(rest)["error"]
            except (ValueError, KeyError, TypeError):
                is_clean = False
            self._check(is_clean, f"{kind}: status {status} without an error in JSON")
            return str(status)
        if kind in ("streamed", "left"):
            return "whole" if rest.rstrip().endswith(b"0") and b"[DONE]" in rest else "cut short by upstream"
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        self._check(len(rest) == length, f"{kind}: a reply of {len(rest)} bytes, not {length}")
        return "whole"

    def _check(self, is_good: bool, words: str) -> None:
        if not is_good:
            self.unclean[words] += 1


def memory_mb(pid: int) -> dict[int, float]:
    """Resident memory of the worker processes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = {}
    for one in map(int, children):
        command = Path(f"/proc/{one}/cmdline").read_text()
        if "resource_tracker" not in command:
            found[one] = round(serving.resident_mb(one), 1)
    return found


async def watch(pid: int, samples: list[tuple[float, float]], start: float) -> None:
    while True:
        with contextlib.suppress(OSError, StopIteration):
            samples.append((time.monotonic() - start, sum(memory_mb(pid).values())))
        await asyncio.sleep(5)


def measure(minutes: float, rate: float) -> dict[str, Any]:
    from understudy.ledger.database import Ledger
    from understudy.ledger.queries import totals

    folder = Path(tempfile.mkdtemp(prefix="understudy-soak-"))
    seconds = minutes * 60
    try:
        artefact = serving.learn(folder)
        (folder / "upstream.py").write_text(_UPSTREAM, encoding="utf-8")
        up, port = serving.free_port(), serving.free_port()
        config = folder / "serve.toml"
        config.write_text(
            f'[upstream]\nurl = "http://127.0.0.1:{up}/v1"\nread_s = {READ_S}\nprice = "0.15/0.60"\n'
            f'[[task]]\nartefact = "{artefact}"\n',
            encoding="utf-8",
        )
        upstream = [
            sys.executable, "-m", "uvicorn", "upstream:app", "--port", str(up), "--log-level", "critical",
        ]  # fmt: skip
        serve = [sys.executable, "-m", "understudy", "serve", "--config", str(config), "--port", str(port)]
        serve += ["--workers", "2", "--ledger", str(folder / "ledger.db")]
        traffic = Traffic(port, callers=48, rate=rate, seconds=seconds)
        samples: list[tuple[float, float]] = []

        async def drive(pid: int) -> None:
            watcher = asyncio.create_task(watch(pid, samples, time.monotonic()))
            await traffic.run()
            watcher.cancel()

        with (
            serving.running(upstream, up, "/v1/models", folder, core=None),
            serving.running(serve, port, "/readyz", folder, core=None) as (process, _),
        ):
            asyncio.run(drive(process.pid))
            time.sleep(3)
        ledger = Ledger.open(str(folder / "ledger.db"))
        found = totals(ledger)
        ledger.close()
        log = (folder / "server.log").read_text(encoding="utf-8", errors="replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    early = [mb for at, mb in samples if seconds / 6 <= at < seconds / 3]
    late = [mb for at, mb in samples if at >= seconds * 5 / 6]
    return {
        "machine": describe_machine(),
        "minutes": minutes,
        "n_sent": sum(traffic.ends.values()),
        "n_accepted": traffic.n_accepted,
        "n_rows": found.n_calls,
        "rows_by": dict(found.answered),
        "ends": {f"{kind}: {end}": n for (kind, end), n in sorted(traffic.ends.items())},
        "unclean": dict(traffic.unclean),
        "p99_ms": {
            kind: 1e3 * sorted(found)[int(0.99 * len(found))]
            for kind, found in traffic.latencies.items()
            if found
        },
        "memory_mb_early": sum(early) / max(len(early), 1),
        "memory_mb_late": sum(late) / max(len(late), 1),
        "log_lines": len(log.splitlines()),
        "tracebacks": log.count("Traceback"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=150.0, help="calls a second, in all")
    parser.add_argument("--page", action="store_true", help="put the figures on docs/benchmarks.md")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = measure(given.minutes, given.rate)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(json.dumps(found, indent=1))
    if given.page:
        from bench.render import write_serving_section

        write_serving_section(data.ROOT / "docs" / "benchmarks.md", RESULT.parent)
    is_good = found["n_rows"] == found["n_accepted"] and not found["unclean"] and not found["tracebacks"]
    print("every accepted call has one row" if is_good else "NOT as promised: see above")
    return 0 if is_good else 1


if __name__ == "__main__":
    raise SystemExit(main())
