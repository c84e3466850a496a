"""Figure 20: pruned and distilled models against those that they came from, by every admitted ruler.

The pairs are base models whose makers published MMLU (5 examples) of both, measured the same way. It does not know
how much was distilled and how much pruned, and five pairs are few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from understudy.density.compress import ModelVersion, compress_check
from understudy.density.ruler import Ruler
from understudy.errors import DataError
from understudy.planning.figures.figure import Claim, Figure, at_least
from understudy.planning.figures.replications_density import OPEN_MODELS, admitted_rulers

__all__ = ["figures"]

_TOKENS = 1e12
_LLAMA = "Llama 3.2 model card, base models"
_MINITRON = "Muralidharan et al., arXiv 2407.14679"
_MINITRON_LLAMA = "Sreenivas et al., arXiv 2408.11796"


@dataclass(frozen=True, slots=True)
class _Pair:
    """A model before and after: name, parameters, MMLU."""

    before: tuple[str, float, float]
    after: tuple[str, float, float]
    source: str


_PAIRS = (
    _Pair(("Llama-3.1-8B", 8.03e9, 0.667), ("Llama-3.2-3B", 3.21e9, 0.580), _LLAMA),
    _Pair(("Llama-3.1-8B", 8.03e9, 0.667), ("Llama-3.2-1B", 1.24e9, 0.322), _LLAMA),
    _Pair(("Llama-3.1-8B", 8.03e9, 0.653), ("Llama-3.1-Minitron-4B", 4.51e9, 0.605), _MINITRON_LLAMA),
    _Pair(("Nemotron-4-15B", 15.6e9, 0.642), ("Minitron-8B", 8.27e9, 0.638), _MINITRON),
    _Pair(("Nemotron-4-15B", 15.6e9, 0.642), ("Minitron-4B", 4.19e9, 0.586), _MINITRON),
)


def figures(data: Path | None = None) -> list[Figure]:
    """Entry 20; the rulers need `data`, the folder of published points."""
    statement = (
        "Pruning and distilling an existing model usually lowers density against training small from scratch."
    )
    path = None if data is None else data / OPEN_MODELS
    if path is None or not path.is_file():
        missing = [Claim(name="density after over before", missing=f"needs --data with {OPEN_MODELS}")]
        return [Figure("20", "pruning and distilling", statement, [], missing)]
    rulers = admitted_rulers(path)
    found = [_ratio(pair, rulers) for pair in _PAIRS]
    known = [ratio for ratio in found if ratio is not None]
    claims = [
        Claim(
            name=f"{pair.after[0]} over {pair.before[0]}, density",
            computed=ratio,
            missing="no ruler gives both sizes" if ratio is None else None,
        )
        for pair, ratio in zip(_PAIRS, found, strict=True)
    ]
    share = sum(ratio < 1 for ratio in known) / len(known) if known else None
    lower = Claim(
        name="pairs whose density fell, share",
        published=at_least(math.nextafter(0.5, 1.0), "usually: more than half"),
        assumption=None if share is None else "these pairs stand for all",
        assumed=share,
        missing="no pair could be measured" if share is None else None,
    )
    sources = "; ".join(dict.fromkeys(pair.source for pair in _PAIRS))
    words = [
        f"median over {len(rulers)} rulers (entry S6), each a family and a published law; reference on 1T tokens",
        f"MMLU as published: {sources}",
        "five pairs are few: Nemotron-4 itself carried little for its size, and its offspring rose",
    ]
    return [Figure("20", "pruning and distilling", statement, words, [*claims, lower])]


def _ratio(pair: _Pair, rulers: list[Ruler]) -> float | None:
    """Density after over before: the median over rulers that give both; ``None`` where none does."""
    ratios = []
    for ruler in rulers:
        versions = [
            ModelVersion(n_parameters=size, score=score) for _, size, score in (pair.before, pair.after)
        ]
        try:
            ratio = compress_check(ruler, *versions, n_tokens=_TOKENS).per_parameter.value
        except DataError:
            continue
        if ratio is not None:
            ratios.append(ratio)
    return median(ratios) if ratios else None
