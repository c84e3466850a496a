"""A log of a million calls through ``understudy inspect`` and ``understudy learn --rungs linear``, with peak
memory.

The log repeats and varies the calls of ``examples/support``: order numbers, weekdays and amounts change, some
texts are repeated as they are, as real traffic does. Run ``python benchmarks/million.py [--calls N] [--work
FOLDER]``.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench import data, probe
from bench.timed import run_timed

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_OPENINGS = (
    "",
    "",
    "",
    "Hello, ",
    "Hi there. ",
    "Good morning! ",
    "Hey - ",
    "Dear team, ",
    "Quick question: ",
)
_CLOSINGS = (
    "",
    "",
    "",
    " Thanks.",
    " Regards, {name}",
    " - {name}",
    " Best, {name}",
    " Cheers",
    " Sent from my phone",
)
_NAMES = (
    "Ana",
    "Ben",
    "Chloe",
    "Dev",
    "Ewa",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jo",
    "Kim",
    "Lena",
    "Mo",
    "Nina",
)


def varied(row: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """One call made from an example: other digits in its order number, another weekday, greeting and name."""
    text, output = row["input"], dict(row["output"])
    if isinstance(output.get("order_id"), str) and output["order_id"] in text:
        fresh = re.sub(r"\d", lambda _: str(dice.randrange(10)), output["order_id"])
        text = text.replace(output["order_id"], fresh)
        output["order_id"] = fresh
    for day in _DAYS:
        text = text.replace(day, dice.choice(_DAYS)) if day in text else text
    closing = dice.choice(_CLOSINGS).format(name=dice.choice(_NAMES))
    return {"input": f"{dice.choice(_OPENINGS)}{text}{closing}", "output": output}


def write_log(path: Path, count: int, seed: int = 0) -> None:
    """`count` calls as JSON lines; a fifth of them repeat an earlier text exactly."""
    rows = data.read_rows(data.ROOT / "examples" / "support" / "calls.jsonl")
    dice = random.Random(seed)
    recent: list[str] = []
    with path.open("w", encoding="utf-8") as out:
        for _ in range(count):
            if recent and dice.random() < 0.2:
                out.write(dice.choice(recent))
                continue
            line = json.dumps(varied(dice.choice(rows), dice), ensure_ascii=False) + "\n"
            recent.append(line)
            if len(recent) > 5_000:
                recent = recent[2_500:]
            out.write(line)


def timed(arguments: list[str]) -> dict[str, Any]:
    """Run the command line with `arguments` in a fresh process: seconds, peak resident memory, exit code."""
    command = [sys.executable, "-c", "from understudy.cli.main import main; main()", *arguments]
    return run_timed(command, PYTHONPATH=str(data.ROOT / "src"))


def main() -> int:
    """Write the log, inspect it, learn from it; print the figures as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("row", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=int, default=1_000_000, help="calls to write (default: a million)")
    parser.add_argument("--work", type=Path, default=data.ROOT / "build" / "benchmarks" / "million")
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="20,000 calls")
    given = parser.parse_args()
    count = 20_000 if given.quick else given.calls
    given.work.mkdir(parents=True, exist_ok=True)
    log = given.work / "million.jsonl"
    write_log(log, count)
    inspected = timed(["inspect", str(log), "--json"])
    task = str(data.ROOT / "examples" / "support" / "task.toml")
    # Without the task file a million calls with 1,635 different reasons make the free text look like labels.
    learn = ["learn", str(log), "--task", task, "--rungs", "linear", "--target", "0.9"]
    learn += ["--out", str(given.work / "artefact")]
    learnt = timed([*learn, "--cache", str(given.work / "cache"), "--json"])
    # 4 is a useful no: a result like another.
    is_done = inspected["code"] == 0 and learnt["code"] in (0, 4)
    probe.report(
        {
            "n_calls": count,
            "log_bytes": log.stat().st_size,
            **{f"inspect_{key}": value for key, value in inspected.items()},
            **{f"learn_{key}": value for key, value in learnt.items()},
            "is_done": is_done,
        }
    )
    log.unlink()
    return 0 if is_done else 1


if __name__ == "__main__":
    raise SystemExit(main())
