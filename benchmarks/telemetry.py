"""Measure what watching costs: processor time of one call with and without access log and spans.

``python benchmarks/telemetry.py`` calls the application in this process, one call after the other, without a network
in between: the student answers, and the row is made but not written, because the disk's noise would hide what is
measured. Spans go to a collector in another process that
throws them away. Variants take turns, and differences are taken round by round: a machine that slows down slows all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging.config
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from serving import SYSTEM, WORDS, free_port, texts

VARIANTS = ("off", "access log, text", "access log, json", "spans", "json and spans")
_COLLECTOR = """
import http.server, sys
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Sink).serve_forever()
"""


def learn(folder: Path) -> Path:
    """A linear student of the queue of a message."""
    import understudy

    log = folder / "log.jsonl"
    with log.open("w", encoding="utf-8") as lines:
        for text, queue in texts(900):
            request = {
                "model": "gpt-4o-mini",
                "messages": [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": f"Message: {text}"},
                ],
            }
            choice = {"index": 0, "message": {"role": "assistant", "content": queue}}
            lines.write(json.dumps({"request": request, "response": {"choices": [choice]}}) + "\n")
    return understudy.learn(log, out=folder / "artefact", rungs=("linear",), target=0.9, cache=None).folder


async def call(app: Callable[..., Awaitable[None]], body: bytes) -> int:
    """One call of the application; its status."""
    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/json"),
        (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions", "query_string": b"",
        "headers": headers, "server": ("127.0.0.1", 8400), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status


async def measure(artefact: Path, folder: Path, n_calls: int, n_rounds: int) -> dict[str, list[float]]:
    """Microseconds of processor time per call, by variant and round."""
    from understudy.ledger.group_commit import GroupCommit
    from understudy.serving.app import Server, make_app
    from understudy.serving.logs import log_config
    from understudy.serving.settings import LedgerSettings, ServeSettings, TaskSettings
    from understudy.serving.tracing import Tracing
    from understudy.serving.watch import Watch

    async def unwritten(_self: GroupCommit, record: object) -> None:
        pass

    GroupCommit.append = unwritten  # type: ignore[method-assign]
    text = f"Message: {' '.join(WORDS['delivery'][:3])} please hello"
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    body = json.dumps({"model": "gpt-4o-mini", "messages": messages}).encode()
    out: dict[str, list[float]] = {name: [] for name in VARIANTS}
    async with contextlib.AsyncExitStack() as stack:
        apps = {}
        for at, name in enumerate(VARIANTS):
            tracing = (
                Tracing.from_environment(address="127.0.0.1", port=8400) if name.endswith("spans") else None
            )
            watch = Watch(tracing, "log" in name or "json" in name)
            ledger = LedgerSettings(str(folder / f"ledger-{at}.db"))
            server = Server(ServeSettings(tasks=(TaskSettings(artefact),), ledger=ledger), watch)
            apps[name] = make_app(server)
            await stack.enter_async_context(server.life(apps[name]))
        for turn in range(n_rounds + 1):
            for name, app in apps.items():
                form = "json" if "json" in name else "text"
                logging.config.dictConfig(log_config(form, "info", has_access_log=True))
                began = time.process_time()
                for _ in range(n_calls):
                    assert await call(app, body) == 200
                if turn:  # the first round warms up
                    out[name].append((time.process_time() - began) / n_calls * 1e6)
    return out


def main() -> None:
    port = free_port()
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        artefact = learn(folder)
        collector = subprocess.Popen([sys.executable, "-c", _COLLECTOR, str(port)])
        # Lines go into a file, as they do under a supervisor that collects them.
        shown, sys.stderr = sys.stderr, (folder / "lines.log").open("w", buffering=1)
        try:
            found = asyncio.run(measure(artefact, folder, n_calls=200, n_rounds=40))
        finally:
            sys.stderr = shown
            collector.terminate()
    for name, values in found.items():
        # Each round's difference to the same round without: what slows the machine slows both.
        more = statistics.quantiles([one - base for one, base in zip(values, found["off"], strict=True)], n=4)
        print(
            f"{name:<18} {statistics.median(values):7.1f} µs a call   {more[1]:+6.1f} µs "
            f"(quartiles {more[0]:+.1f} and {more[2]:+.1f})   least {min(values):.1f}"
        )


if __name__ == "__main__":
    main()
