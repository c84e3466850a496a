"""``understudy plan figures``: published figures about the cost of language models, computed again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from understudy.planning.figures.figure import Claim, Figure

__all__ = ["figures_command"]


@click.command("figures")
@click.argument("numbers", nargs=-1)
@click.option("--data", metavar="DIR", help="Folder of published points, for the claims that need them.")
@click.option("--verbose", "-v", is_flag=True, help="Show statements, inputs and assumptions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", metavar="FILE", help="Draw computed over published as SVG.")
def figures_command(
    numbers: tuple[str, ...], data: str | None, *, verbose: bool, as_json: bool, plot: str | None
) -> None:
    """Compute published figures again, and say which follow.

    NUMBERS picks entries (1 to 22, S1 on); all by default. A verdict is computed from the published and the
    computed value with the tolerance that the entry states.

    \b
    Example:
      understudy plan figures
      understudy plan figures 3 9 -v
    """
    from understudy.cli.plan_table import save_chart
    from understudy.cli.plan_view import print_json
    from understudy.errors import ConfigError
    from understudy.planning.figures.collection import all_figures, figures_chart, figures_json

    figures = all_figures(None if data is None else Path(data))
    known = [figure.number for figure in figures]
    unknown = [number for number in numbers if number.upper() not in known]
    if unknown:
        raise ConfigError("there is no such entry", given=unknown[0], todo=f"known: {', '.join(known)}")
    if numbers:
        wanted = {number.upper() for number in numbers}
        figures = [figure for figure in figures if figure.number in wanted]
    if plot:
        save_chart(figures_chart(figures), plot)
    if as_json:
        print_json(figures_json(figures))
        return
    _show(figures, is_long=verbose)


def _show(figures: Sequence[Figure], *, is_long: bool) -> None:
    from understudy.cli.plan_view import print_table, print_words
    from understudy.planning.figures.collection import tally

    rows = [
        _row(figure, claim, is_first=at == 0) for figure in figures for at, claim in enumerate(figure.claims)
    ]
    print_table(["", "claim", "published", "computed", "assuming", "verdict"], rows, right=[2, 3, 4])
    for figure in figures:
        if is_long:
            _show_details(figure)
        elif figure.words != figure.verdict:
            print_words(f"{figure.number}  {figure.words}")
    found = tally(figures)
    print_words(f"{len(figures)} entries: " + "; ".join(f"{count} {name}" for name, count in found.items()))


def _row(figure: Figure, claim: Claim, *, is_first: bool) -> list[str]:
    from understudy.cli.plan_view import brief

    published = "-" if claim.published is None else claim.published.words
    words = {
        "reproduced": "reproduced",
        "reproduced with a stated assumption": "with assumption",
        "inconsistent": "inconsistent",
        "computed: nothing published to compare": "computed",
        "not checked": "not checked",
    }
    name = f"{claim.name}, {claim.unit}" if claim.unit else claim.name

    def shown(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value:.1f}" if claim.unit == "year" else brief(value)

    plain, assumed = shown(claim.computed), shown(claim.assumed)
    return [figure.number if is_first else "", name, published, plain, assumed, words[claim.verdict]]


def _show_details(figure: Figure) -> None:
    from understudy.cli.plan_view import print_words

    print_words(f"\n{figure.number}  {figure.name}", style="bold")
    print_words(figure.statement)
    for words in figure.inputs:
        print_words(f"  takes    {words}", style="dim")
    for claim in figure.claims:
        if claim.assumption is not None:
            print_words(f"  assumes  {claim.name}: {claim.assumption}", style="dim")
        if claim.missing is not None:
            print_words(f"  lacks    {claim.name}: {claim.missing}", style="dim")
    print_words(f"  {figure.words}")
