"""``understudy density measure``: effective parameters and density of one model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from understudy.density.measure import EffectiveSize, Measurement
    from understudy.density.ruler import Ruler
    from understudy.drawing.xy import Chart

__all__ = ["measure_command"]

_EXAMPLE = """
Example:

\b
  understudy density fit-ruler examples/density/family.csv --loss bpb --score accuracy --chance 0.25 --out ruler.json
  understudy density measure ruler.json --score 0.41 --params 1.2e9 --tokens 2e12
"""


@click.command("measure", epilog=_EXAMPLE)
@click.argument("ruler_path", metavar="RULER")
@click.option("--score", type=float, help="Share right, asked as the ruler's family was.")
@click.option("--loss", type=float, help="Loss, measured as the ruler's was.")
@click.option("--params", "n_parameters", type=float, required=True, help="All parameters.")
@click.option("--active-params", "n_active", type=float, help="Active parameters of a mixture of experts.")
@click.option("--tokens", "n_tokens", type=float, help="Tokens trained on, for density at equal data.")
@click.option("--items", "n_items", type=int, help="Questions of the benchmark: adds their noise.")
@click.option(
    "--reference-tokens", type=float, default=1e12, show_default=True, help="Of the fixed reference."
)
@click.option("--confidence", type=float, default=0.9, show_default=True, help="Of the intervals.")
@click.option("--name", default="model", help="Of the model.")
@click.option("--plot", metavar="FILE.svg", help="Draw score against size of the reference.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def measure_command(
    ruler_path: str,
    score: float | None,
    loss: float | None,
    n_parameters: float,
    n_active: float | None,
    n_tokens: float | None,
    n_items: int | None,
    reference_tokens: float,
    confidence: float,
    name: str,
    plot: str | None,
    is_json: bool,
) -> None:
    """Measure how large a reference model of the same ability would be.

    At the model's own token count, density compares recipes at equal data. At a fixed count it also credits training
    on more tokens than the reference had.
    """
    from understudy.cli.density_view import write_chart
    from understudy.density.measure import measure
    from understudy.density.ruler import load_ruler

    ruler = load_ruler(ruler_path)
    found = measure(
        ruler,
        n_parameters=n_parameters,
        score=score,
        loss=loss,
        n_tokens=n_tokens,
        n_active_parameters=n_active,
        n_items=n_items,
        reference_tokens=reference_tokens,
        confidence=confidence,
        name=name,
    )
    if plot:
        write_chart(_chart(ruler, found), plot)
    if is_json:
        click.echo(json.dumps(found.to_dict(), indent=1))
        return
    _show(found)


def _show(found: Measurement) -> None:
    from understudy.cli.density_view import console, print_table, size_text

    known = [one for one in (found.own, found.reference) if one is not None]
    rows = [_row(one, "own" if one is found.own else "fixed") for one in known]
    interval = f"({100 * found.confidence:g} %)"
    heads = ["tokens", "", "effective", interval, "density", interval]
    if found.n_active_parameters is not None:
        heads += ["per active", interval]
        rows = [[*row, *_active(one)] for row, one in zip(rows, known, strict=True)]
    out = console()
    seen = f"score {found.score:g}" if found.score is not None else f"loss {found.loss:g}"
    out.print(f"{found.name}: {size_text(found.n_parameters)} parameters, {seen}", markup=False)
    print_table(rows, heads=heads)
    for one in known:
        which = f"at {size_text(one.n_tokens)} tokens"
        if one.reason:
            out.print(f"  {which}: unknown: {one.reason}", markup=False)
        elif one.flags:
            out.print(f"  {which}: {', '.join(one.flags)}", markup=False)
    if found.own is None:
        out.print("  its own token count is unknown (--tokens)", markup=False)


def _row(one: EffectiveSize, which: str) -> list[str]:
    from understudy.cli.density_view import between, size_text

    ends = between(one.n_effective_lower, one.n_effective_upper, size_text)
    rho = "unknown" if one.rho is None else f"{one.rho:.3g}"
    return [
        size_text(one.n_tokens),
        which,
        size_text(one.n_effective),
        ends,
        rho,
        between(one.rho_lower, one.rho_upper),
    ]


def _active(one: EffectiveSize) -> list[str]:
    from understudy.cli.density_view import between

    rho = "unknown" if one.rho_active is None else f"{one.rho_active:.3g}"
    return [rho, between(one.rho_active_lower, one.rho_active_upper)]


def _chart(ruler: Ruler, found: Measurement) -> Chart:
    import numpy as np

    from understudy.cli.density_view import size_text
    from understudy.drawing.xy import Axis, Chart, Series

    is_score = found.score is not None
    level = found.score if is_score else found.loss
    assert level is not None, "a score or a loss"
    known = [one for one in (found.own, found.reference) if one is not None]
    if len({one.n_tokens for one in known}) == 1:
        known = known[:1]
    ends = [found.n_parameters, *ruler.size_range, *(one.n_effective for one in known if one.n_effective)]
    sizes = np.geomspace(min(ends) / 2, max(ends) * 2, 80).tolist()
    predict = ruler.predict_score if is_score else ruler.predict_loss
    series = [
        Series(f"{size_text(one.n_tokens)} tokens", sizes, [predict(size, one.n_tokens) for size in sizes])
        for one in known
    ]
    series.append(Series(found.name, [found.n_parameters], [level], kind="points", colour="accent"))
    return Chart(
        f"{found.name} beside reference models",
        Axis("parameters", is_log=True),
        Axis((ruler.score_name if is_score else ruler.loss_name) or "score"),
        series,
    )
