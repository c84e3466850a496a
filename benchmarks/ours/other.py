"""banking77_qwen7b and product_extract_gpt4, rung by rung, on seeded hold-outs; throughput of the command
line.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench import data, probe
from bench.stats import count_entities, f1_interval, share_interval
from bench.timed import run_timed

from ours.common import SOURCE, Given, fit_rung, run_row, served_values, write_calls

_SEEDS = (0, 1, 2, 3, 4)


def qwen_linear(given: Given) -> dict[str, Any]:
    """Linear trained on the teacher's labels and on gold; mean over five seeded 80/20 splits, interval of
    the first.
    """
    from understudy.students.linear import LinearStudent

    rows = data.read_rows(given.data / "banking77_qwen7b.jsonl")
    shares: dict[str, list[float]] = {"agreement": [], "gold": [], "gold_trained_gold": []}
    first: dict[str, Any] = {}
    for seed in _SEEDS[:1] if given.is_quick else _SEEDS:
        train, test = data.hold_out(rows, seed=seed)
        taught = [row for row in train if row.get("teacher_label") is not None]
        counts: dict[str, tuple[int, int]] = {}
        for source, part in (("teacher_label", taught), ("gold", train)):
            folder = fit_rung(
                f"qwen-{source}-{seed}", LinearStudent,
                [row["input"] for row in part], [row[source] for row in part], given.work,
            )  # fmt: skip
            values = served_values(folder, [(row["input"],) for row in test])
            right = sum(value == row["gold"] for value, row in zip(values, test, strict=True))
            if source == "gold":
                counts["gold_trained_gold"] = right, len(test)
                continue
            counts["gold"] = right, len(test)
            known = [
                (value, row) for value, row in zip(values, test, strict=True) if row.get("teacher_label")
            ]
            counts["agreement"] = sum(value == row["teacher_label"] for value, row in known), len(known)
        for name, (hits, n) in counts.items():
            shares[name].append(hits / n)
            first.setdefault(f"{name}_interval", share_interval(hits, n))
    return (
        {name: statistics.mean(found) for name, found in shares.items()}
        | first
        | {"n_splits": len(shares["gold"])}
    )


def product(rung: str) -> Callable[[Given], dict[str, Any]]:
    """A row for one rung on product titles: micro F1 over the keys that the teacher answers, or gold
    annotates.
    """

    def row(given: Given) -> dict[str, Any]:
        rows = data.read_rows(given.data / "product_extract_gpt4.jsonl")
        rows = rows[::3] if given.is_quick else rows
        train, test = data.hold_out(rows)
        figures: dict[str, Any] = {"n_train": len(train), "n_test": len(test)}
        for source in ("teacher_label", "gold"):
            start = time.perf_counter()
            found = _extract(rung, source, train, test, given)
            figures[f"{source}_fit_s"] = time.perf_counter() - start
            for reference in ("teacher_label", "gold"):
                counts = [
                    count_entities(one, row[reference], list(row[reference]))
                    for one, row in zip(found, test, strict=True)
                ]
                figures[f"{source}_trained_f1_{reference}"] = f1_interval(counts)
        teacher = [count_entities(row["teacher_label"], row["gold"], list(row["gold"])) for row in test]
        return figures | {"teacher_f1_gold": f1_interval(teacher)}

    return row


def _extract(rung: str, source: str, train: list[Any], test: list[Any], given: Given) -> list[dict[str, Any]]:
    """Train on `source`; per test row, the attributes found (null and absent left out)."""
    from understudy import api
    from understudy.calls.call import ABSENT
    from understudy.runtime.component import load_component
    from understudy.students.linear import LinearStudent
    from understudy.students.targets import Targets
    from understudy.students.tuned import TunedStudent

    log = given.work / f"product-{source}.jsonl"
    lines = [json.dumps({"input": row["input"], "output": row[source], "split": "train"}) for row in train]
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    dataset, _ = api.read_log(log)
    targets = [Targets(problem, dataset.teacher[problem.field.name]) for problem in dataset.problems]
    make = {"linear": LinearStudent, "tuned": TunedStudent}[rung]
    folder = fit_rung(f"product-{rung}-{source}", make, list(dataset.inputs), targets, given.work)
    component = load_component(folder)
    said = component.predict([dataset.task.parts(row["input"]) for row in test])
    out: list[dict[str, Any]] = [{} for _ in test]
    for problem, prediction in zip(component.problems, said, strict=True):
        for at, value in enumerate(prediction.values):
            if value is not None and value is not ABSENT:
                out[at][problem.field.name] = value
    return out


def throughput(given: Given) -> dict[str, Any]:
    """``understudy answer`` on JSON lines, linear rung, one process, against a file of different texts."""
    import understudy

    train_x, train_y, test_x, _ = data.banking(given.data, quick=given.is_quick)
    calls = write_calls(given.work / "throughput.jsonl", train_x, train_y)
    target = 0.7 if given.is_quick else 0.9
    result = understudy.learn(
        calls, out=given.work / "artefacts" / "throughput", rungs=("linear",), target=target, cache=None
    )
    count = 20_000 if given.is_quick else 200_000
    source, out = given.work / "throughput-in.jsonl", given.work / "throughput-out.jsonl"
    with source.open("w", encoding="utf-8") as lines:
        for at in range(count):
            # A number of its own makes every text different: no table of known texts can help.
            lines.write(json.dumps({"input": f"{test_x[at % len(test_x)]} ref {at}"}) + "\n")
    out.unlink(missing_ok=True)
    code = "from understudy.cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "answer",
        str(result.folder),
        str(source),
        "--out",
        str(out),
        "--quiet",
    ]
    timed = run_timed(command, PYTHONPATH=str(SOURCE))
    with out.open(encoding="utf-8") as answered:
        n_out = sum(1 for _ in answered)
    if timed["code"] or n_out != count:
        raise RuntimeError(f"answer ended with code {timed['code']} after {n_out} of {count} lines")
    return {
        "texts_per_second": count / timed["s"],
        "n_texts": count,
        "cpu_s": timed["cpu_s"],
        "answer_peak_mb": timed["peak_mb"],
        "size_bytes": probe.folder_bytes(result.folder),
    }


if __name__ == "__main__":
    run_row(
        {
            "qwen_linear": qwen_linear,
            "product_linear": product("linear"),
            "product_tuned": product("tuned"),
            "throughput": throughput,
        }
    )
