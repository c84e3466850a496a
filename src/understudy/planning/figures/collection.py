"""All figures in order, how many came out how, and the chart of computed over published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from understudy.drawing.xy import Axis, Chart, Mark, Series
from understudy.errors import ConfigError
from understudy.planning.figures import (
    capability,
    leading_runs,
    replications,
    replications_density,
    serving_money,
    sizes,
    small_models,
    training_money,
)
from understudy.planning.figures.figure import ASSUMED, INCONSISTENT, REPRODUCED, Figure, Verdict

__all__ = ["all_figures", "figures_chart", "figures_json", "tally"]


def all_figures(data: Path | None = None) -> list[Figure]:
    """Entries 1 to 22 and the replications of scaling laws, in order.

    Parameters
    ----------
    data
        Folder of published points (CSV files) for the claims that need them; without it those are not
        checked.

    Raises
    ------
    ConfigError
        If `data` is no folder.
    """
    if data is not None and not data.is_dir():
        raise ConfigError("there is no such folder of data", given=str(data))
    groups = [sizes, training_money, serving_money, small_models]
    found = [figure for group in groups for figure in group.figures()]
    found += [
        *leading_runs.figures(data),
        *capability.figures(data),
        *replications.figures(data),
        *replications_density.figures(data),
    ]
    return sorted(found, key=_order)


def _order(figure: Figure) -> tuple[bool, int]:
    return figure.number.startswith("S"), int(figure.number.removeprefix("S"))


def tally(figures: Sequence[Figure]) -> dict[str, int]:
    """Entries by verdict."""
    return dict(Counter(figure.verdict for figure in figures))


def figures_json(figures: Sequence[Figure]) -> dict[str, Any]:
    """JSON form."""
    return {"tally": tally(figures), "figures": [figure.to_dict() for figure in figures]}


def figures_chart(figures: Sequence[Figure]) -> Chart:
    """Computed over published, one point per claim, by entry; the plain value where an assumption closed it."""
    series = []
    groups: tuple[tuple[str, Verdict, int | Literal["accent"]], ...] = (
        ("reproduced", REPRODUCED, "accent"),
        ("with an assumption", ASSUMED, 1),
        ("inconsistent", INCONSISTENT, 2),
    )
    for name, verdict, colour in groups:
        points = [
            (at, claim.ratio, f"{figure.number} {claim.name}")
            for at, figure in enumerate(figures, start=1)
            for claim in figure.claims
            if claim.verdict == verdict and claim.ratio is not None
        ]
        if points:
            x, y, labels = zip(*points, strict=True)
            # Only what misses is named: the names of what fits would cover each other at 1.
            shown = list(labels) if verdict == INCONSISTENT else None
            series.append(Series(name, x, y, kind="points", labels=shown, colour=colour))
    names = [figure.number for figure in figures]
    return Chart(
        "Published figures: computed over published",
        Axis("entry", tick=lambda x: names[int(x) - 1] if x == int(x) and 1 <= x <= len(names) else ""),
        Axis("computed over published", is_log=True, tick=lambda y: f"{y:g}"),
        series,
        [Mark("as published", y=1.0)],
    )
