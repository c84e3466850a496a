"""``understudy plan``: the instruments. One file per command, named ``plan_...``."""

from __future__ import annotations

import click

from understudy.cli.lazy import LazyGroup

__all__ = ["plan_group"]

_COMMANDS = {
    "train": ("understudy.cli.plan_train:train_command", "How large, on how much data, at what cost."),
    "serve": ("understudy.cli.plan_serve:serve_command", "Speed and cost of serving a model on a device."),
    "fleet": ("understudy.cli.plan_fleet:fleet_command", "How many devices a load needs."),
    "breakeven": (
        "understudy.cli.plan_breakeven:breakeven_command",
        "API, own model or edge: where they cross.",
    ),
    "device": (
        "understudy.cli.plan_device:device_command",
        "What fits a phone, a laptop, a browser or a board.",
    ),
    "forecast": ("understudy.cli.plan_forecast:forecast_command", "When an ability will fit a device."),
    "figures": ("understudy.cli.plan_figures:figures_command", "Published figures, computed again."),
    "report": ("understudy.cli.plan_report:report_command", "One page for one scenario."),
}


@click.group("plan", cls=LazyGroup, commands_at=_COMMANDS)
def plan_group() -> None:
    """Plan a small model: train, serve, compare, forecast.

    \b
    Example:
      understudy plan train --flop 1e21 --device h100-sxm
    """
