"""A lean HTTP/1.1 load generator over keep-alive connections: asyncio and the standard library only.

The generator must not be the limit: it sends prepared bytes and reads as far as ``content-length`` (or the last chunk)
says. Latency is from the first byte sent to the last byte read.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

__all__ = ["LoadResult", "run_load"]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load saw.

    Attributes
    ----------
    n_requests, n_failed
        Replies, and those whose status was not 200.
    seconds
        From the first request to the last reply.
    latencies_ms
        Sorted.
    """

    n_requests: int
    n_failed: int
    seconds: float
    latencies_ms: tuple[float, ...]

    @property
    def per_second(self) -> float:
        return self.n_requests / self.seconds

    def percentile(self, share: float) -> float:
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))]


def _message(port: int, body: bytes, key: str | None) -> bytes:
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    )
    if key:
        head += f"authorization: Bearer {key}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _reply(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lower = head.lower()
    if b"content-length:" in lower:
        length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    else:
        while (size := int((await reader.readuntil(b"\r\n")).strip(), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    return status


async def _run(
    port: int, bodies: list[bytes], *, connections: int, seconds: float, rate: float | None, key: str | None
) -> LoadResult:
    messages = [_message(port, body, key) for body in bodies]
    latencies: list[float] = []
    failed, sent = 0, 0
    start = time.perf_counter()

    async def one() -> None:
        nonlocal failed, sent
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            number = sent
            due = start + number / rate if rate else time.perf_counter()
            if due - start > seconds or time.perf_counter() - start > seconds * 1.5:
                break
            sent += 1
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            # With a rate, latency counts from when the request was due: a stalled server is not let off.
            began = max(due, start) if rate else time.perf_counter()
            writer.write(messages[number % len(messages)])
            status = await _reply(reader)
            latencies.append((time.perf_counter() - began) * 1e3)
            failed += status != 200
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    spent = time.perf_counter() - start
    return LoadResult(len(latencies), failed, spent, tuple(sorted(latencies)))


def run_load(
    port: int,
    requests: list[dict[str, Any]],
    *,
    connections: int,
    seconds: float,
    rate: float | None = None,
    key: str | None = None,
) -> LoadResult:
    """Send `requests` in turn for `seconds`: as fast as replies come, or at `rate` per second in all."""
    bodies = [json.dumps(one).encode() for one in requests]
    return asyncio.run(_run(port, bodies, connections=connections, seconds=seconds, rate=rate, key=key))
