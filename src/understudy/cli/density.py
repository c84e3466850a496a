"""``understudy density``: the ruler and what it measures. One file per command, named ``density_...``."""

from __future__ import annotations

import click

from understudy.cli.lazy import LazyGroup

__all__ = ["density_group"]

_COMMANDS = {
    "fit-ruler": (
        "understudy.cli.density_fit_ruler:fit_ruler_command",
        "Fit a ruler from a reference family.",
    ),
    "measure": (
        "understudy.cli.density_measure:measure_command",
        "Effective parameters of a model by a ruler.",
    ),
    "trend": ("understudy.cli.density_trend:trend_command", "How fast the best density doubles."),
    "compress-check": (
        "understudy.cli.density_compress_check:compress_check_command",
        "Density before and after compression.",
    ),
}


@click.group("density", cls=LazyGroup, commands_at=_COMMANDS)
def density_group() -> None:
    """Measure how much ability a parameter carries, against a reference family.

    \b
    Example:
      understudy density fit-ruler examples/density/family.csv --loss bpb --score accuracy --chance 0.25 --out ruler.json
    """
