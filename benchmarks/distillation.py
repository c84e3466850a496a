"""Does distillation pay? Students with and without what a teacher knows, at equal steps, over several seeds.

    python benchmarks/distillation.py docstrings --out results/docstrings
    python benchmarks/distillation.py sums --out results/sums
    python benchmarks/distillation.py esnli --calls ../shared/data/calls/esnli_palm540b.jsonl --out results/esnli
    python benchmarks/distillation.py show --out results/docstrings

One JSON line per finished student in ``OUT/results.jsonl``; a run that was cut goes on where it was. ``show`` prints the
tables: means over seeds with Student's t interval, and each arm less its reference with a paired bootstrap over seeds and
test items.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["docstrings", "sums", "esnli", "show"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--calls", type=Path, help="the e-SNLI log")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="*", help="these only")
    parser.add_argument("--quick", action="store_true", help="sizes that prove nothing, in a minute")
    return parser.parse_args()


def _go_on(out: Path, arms: Sequence[str], seeds: int, run: Callable[[str, int], dict[str, Any]]) -> None:
    path = out / "results.jsonl"
    done = {(one["arm"], one["seed"]) for one in _results(out)}
    for arm in arms:
        for seed in range(seeds):
            if (arm, seed) in done:
                continue
            found = run(arm, seed)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            print(json.dumps(_brief(found)), flush=True)


def _brief(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if not key.startswith("items")}


def _results(out: Path) -> list[dict[str, Any]]:
    path = out / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def _run_gallery(given: argparse.Namespace) -> None:
    from teaching.gallery import ARMS, Gallery
    from teaching.tasks import task_of

    gallery = Gallery(task_of(given.what, given.out, is_quick=given.quick), given.out)
    print(json.dumps(_brief(gallery.prepare())), flush=True)
    _go_on(given.out, given.arms or list(ARMS), given.seeds, gallery.run)


def _run_esnli(given: argparse.Namespace) -> None:
    from teaching.entailment import ARMS, Entailment

    task = Entailment(given.calls, given.out, is_quick=given.quick)
    _go_on(given.out, given.arms or list(ARMS), given.seeds, task.run)


def _show(out: Path) -> None:
    from teaching.show import tables

    print(tables(_results(out)))


def main() -> None:
    """Run."""
    import torch

    torch.set_num_threads(1)
    given = _arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.what in ("docstrings", "sums"):
        _run_gallery(given)
    elif given.what == "esnli":
        _run_esnli(given)
    _show(given.out)


if __name__ == "__main__":
    main()
