"""From a teacher made here to a served student, end to end and offline: what it takes, and whether the teacher pays.

    python benchmarks/gallery.py --out build/gallery            # twenty minutes of an idle core
    python benchmarks/gallery.py --out build/quick --quick      # sizes that prove nothing, in two minutes

The task is that of ``examples/slots``: messages in, delivery slots out. Each step is kept in OUT, so that a run that
was cut goes on:

1. a teacher: a decoder from scratch, trained on many messages with the right answers;
2. the log: the teacher answers messages that it has not seen, in Understudy's form;
3. students of one shape, trained for equal steps on a few right answers, or on the teacher's answers to many messages,
   over several seeds: exact answers on held-back messages, with Student's t intervals over seeds;
4. ``understudy learn`` on the log, the student's compressed forms among the rungs;
5. ``understudy serve``, asked through the official client, streamed.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
UNDERSTUDY = (sys.executable, "-m", "understudy")
Rows = list[dict[str, Any]]
_PARTS = ("teacher", "few", "log", "test", "more")


def main() -> None:
    """Run every step that is not done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gallery")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    sizes = {
        "teacher": 4000,
        "few": 150,
        "log": 1600,
        "test": 300,
        "more": 2400,
        "teacher_steps": 1600,
        "steps": 600,
    }
    if given.quick:
        sizes = {
            "teacher": 200,
            "few": 50,
            "log": 300,
            "test": 40,
            "more": 100,
            "teacher_steps": 20,
            "steps": 10,
        }
    rows = _messages(sum(sizes[name] for name in _PARTS))
    parts, at = {}, 0
    for name in _PARTS:
        parts[name] = rows[at : at + sizes[name]]
        at += sizes[name]

    teacher = _kept(
        out / "teacher.json",
        lambda: _fit(out / "teacher", parts["teacher"], "gold", sizes["teacher_steps"], 0, parts["test"]),
    )
    print("teacher", json.dumps(teacher))
    _log(out, parts["log"] + parts["more"])
    log = [json.loads(line) for line in (out / "calls.jsonl").read_text(encoding="utf-8").splitlines()]
    students = {
        "few right answers": (parts["few"], "gold"),
        "teacher's answers": (log[: sizes["log"]], "output"),
    }
    found = {
        arm: [
            _kept(
                out / f"{key}-{arm.split()[0]}-{seed}.json",
                lambda rows=rows, key=key, seed=seed: _fit(
                    None, rows, key, sizes["steps"], seed, parts["test"]
                ),
            )
            for seed in range(given.seeds)
        ]
        for arm, (rows, key) in students.items()
    }
    _compare(found)
    _learn(out)
    _serve(out, parts["test"][:20])


def _messages(count: int) -> Rows:
    command = (
        sys.executable,
        ROOT / "examples/slots/make_calls.py",
        "--calls",
        str(2 * count),
        "--slips",
        "0",
    )
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [json.loads(line) for line in made]
    # What is asked twice would stand on both sides of a split.
    return list({row["input"]: row for row in rows}.values())[:count]


def _kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if not path.is_file():
        path.write_text(json.dumps(make()), encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _fit(folder: Path | None, rows: Rows, key: str, steps: int, seed: int, test: Rows) -> dict[str, Any]:
    """Train a writer on `key` of `rows`; exact answers on `test`, and what it took."""
    import shutil
    import tempfile

    from understudy.runtime.component import load_component
    from understudy.students.targets import Targets
    from understudy.students.writer import WriterStudent
    from understudy.task.field import Field
    from understudy.task.problem import Problem

    problem = Problem(Field("answer", "text"), "write")
    start = time.process_time()
    student = WriterStudent(steps=steps, seed=seed, checkpoint=folder and folder.with_suffix(".checkpoint"))
    student.fit([row["input"] for row in rows], [Targets(problem, [row[key] for row in rows])])
    seconds = time.process_time() - start
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "component"
        made.mkdir()
        student.export(made)
        said = load_component(made).predict([(row["input"],) for row in test])[0].values
        if folder is not None:
            shutil.copytree(made, folder, dirs_exist_ok=True)
    right = [one == row["gold"] for one, row in zip(said, test, strict=True)]
    return {"rows": len(rows), "steps": steps, "exact": float(np.mean(right)), "cpu_seconds": round(seconds)}


def _log(out: Path, rows: Rows) -> None:
    from understudy.runtime.component import load_component

    path = out / "calls.jsonl"
    if path.is_file():
        return
    said = load_component(out / "teacher").predict([(row["input"],) for row in rows])[0].values
    lines = [
        json.dumps({**row, "output": answer, "model": "gallery-teacher"}, ensure_ascii=False)
        for row, answer in zip(rows, said, strict=True)
    ]
    half = path.with_suffix(".part")
    half.write_text("\n".join(lines) + "\n", encoding="utf-8")
    half.rename(path)


def _compare(found: dict[str, list[dict[str, Any]]]) -> None:
    few, many = ([one["exact"] for one in found[arm]] for arm in found)
    for arm, runs in found.items():
        print(f"{arm}: exact {_interval([one['exact'] for one in runs])}; {json.dumps(runs)}")
    print(f"the teacher's answers add {_interval([b - a for a, b in zip(few, many, strict=True)])}")


def _interval(values: list[float]) -> str:
    from teaching.intervals import mean_interval

    found = mean_interval(values)
    if "low" not in found:
        return f"{found['mean']:.3f} (one seed)"
    return f"{found['mean']:.3f} ({found['low']:.3f} to {found['high']:.3f}, {found['n']} seeds)"


def _learn(out: Path) -> None:
    """The ladder on the teacher's log; a useful no (exit code 4) is a result too."""
    rungs = "lookup,writer,writer_pruned,writer_int4,writer_gguf"
    command = (
        *UNDERSTUDY, "learn", "calls.jsonl", "--task", str(ROOT / "examples/slots/task.toml"), "--rungs", rungs,
        "--target", "0.8", "--max-minutes", "60", "--teacher-price", "0.0005", "--out", "artefact",
    )  # fmt: skip
    if _artefact(out) is None:
        subprocess.run(command, cwd=out, check=False)


def _artefact(out: Path) -> Path | None:
    names = ("artefact", "artefact-not-certified")
    return next((out / name for name in names if (out / name).is_dir()), None)


def _serve(out: Path, rows: Rows) -> None:
    import openai

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    artefact = _artefact(out)
    assert artefact is not None, "learn has written one"
    # An unsure call gets the student's best guess here, as no other model is at hand.
    command = (*UNDERSTUDY, "serve", artefact.name, "--port", str(port), "--when-alone", "answer")
    server = subprocess.Popen(command, cwd=out, stderr=subprocess.DEVNULL)
    try:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused", max_retries=40)
        right, pieces, start = 0, 0, time.perf_counter()
        for row in rows:
            stream = client.chat.completions.create(
                model="understudy/slots", messages=[{"role": "user", "content": row["input"]}], stream=True
            )
            text = [part.choices[0].delta.content or "" for part in stream if part.choices]
            pieces += sum(map(bool, text))
            right += "".join(text) == row["gold"]
        seconds = time.perf_counter() - start
        print(
            f"served {len(rows)} streams in {pieces} pieces, {right} right, {seconds / len(rows) * 1e3:.0f} ms each"
        )
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
