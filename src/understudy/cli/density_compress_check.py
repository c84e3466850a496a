"""``understudy density compress-check``: density before and after compression."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from understudy.density.compress import CompressionCheck, Ratio
    from understudy.density.ruler import Ruler
    from understudy.drawing.xy import Chart

__all__ = ["compress_check_command"]

_EXAMPLE = """
Example:

\b
  understudy density fit-ruler examples/density/family.csv --loss bpb --score accuracy --chance 0.25 --out ruler.json
  understudy density compress-check ruler.json --tokens 1e12 --before-params 1.2e9 --before-score 0.41 \\
    --after-params 1.2e9 --after-bytes 0.66e9 --after-score 0.40
"""


@click.command("compress-check", epilog=_EXAMPLE)
@click.argument("ruler_path", metavar="RULER")
@click.option("--before-params", type=float, required=True, help="Parameters before.")
@click.option("--before-score", type=float, help="Score before.")
@click.option("--before-loss", type=float, help="Loss before, instead of a score.")
@click.option("--before-bytes", type=float, help="Bytes of weights before; by default 2 per parameter.")
@click.option("--after-params", type=float, required=True, help="Parameters after.")
@click.option("--after-score", type=float, help="Score after.")
@click.option("--after-loss", type=float, help="Loss after, instead of a score.")
@click.option("--after-bytes", type=float, help="Bytes of weights after; by default 2 per parameter.")
@click.option("--tokens", "n_tokens", type=float, default=1e12, show_default=True, help="Of the reference.")
@click.option("--items", "n_items", type=int, help="Questions of the benchmark: adds their noise.")
@click.option("--confidence", type=float, default=0.9, show_default=True, help="Of the intervals.")
@click.option("--plot", metavar="FILE.svg", help="Draw both beside the reference.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def compress_check_command(
    ruler_path: str,
    before_params: float,
    before_score: float | None,
    before_loss: float | None,
    before_bytes: float | None,
    after_params: float,
    after_score: float | None,
    after_loss: float | None,
    after_bytes: float | None,
    n_tokens: float,
    n_items: int | None,
    confidence: float,
    plot: str | None,
    is_json: bool,
) -> None:
    """Say whether quantising, pruning or distilling raised or lowered density, per parameter and per byte."""
    from understudy.cli.density_view import write_chart
    from understudy.density.compress import ModelVersion, compress_check
    from understudy.density.ruler import load_ruler

    ruler = load_ruler(ruler_path)
    found = compress_check(
        ruler,
        ModelVersion(before_params, before_score, before_loss, before_bytes),
        ModelVersion(after_params, after_score, after_loss, after_bytes),
        n_tokens=n_tokens,
        n_items=n_items,
        confidence=confidence,
    )
    if plot:
        write_chart(_chart(ruler, found), plot)
    if is_json:
        click.echo(json.dumps(found.to_dict(), indent=1))
        return
    _show(found)


def _show(found: CompressionCheck) -> None:
    from understudy.cli.density_view import console, print_table, size_text

    def cell(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.3g}"

    before, after = found.before.reference, found.after.reference
    rows = [
        ["parameters", size_text(found.before.n_parameters), size_text(found.after.n_parameters), "", "", ""],
        [
            "effective parameters",
            size_text(before.n_effective),
            size_text(after.n_effective),
            *_ratio(found.effective),
        ],
        ["density per parameter", cell(before.rho), cell(after.rho), *_ratio(found.per_parameter)],
        [
            "density per 2 bytes",
            cell(found.rho_bytes_before),
            cell(found.rho_bytes_after),
            *_ratio(found.per_byte),
        ],
    ]
    interval = f"({100 * found.confidence:g} %)"
    print_table(rows, heads=["", "before", "after", "ratio", interval, "verdict"])
    out = console()
    out.print(f"bytes of weights: {found.size_ratio:.3g} of before", markup=False)
    if found.reason:
        out.print(f"unknown: {found.reason}", markup=False)
    for which, one in (("before", before), ("after", after)):
        if one.flags and one.reason is None:
            out.print(f"{which}: {', '.join(one.flags)}", markup=False)


def _ratio(ratio: Ratio) -> list[str]:
    from understudy.cli.density_view import between

    if ratio.value is None:
        return ["unknown", "", ratio.verdict]
    return [f"{ratio.value:.3g}", between(ratio.lower, ratio.upper), ratio.verdict]


def _chart(ruler: Ruler, found: CompressionCheck) -> Chart:
    import numpy as np

    from understudy.drawing.xy import Axis, Chart, Series

    is_score = found.before.score is not None and found.after.score is not None
    both = [("before", found.before), ("after", found.after)]
    levels = [(name, one.n_parameters, one.score if is_score else one.loss) for name, one in both]
    known = [(name, n, level) for name, n, level in levels if level is not None]
    ends = [*ruler.size_range, *(one.n_parameters for _, one in both)]
    ends += [one.reference.n_effective for _, one in both if one.reference.n_effective]
    sizes = np.geomspace(min(ends) / 2, max(ends) * 2, 80).tolist()
    predict = ruler.predict_score if is_score else ruler.predict_loss
    line = Series("reference", sizes, [predict(size, found.n_tokens) for size in sizes])
    dots = Series(
        "versions",
        [n for _, n, _ in known],
        [level for _, _, level in known],
        kind="points",
        labels=[name for name, _, _ in known],
        colour="accent",
    )
    axis = Axis((ruler.score_name if is_score else ruler.loss_name) or "score")
    title = f"Before and after, beside the reference on {found.n_tokens:.3g} tokens"
    return Chart(title, Axis("parameters", is_log=True), axis, [line, dots])
