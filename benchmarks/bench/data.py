"""Recorded calls for the benchmarks: where they lie, and the splits that every row and every peer shares.

Standard library only: it also runs inside the peers' environments. It knows no model.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "banking", "default_folder", "fingerprint", "hold_out", "per_class", "read_rows"]

ROOT = Path(__file__).resolve().parents[2]
QUICK_TRAIN, QUICK_TEST = 2_000, 400


def default_folder() -> Path:
    """``shared/data/calls`` beside the repository."""
    return ROOT.parent / "shared" / "data" / "calls"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a JSONL file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def fingerprint(path: Path) -> str:
    """First 12 hex digits of the file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def banking(folder: Path, *, quick: bool) -> tuple[list[str], list[str], list[str], list[str]]:
    """Train texts, train labels, test texts and test labels of banking77_gold, in the file's order.

    `quick` takes a seeded sample of both, for smoke tests.
    """
    rows = read_rows(folder / "banking77_gold.jsonl")
    train = [row for row in rows if row["split"] == "train"]
    test = [row for row in rows if row["split"] == "test"]
    if quick:
        dice = random.Random(0)
        train, test = dice.sample(train, QUICK_TRAIN), dice.sample(test, QUICK_TEST)
    return (
        [row["input"] for row in train],
        [row["gold"] for row in train],
        [row["input"] for row in test],
        [row["gold"] for row in test],
    )


def hold_out(
    rows: Sequence[dict[str, Any]], share: float = 0.2, seed: int = 0
) -> tuple[list[Any], list[Any]]:
    """A seeded split into (1 - `share`, `share`) of the rows, for sources without one."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    cut = round(len(rows) * share)
    return [rows[at] for at in sorted(order[cut:])], [rows[at] for at in sorted(order[:cut])]


def per_class(
    texts: Sequence[str], labels: Sequence[str], shots: int, seed: int = 0
) -> tuple[list[str], list[str]]:
    """At most `shots` seeded examples of each class."""
    by_label: dict[str, list[str]] = defaultdict(list)
    for text, label in zip(texts, labels, strict=True):
        by_label[label].append(text)
    dice = random.Random(seed)
    pairs = [
        (text, label)
        for label in sorted(by_label)
        for text in dice.sample(by_label[label], min(shots, len(by_label[label])))
    ]
    return [text for text, _ in pairs], [label for _, label in pairs]
