"""The tables of ``benchmarks/distillation.py``, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from teaching.intervals import mean_interval, paired_bootstrap

__all__ = ["tables"]

_MEASURES = {
    "score": "score",
    "loss": "loss, nats/token",
    "agreement": "agreement with PaLM",
    "accuracy": "accuracy against gold",
}

_REFERENCES = {
    "few gold, a third of the steps": "few gold",
    "few gold, three times the steps": "few gold",
    "few gold, smoothed labels": "few gold",
    "few gold, forward KL": "few gold",
    "few gold, skewed KL": "few gold",
    "few gold, Jensen-Shannon": "few gold",
    "few gold, reverse KL": "few gold",
    "few gold, on-policy": "few gold",
    "few teacher": "few gold",
    "many teacher": "few gold",
    "many gold": "few gold",
    "many teacher, top-5 KL": "many teacher",
    "many teacher, forward KL": "many teacher",
    "PaLM's labels and reasons": "PaLM's labels",
    "gold labels": "PaLM's labels",
}
"""What each arm is compared with: the same steps without what it adds."""


def tables(results: Sequence[dict[str, Any]]) -> str:
    """Means over seeds, and differences."""
    arms: dict[str, dict[int, dict[str, Any]]] = {}
    for one in results:
        arms.setdefault(one["arm"], {})[one["seed"]] = one
    names = [name for name in _MEASURES if all(name in one for one in results)]
    head = ["arm", "seeds", *(_MEASURES[name] for name in names), "CPU s"]
    lines = [_line(head), _line(["---"] * len(head))]
    for arm, seeds in arms.items():
        cells = [arm, str(len(seeds))]
        cells += [_words(mean_interval([one[name] for one in seeds.values()])) for name in names]
        cells.append(f"{sum(one['cpu_seconds'] for one in seeds.values()) / len(seeds):.0f}")
        lines.append(_line(cells))
    return "\n".join([*lines, "", *_differences(arms, names)])


def _differences(arms: dict[str, dict[int, dict[str, Any]]], names: Sequence[str]) -> list[str]:
    head = ["arm", "less", "of", "mean", "t over seeds", "bootstrap over seeds and items"]
    lines = [_line(head), _line(["---"] * len(head))]
    for arm, reference in _REFERENCES.items():
        seeds = sorted(set(arms.get(arm, {})) & set(arms.get(reference, {})))
        if not seeds:
            continue
        ours, others = ([arms[name][seed] for seed in seeds] for name in (arm, reference))
        for name in names:
            gaps = [one[name] - other[name] for one, other in zip(ours, others, strict=True)]
            over_seeds = mean_interval(gaps)
            cells = [arm, reference, _MEASURES[name], f"{over_seeds['mean']:+.3f}", _range(over_seeds)]
            items = f"items_{name}"
            drawn = paired_bootstrap([one[items] for one in ours], [one[items] for one in others])
            lines.append(_line([*cells, _range(drawn)]))
    return lines


def _words(found: dict[str, float]) -> str:
    return f"{found['mean']:.3f} {_range(found, sign='')}".rstrip()


def _range(found: dict[str, float], *, sign: str = "+") -> str:
    return f"({found['low']:{sign}.3f} to {found['high']:{sign}.3f})" if "low" in found else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
