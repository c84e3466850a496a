"""``understudy density trend``: how fast the best density doubles, from a table of models."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from understudy.density.ruler import Ruler
    from understudy.density.trend import DatedDensity, DensityTrend
    from understudy.drawing.xy import Chart
    from understudy.economics.trends import TrendFit

__all__ = ["trend_command"]

_EXAMPLE = """
Example:

\b
  understudy density fit-ruler examples/density/family.csv --loss bpb --score accuracy --chance 0.25 --out ruler.json
  understudy density trend examples/density/models.csv --ruler ruler.json --score accuracy --date released
"""
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("trend", epilog=_EXAMPLE)
@click.argument("table", metavar="CSV")
@click.option(
    "--ruler",
    "ruler_paths",
    multiple=True,
    metavar="RULER",
    help="Measures the scores of the table; several show how much the choice of ruler matters.",
)
@click.option(
    "--score", "score_column", metavar="COLUMN", help="Share right, asked as the ruler's family was."
)
@click.option("--rho", "rho_column", metavar="COLUMN", help="Densities measured before, instead of a ruler.")
@click.option("--params", "n_column", default="N", show_default=True, metavar="COLUMN", help="Parameters.")
@click.option("--params-unit", type=float, default=1.0, help="1e9 where sizes are in billions.")
@click.option("--model", "name_column", default="model", show_default=True, metavar="COLUMN", help="Names.")
@click.option(
    "--date", "date_column", metavar="COLUMN", help="Release (YYYY-MM-DD); else by name, where known."
)
@click.option("--family-column", metavar="COLUMN", help="For --family and --without.")
@click.option("--family", "families", multiple=True, help="Only this family; may be repeated.")
@click.option("--without", multiple=True, help="Not this family; may be repeated.")
@click.option("--max-params", type=float, help="Only models up to this size.")
@click.option("--min-params", type=float, help="Only models from this size.")
@click.option("--near-ends", is_flag=True, help="Keep models too near guessing or a perfect score.")
@click.option("--reference-tokens", type=float, default=1e12, show_default=True, help="Of the reference.")
@click.option(
    "--break", "break_day", type=_DAY, default="2022-11-30", show_default=True, help="Where to part."
)
@click.option("--confidence", type=float, default=0.9, show_default=True, help="Of the intervals.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--plot", metavar="FILE.svg", help="Draw density against time, by the last ruler.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def trend_command(
    table: str,
    ruler_paths: tuple[str, ...],
    score_column: str | None,
    rho_column: str | None,
    n_column: str,
    params_unit: float,
    name_column: str,
    date_column: str | None,
    family_column: str | None,
    families: tuple[str, ...],
    without: tuple[str, ...],
    max_params: float | None,
    min_params: float | None,
    near_ends: bool,
    reference_tokens: float,
    break_day: datetime,
    confidence: float,
    seed: int,
    plot: str | None,
    is_json: bool,
) -> None:
    """Fit ln(best density) = A t + B through the models that set a record when they came out.

    Densities are against a reference of a fixed token count, so tokens of the models need not be known.
    """
    from understudy.cli.density_view import write_chart
    from understudy.density.ruler import load_ruler
    from understudy.density.table import read_densities
    from understudy.density.trend import fit_trend
    from understudy.errors import ConfigError

    if bool(ruler_paths) == (rho_column is not None) or bool(ruler_paths) != (score_column is not None):
        raise ConfigError("a trend needs --ruler with --score, or --rho", todo="give one of the two")
    if (families or without) and family_column is None:
        raise ConfigError("--family and --without need --family-column", todo="name the column of families")
    rulers = [load_ruler(path) for path in ruler_paths]
    trends, models = [], []
    each: list[Ruler | None] = [*rulers] if rulers else [None]
    for ruler in each:
        models = read_densities(
            table,
            ruler=ruler,
            score_column=score_column,
            rho_column=rho_column,
            n_column=n_column,
            n_scale=params_unit,
            name_column=name_column,
            date_column=date_column,
            family_column=family_column,
            reference_tokens=reference_tokens,
            keeps_near_ends=near_ends,
        )
        found = fit_trend(
            models,
            max_parameters=max_params,
            min_parameters=min_params,
            families=families,
            without_families=without,
            break_day=break_day.date(),
            confidence=confidence,
            seed=seed,
        )
        trends.append(found)
    if plot:
        write_chart(_chart(trends[-1], models), plot)
    if len(trends) > 1:
        _show_band(trends, rulers, is_json=is_json)
    elif is_json:
        click.echo(json.dumps(trends[0].to_dict(), indent=1))
    else:
        _show(trends[0], rulers[0] if rulers else None)


def _show_band(trends: list[DensityTrend], rulers: list[Ruler], *, is_json: bool) -> None:
    """One line per ruler, and the band that they span."""
    from understudy.cli.density_view import console, print_table

    known = [one.doubling_months for one in trends if one.doubling_months is not None]
    band = (min(known), max(known)) if known else None
    if is_json:
        named = [{"ruler": ruler.name, **one.to_dict()} for ruler, one in zip(rulers, trends, strict=True)]
        click.echo(json.dumps({"trends": named, "band_months": band}, indent=1))
        return
    rows = [_row(ruler.name, one.fit) for ruler, one in zip(rulers, trends, strict=True)]
    print_table(rows, heads=["ruler", *_heads(trends[0])])
    out = console()
    if band is not None:
        out.print(f"band     {band[0]:.2f} to {band[1]:.2f} months over {len(known)} rulers", markup=False)
    out.print(f"models   {trends[0].fit.chosen} by the first ruler", markup=False)


def _heads(found: DensityTrend) -> list[str]:
    return ["doubles in", f"({100 * found.fit.confidence:g} %)", "A per day", "R2", "n"]


def _show(found: DensityTrend, ruler: Ruler | None) -> None:
    from understudy.cli.density_view import console, print_table

    rows = [_row("all", found.fit)]
    if found.break_day is not None:
        for name, part in (("before", found.before), ("from", found.after)):
            label = f"{name} {found.break_day.isoformat()}"
            rows.append(_row(label, part) if part is not None else [label, "unknown", "", "", "", ""])
    out = console()
    print_table(rows, heads=["records", *_heads(found)])
    out.print(f"models   {found.fit.chosen}; {found.fit.n_used} set a record", markup=False)
    if ruler is not None:
        out.print(f"ruler    {ruler.name}, {ruler.score_name}; loss law {ruler.law_choice}", markup=False)
    out.print(f"records  {', '.join(found.records)}", markup=False)
    reasons: dict[str, int] = {}
    for _, why in found.left_out:
        reasons[why] = reasons.get(why, 0) + 1
    for why, count in sorted(reasons.items(), key=lambda pair: -pair[1])[:6]:
        out.print(f"left out {count} x {why}", markup=False)


def _row(name: str, fit: TrendFit) -> list[str]:
    from understudy.cli.density_view import between

    months, low, high = fit.doubling_months
    if months is None:
        return [name, "does not move", "", "0", "", str(fit.n_used)]
    r_squared = "unknown" if fit.r_squared is None else f"{fit.r_squared:.2f}"
    return [
        name,
        f"{months:.2f} months",
        between(low, high, "{:.2f}".format),
        f"{fit.rate_per_day:.4f}",
        r_squared,
        str(fit.n_used),
    ]


def _chart(found: DensityTrend, models: list[DatedDensity]) -> Chart:
    from understudy.cli.density_view import month_tick, year_of
    from understudy.drawing.xy import Axis, Chart, Series

    left_out = {name for name, _ in found.left_out}
    known = [(year_of(one.day), one.rho, one.name) for one in models if one.rho and one.name not in left_out]
    days = [date.fromisoformat(day) for day, _ in found.fit.used]
    line = [days[0], days[-1]]
    records = set(found.records)
    series = [
        Series(
            "models",
            [x for x, _, _ in known],
            [y for _, y, _ in known],
            kind="points",
            labels=[name.rpartition("/")[2] if name in records else "" for _, _, name in known],
        ),
        Series(
            "best", [year_of(one) for one in line], [found.fit.value_on(one) for one in line], colour="accent"
        ),
    ]
    title = "Capability density of models by release"
    year = Axis("release", tick=month_tick)
    return Chart(title, year, Axis("density", is_log=True), series)
