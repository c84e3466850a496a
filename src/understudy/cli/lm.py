"""``understudy lm``: generative students. One file per command, named ``lm_...``."""

from __future__ import annotations

import click

from understudy.cli.lazy import LazyGroup

__all__ = ["lm_group"]

_COMMANDS = {
    "train": ("understudy.cli.lm_train:train_command", "Train a small decoder, dense or with experts."),
    "distil": (
        "understudy.cli.lm_distil:distil_command",
        "Teach a small decoder what a larger one would say.",
    ),
    "upcycle": (
        "understudy.cli.lm_upcycle:upcycle_command",
        "Make a mixture of experts of a trained dense model.",
    ),
    "compare": (
        "understudy.cli.lm_compare:compare_command",
        "A mixture of experts beside dense models of equal size.",
    ),
    "family": (
        "understudy.cli.lm_family:family_command",
        "Models that differ in size and data only; foretells a larger one.",
    ),
    "compress": (
        "understudy.cli.lm_compress:compress_command",
        "Prune, distil and quantise a decoder, and measure each step.",
    ),
}


@click.group("lm", cls=LazyGroup, commands_at=_COMMANDS)
def lm_group() -> None:
    """Train small generative models on text.

    \b
    Example:
      understudy lm train --preset tiny --steps 50 --out lm-tiny
    """
