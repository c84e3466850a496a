"""Where a student should answer: in the event loop, in threads, or in batches; and how the server does it.

``python benchmarks/answering.py`` learns a linear and an encoder student on the example's calls, lets 32 callers ask
at once in each way, and prints answers per second, latency, and how long anything else on the loop had
to wait. The answers of all ways are compared bit for bit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench import data
from bench.machine import describe_machine

RESULT = data.ROOT / "build" / "benchmarks" / "answering.json"
EXAMPLE = data.ROOT / "examples" / "support"
Ask = Callable[[str], Awaitable[Any]]
CALLERS = 32


def in_loop(model: Any) -> Ask:
    async def ask(text: str) -> Any:
        return model.answer_parts([(text,)])[0]

    return ask


def in_pool(model: Any, pool: ThreadPoolExecutor) -> Ask:
    async def ask(text: str) -> Any:
        loop = asyncio.get_running_loop()
        return (await loop.run_in_executor(pool, model.answer_parts, [(text,)]))[0]

    return ask


def as_served(model: Any) -> Ask:
    """As the server does it: quick students by turns of the loop, slow ones in threads."""
    from understudy.serving.answering import Answerer

    answerer = Answerer()
    task: Any = SimpleNamespace(model=model, student_seconds=model.manifest["measured"]["student_seconds"])

    async def ask(text: str) -> Any:
        return await answerer.answer(task, (text,))

    return ask


def in_batches(model: Any, pool: ThreadPoolExecutor, most: int = 32, wait_s: float = 0.002) -> Ask:
    """What came within `wait_s` is answered by one call."""
    waiting: list[tuple[str, asyncio.Future[Any]]] = []
    timer: list[asyncio.Task[None]] = []

    async def flush(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        batch, waiting[:] = waiting[:], []
        timer.clear()
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(pool, model.answer_parts, [(text,) for text, _ in batch])
        for (_, done), answer in zip(batch, answers, strict=True):
            done.set_result(answer)

    async def ask(text: str) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiting.append((text, done))
        if not timer:
            timer.append(asyncio.create_task(flush(wait_s)))
        elif len(waiting) >= most:
            timer[0].cancel()
            timer[:] = [asyncio.create_task(flush(0))]
        return await done

    return ask


async def drive(ask: Ask, texts: list[str], seconds: float) -> dict[str, float]:
    """32 callers, each asking again at once; beside them a task that only wants to wake every millisecond."""
    latencies: list[float] = []
    lags: list[float] = []
    start = time.perf_counter()

    async def caller(at: int) -> None:
        while time.perf_counter() - start < seconds:
            began = time.perf_counter()
            await ask(texts[at % len(texts)])
            latencies.append(time.perf_counter() - began)
            at += CALLERS
            await asyncio.sleep(0)

    async def bystander() -> None:
        while time.perf_counter() - start < seconds:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            lags.append(time.perf_counter() - began - 0.001)

    cpu = time.process_time()
    await asyncio.gather(bystander(), *(caller(at) for at in range(CALLERS)))
    spent, cpu = time.perf_counter() - start, time.process_time() - cpu

    def at(values: list[float], share: float) -> float:
        return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1e3

    return {
        "per_second": len(latencies) / spent,
        "per_cpu_second": len(latencies) / cpu,
        "p50_ms": at(latencies, 0.5),
        "p99_ms": at(latencies, 0.99),
        "others_wait_p50_ms": at(lags, 0.5),
        "others_wait_p99_ms": at(lags, 0.99),
    }


def learnt(folder: Path, calls: list[dict[str, Any]], rung: str) -> Any:
    """A student of one rung for the queue alone: a task that every rung can learn."""
    import understudy

    log = folder / "log.jsonl"
    lines = [json.dumps({"input": call["input"], "output": call["output"]["queue"]}) for call in calls]
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = understudy.learn(
        log, rungs=(rung,), target=0.7, of="all", out=folder / rung, cache=folder / "cache"
    )
    return understudy.load(result.folder)


async def compare(model: Any, texts: list[str], seconds: float) -> dict[str, dict[str, float]]:
    with ThreadPoolExecutor() as pool:
        ways = {
            "the loop, one by one": in_loop(model),
            "threads, one by one": in_pool(model, pool),
            "threads, what came within 2 ms": in_batches(model, pool),
            "as the server does": as_served(model),
        }
        alone = [repr(model.answer_parts([(text,)])[0]) for text in texts[:CALLERS]]
        out = {}
        for name, ask in ways.items():
            together = await asyncio.gather(*(ask(text) for text in texts[:CALLERS]))
            assert [repr(one) for one in together] == alone, f"{name} changes an answer"
            out[name] = await drive(ask, texts, seconds)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    given = parser.parse_args()
    lines = (EXAMPLE / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    calls = [json.loads(line) for line in lines]
    texts = [call["input"] for call in calls]
    found: dict[str, Any] = {"machine": describe_machine()}
    with tempfile.TemporaryDirectory(prefix="understudy-answering-") as folder:
        for rung in ("linear", "frozen"):
            model = learnt(Path(folder), calls, rung)
            found[rung] = asyncio.run(compare(model, texts, given.seconds))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print("| student | answers in | per second | per CPU second | p50 ms | p99 ms | others wait, p99 ms |")
    print("|---|---|---|---|---|---|---|")
    for rung in ("linear", "frozen"):
        for way, one in found[rung].items():
            print(
                f"| {rung} | {way} | {one['per_second']:.0f} | {one['per_cpu_second']:.0f} | {one['p50_ms']:.1f}"
                f" | {one['p99_ms']:.1f} | {one['others_wait_p99_ms']:.1f} |"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
