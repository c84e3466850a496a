"""``understudy evaluate``: an artefact on recorded calls that it has not seen."""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["evaluate_command"]


@click.command("evaluate")
@click.argument("artefact", type=click.Path(path_type=Path))
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--map", "mapping", multiple=True, metavar="KEY=COLUMN", help="Where to find a part of a call.")
@click.option("--format", "log_format", help="Format of the log, if it is not recognised.")
@click.option("--split", help="Only calls of this split, as the log names it (for example test).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate_command(
    artefact: Path,
    logs: tuple[Path, ...],
    mapping: tuple[str, ...],
    log_format: str | None,
    split: str | None,
    as_json: bool,
) -> None:
    """Measure coverage, agreement and gold accuracy of an artefact on recorded calls.

    Intervals are two-sided at 95 %. This is a measurement, not a certificate: the artefact carries that.

    \b
    Example:
      understudy evaluate artefacts/mine calls.jsonl --split test
    """
    from understudy.cli.options import parse_mapping
    from understudy.evaluation import evaluate, print_evaluation

    figures = evaluate(artefact, logs, mapping=parse_mapping(mapping), log_format=log_format, split=split)
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False, indent=1))
    else:
        print_evaluation(figures)
