"""``understudy plan report``: one page for one scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = ["report_command"]


@click.command("report")
@click.argument("scenario")
@click.option(
    "--out", metavar="FILE", default="plan.html", show_default=True, help="Where to write the page."
)
@click.option("--json", "as_json", is_flag=True, help="Print all plans as JSON, and write no page.")
def report_command(scenario: str, out: str, *, as_json: bool) -> None:
    """Plan every section of a SCENARIO (a TOML file) and write one page that needs no network.

    \b
    Example:
      understudy plan report examples/plan/scenario.toml --out plan.html
    """
    from understudy.cli.plan_view import print_json
    from understudy.errors import ConfigError
    from understudy.planning.page import render_page
    from understudy.planning.scenario import read_scenario
    from understudy.planning.scenario_plans import ScenarioPlans, run_scenario

    plans: ScenarioPlans = run_scenario(read_scenario(scenario))
    if as_json:
        print_json(plans.to_dict())
        return
    path = Path(out)
    try:
        path.write_text(render_page(plans), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            "a page cannot be written", given=f"{out}: {error.__class__.__name__}", todo="check its folder"
        ) from error
    for words in _sentences(plans):
        click.echo(words)
    click.echo(f"page  {path}")


def _sentences(plans: Any) -> list[str]:
    return [plan.sentence for plan in (plans.breakeven, plans.fleet, plans.train) if plan is not None]
