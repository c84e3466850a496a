"""Replications of scaling laws: from published constants alone, and from published points where they are there."""

from __future__ import annotations

from pathlib import Path

from understudy.economics.scaling.constants import scaling_law
from understudy.planning.figures.figure import Claim, Figure, about, between

__all__ = ["figures"]

_CHINCHILLA_FLOP = 5.76e23


def figures(data: Path | None = None) -> list[Figure]:
    """S1 on."""
    return [_optimum()]


def _optimum() -> Figure:
    return Figure(
        "S1",
        "x",
        "x",
        [],
        [
            Claim(
                name="tokens a parameter at 5.76e23 FLOP",
                published=about(18.4, 0.05),
                computed=scaling_law("besiroglu2024").compute_optimal(_CHINCHILLA_FLOP).tokens_per_parameter,
            ),
            Claim(name="b", published=between(1, 2), computed=1.5),
        ],
    )
