"""``understudy density fit-ruler``: a ruler from a table of a reference family."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from understudy.density.family import FamilyPoint
    from understudy.density.ruler import Ruler
    from understudy.drawing.xy import Chart

__all__ = ["fit_ruler_command"]

_EXAMPLE = """
Example:

\b
  understudy density fit-ruler examples/density/family.csv --loss bpb --score accuracy --chance 0.25 --out ruler.json
"""


@click.command("fit-ruler", epilog=_EXAMPLE)
@click.argument("table", metavar="CSV")
@click.option("--loss", "loss_column", metavar="COLUMN", help="Loss, or bits per byte of right answers.")
@click.option("--score", "score_column", metavar="COLUMN", help="Share right, from 0 to 1.")
@click.option("--params", "n_column", default="N", show_default=True, metavar="COLUMN", help="Parameters.")
@click.option(
    "--tokens", "d_column", default="D", show_default=True, metavar="COLUMN", help="Tokens trained on."
)
@click.option("--params-unit", type=float, default=1.0, help="1e9 where sizes are in billions.")
@click.option("--tokens-unit", type=float, default=1.0, help="1e12 where tokens are in trillions.")
@click.option(
    "--where", multiple=True, metavar="COLUMN=TEXT", help="Only rows with this cell; may be repeated."
)
@click.option("--chance", type=float, default=0.0, show_default=True, help="Score of guessing.")
@click.option("--lower", default="fit", show_default=True, help="Lower end of the sigmoid: a share, or fit.")
@click.option("--upper", default="1", show_default=True, help="Upper end of the sigmoid: a share, or fit.")
@click.option(
    "--irreducible",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    show_default=True,
    help="Whether the loss law has an irreducible term.",
)
@click.option("--law", "law_name", metavar="NAME", help="A published loss law instead of a loss column.")
@click.option("--delta", type=float, default=1e-3, show_default=True, help="Huber's delta on log loss.")
@click.option("--draws", type=int, default=200, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--name", default="reference family", help="Of the family.")
@click.option("--out", required=True, metavar="FILE", help="Where to write the ruler.")
@click.option("--plot", metavar="FILE.svg", help="Draw score against loss.")
@click.option("--json", "is_json", is_flag=True, help="Print the ruler without its draws as JSON.")
def fit_ruler_command(
    table: str,
    loss_column: str | None,
    score_column: str | None,
    n_column: str,
    d_column: str,
    params_unit: float,
    tokens_unit: float,
    where: tuple[str, ...],
    chance: float,
    lower: str,
    upper: str,
    irreducible: str,
    law_name: str | None,
    delta: float,
    draws: int,
    seed: int,
    name: str,
    out: str,
    plot: str | None,
    is_json: bool,
) -> None:
    """Fit a ruler on a family of models that differ in size and data only.

    One row per model, at the end of its training: checkpoints from the middle of a run do not belong here.
    """
    from understudy.cli.density_view import write_chart
    from understudy.density.family import read_family
    from understudy.density.fit import fit_ruler
    from understudy.density.loss_law import named_law
    from understudy.density.ruler import save_ruler
    from understudy.errors import ConfigError

    if (loss_column is None) == (law_name is None):
        raise ConfigError(
            "a ruler needs a loss column or a published law, and not both",
            todo="--loss COLUMN, or --law hoffmann with --score COLUMN",
        )
    law, source = (None, "given") if law_name is None else named_law(law_name)
    points = read_family(
        table,
        n_column=n_column,
        d_column=d_column,
        loss_column=loss_column,
        score_column=score_column,
        keep=[_condition(one) for one in where],
        n_scale=params_unit,
        d_scale=tokens_unit,
    )
    ruler = fit_ruler(
        points,
        name=name,
        loss_name=loss_column or f"loss by the law of {law_name}",
        score_name=score_column or "score",
        chance=chance,
        lower=_end("--lower", lower),
        upper=_end("--upper", upper),
        irreducible={"auto": None, "yes": True, "no": False}[irreducible],
        law=law,
        law_source=source,
        delta=delta,
        n_draws=draws,
        seed=seed,
    )
    save_ruler(ruler, out)
    if plot:
        write_chart(_chart(ruler, points), plot)
    if is_json:
        found = ruler.to_dict()
        found["n_draws"] = len(found.pop("draws"))
        click.echo(json.dumps(found, indent=1))
        return
    _show(ruler, points, out)


def _condition(text: str) -> tuple[str, str]:
    from understudy.errors import ConfigError

    column, sign, value = text.partition("=")
    if not sign:
        raise ConfigError("--where takes COLUMN=TEXT", given=text, todo="for example --where family=Llama-2")
    return column.strip(), value.strip()


def _end(option: str, text: str) -> float | None:
    from understudy.errors import ConfigError

    if text == "fit":
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{option} takes a share or the word fit", given=text) from None


def _show(ruler: Ruler, points: list[FamilyPoint], out: str) -> None:
    from understudy.cli.density_view import console, print_table, size_text

    low, high = (size_text(one) for one in ruler.size_range)
    first, last = (size_text(one) for one in ruler.token_range)
    law = ruler.law
    rows = [
        (
            "family",
            f"{ruler.name}: {ruler.n_points} models, {low} to {high} parameters, {first} to {last} tokens",
        ),
        ("loss law", f"{law.a:.4g} / N^{law.alpha:.4f} + {law.b:.4g} / D^{law.beta:.4f} + {law.e:.4g}"),
        ("", ruler.law_choice),
    ]
    for one in ruler.evidence:
        held = (
            "unknown" if one.held_out_rms_log_error is None else f"{100 * one.held_out_rms_log_error:.2f} %"
        )
        aicc = "unknown" if one.aicc is None else f"{one.aicc:.1f}"
        words = f"error {100 * one.rms_log_error:.2f} %, on largest held out {held}, AICc {aicc}"
        rows.append(("  with E" if one.has_irreducible else "  without E", words))
    if ruler.sigmoid is not None:
        s = ruler.sigmoid
        rows.append(
            (
                "score",
                f"{s.lower:.4f} + {s.upper - s.lower:.4f} / (1 + exp({s.steepness:.4g} (loss - {s.midpoint:.4g})))",
            )
        )
        rows.append(("", f"the family lies within {ruler.rms_score or 0:.4f} of it (root mean square)"))
        rows += _self_check(ruler, points)
    rows.append(("draws", f"{len(ruler.draws)}, both stages together"))
    print_table(rows)
    console().print(f"\nruler  {out}", markup=False)


def _self_check(ruler: Ruler, points: list[FamilyPoint]) -> list[tuple[str, str]]:
    """What the family's own models measure: how far one model of one recipe strays from 1."""
    from understudy.density.measure import measure

    own = [
        measure(ruler, n_parameters=one.n_parameters, n_tokens=one.n_tokens, score=one.score).own
        for one in points
        if one.score is not None
    ]
    known = sorted(one.rho for one in own if one is not None and one.rho is not None)
    if not known:
        return []
    return [("self-check", f"the family's own models measure {known[0]:.2f} to {known[-1]:.2f} (1 is right)")]


def _chart(ruler: Ruler, points: list[FamilyPoint]) -> Chart:
    import numpy as np

    from understudy.drawing.xy import Axis, Chart, Series

    if ruler.sigmoid is None:
        known = [(one.n_parameters, one.loss) for one in points if one.loss is not None]
        tokens = sorted({one.n_tokens for one in points})[len({one.n_tokens for one in points}) // 2]
        sizes = np.geomspace(ruler.size_range[0] / 2, ruler.size_range[1] * 10, 60).tolist()
        line = Series("law", sizes, [ruler.predict_loss(one, tokens) for one in sizes])
        dots = Series("family", [x for x, _ in known], [y for _, y in known], kind="points")
        title = f"Loss against size of {ruler.name}; the line is for {tokens:.3g} tokens"
        return Chart(title, Axis("parameters", is_log=True), Axis(ruler.loss_name), [line, dots])
    losses = [
        ruler.predict_loss(one.n_parameters, one.n_tokens) if one.loss is None else one.loss for one in points
    ]
    reach = np.linspace(min(losses) - 0.5 * np.ptp(losses), max(losses), 80).tolist()
    curve = Series("ruler", reach, [ruler.sigmoid.score(one) for one in reach], colour="accent")
    known = [(loss, one.score) for loss, one in zip(losses, points, strict=True) if one.score is not None]
    dots = Series("family", [x for x, _ in known], [y for _, y in known], kind="points")
    title = f"{ruler.score_name} against {ruler.loss_name}, {ruler.name}"
    return Chart(title, Axis(ruler.loss_name), Axis(ruler.score_name or "score"), [curve, dots])
